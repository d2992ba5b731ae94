/* A parked process is checkpointed by the driver, restored, and unparked: every byte is right. */
#include "parking.h"
#include "outcome.h"

enum { BYTES = 8 * MIB };

static int park(int pid) { return is_ok(command_to(pid, "park")); }
static int unpark(int pid) { return is_ok(command_to(pid, "unpark")); }

static void everyByteIsRightAfterwards(void) {
    load_driver();
    struct target t = start_target(NULL, "40M", "--chunk", "8M");
    for (int round = 0; round < 2; round++) {
        EXPECT(answered_ok(&t, round ? "fill 7" : "check"));
        EXPECT(park(t.pid));
        suspend(t.pid);
        resume(t.pid);
        EXPECT(unpark(t.pid));
        EXPECT(answered_ok(&t, "check"));
    }
    OK(finish(&t));
}

static void severalCheckpointsMayLieBetween(void) {
    load_driver();
    struct target t = start_target(NULL, "24M", "--chunk", "8M");
    EXPECT(park(t.pid));
    for (int i = 0; i < 3; i++) {
        suspend(t.pid);
        EXPECT(strstr(command_to(t.pid, "status"), "state=parked"));
        resume(t.pid);
        EXPECT(answered_ok(&t, "ping"));
    }
    EXPECT(unpark(t.pid));
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void workThatWaitsGoesOnAfterwards(void) {
    char answer[256];
    load_driver();
    struct target t = start_target(NULL, "16M", "--chunk", "8M");
    EXPECT(park(t.pid));
    tell(&t, "check");
    EXPECT(waits_in_a_call(&t) && !hear(&t, answer, 0));
    suspend(t.pid); /* whoever waits is not in the driver */
    EXPECT(waits_in_a_call(&t) && !hear(&t, answer, 0));
    resume(t.pid);
    EXPECT(waits_in_a_call(&t) && !hear(&t, answer, 0));
    EXPECT(unpark(t.pid));
    EXPECT(hear(&t, answer, 20000) && !strncmp(answer, "OK", 2));
    OK(finish(&t));
}

static void aParkedProcessIsCheapToCheckpoint(void) {
    size_t all, parked, down;
    fresh_machine(1, "256M");
    use_device(0);
    struct target t = start_target(NULL, "100M", "--chunk", "25M");
    all = free_memory();
    EXPECT(park(t.pid));
    parked = free_memory();
    EXPECT(parked >= all + 100 * MIB);
    suspend(t.pid);
    down = free_memory();
    EXPECT(down > parked && down - parked <= 10 * MIB); /* the context, and what is too small */
    resume(t.pid);
    EXPECT(unpark(t.pid));
    EXPECT_IS(all, free_memory());
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void anUnparkWaitsForTheRestore(void) {
    load_driver();
    struct target t = start_target(NULL, "16M", "--chunk", "8M");
    EXPECT(park(t.pid));
    suspend(t.pid);
    int fd = connect_to(t.pid);
    EXPECT_IS(7, send(fd, "unpark\n", 7, MSG_NOSIGNAL));
    sleep_ms(50);
    resume(t.pid);
    char answer[512] = "";
    for (size_t n = 0; n < sizeof answer - 1 && recv(fd, answer + n, 1, 0) == 1 && answer[n] != '\n'; n++) {}
    close(fd);
    if (!is_ok(answer)) EXPECT(is_error(answer, "driver") && unpark(t.pid)); /* nothing is lost by it */
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

/* A program that looks at its memory and frees some of it meanwhile. */

static void ask_and_free(void *argument) {
    int *to = argument, step;
    CUdeviceptr d[2], base;
    size_t size;
    unsigned type = 0;
    use_device(0);
    for (int i = 0; i < 2; i++) {
        OK(cu.cuMemAlloc_v2(&d[i], BYTES));
        write_pattern(d[i], BYTES, (unsigned)i);
    }
    if (write(to[3], "", 1) != 1) abort();
    while (read(to[0], &step, sizeof step) == sizeof step && step) {
        OK(cu.cuMemGetAddressRange_v2(&base, &size, d[1] + 5));
        EXPECT(base == d[1] && size == BYTES);
        OK(cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, d[1]));
        EXPECT_IS(CU_MEMORYTYPE_DEVICE, type);
        if (step == 2) OK(cu.cuMemFree_v2(d[0]));
        if (write(to[3], "", 1) != 1) abort();
    }
    EXPECT_PATTERN(d[1], BYTES, 1);
    EXPECT_IS(BYTES, status_of("parkable_bytes"));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d[0]));
}

static void say(int *to, int step) {
    char byte;
    if (write(to[1], &step, sizeof step) != sizeof step) abort();
    if (step && read(to[2], &byte, 1) != 1) fail_at(__FILE__, __LINE__, "step %d is not answered", step);
}

static void questionsAndFreesAreAnsweredMeanwhile(void) {
    int to[4];
    char byte;
    if (pipe(to) || pipe(to + 2)) abort();
    int pid = start_child(ask_and_free, to);
    load_driver();
    close(to[0]);
    close(to[3]);
    if (read(to[2], &byte, 1) != 1) abort();
    EXPECT(park(pid));
    say(to, 1);
    suspend(pid);
    say(to, 2);
    say(to, 1);
    resume(pid);
    say(to, 1);
    EXPECT(unpark(pid));
    say(to, 0);
    OK(wait_child(pid));
}

int main(void) {
    RUN(everyByteIsRightAfterwards);
    RUN(severalCheckpointsMayLieBetween);
    RUN(workThatWaitsGoesOnAfterwards);
    RUN_SIMULATED(aParkedProcessIsCheapToCheckpoint, "others may use the device");
    RUN(anUnparkWaitsForTheRestore);
    RUN(questionsAndFreesAreAnsweredMeanwhile);
    return summary();
}
