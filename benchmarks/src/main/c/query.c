/* The loop that loops in Java are compared with: in the same process, on the same thread, by turns with them. */
#include <stdint.h>
#include <time.h>

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Nanoseconds for all calls; the negative result of the first that fails. */
int64_t query_loop(int (*query)(int pid, int *state), int pid, int times) {
    int state;
    int64_t begun = now();
    for (int i = 0; i < times; i++) {
        int result = query(pid, &state);
        if (result) return -result;
    }
    return now() - begun;
}
