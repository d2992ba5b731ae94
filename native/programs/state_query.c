/* state-query PID N: the price of asking for a process's state, in nanoseconds, as a line of JSON. */
#define _GNU_SOURCE
#include "loader.h"

#include <string.h>

FUNCTION(cuCheckpointProcessGetState);

enum { BATCHES = 100 };
static double batches[BATCHES];

static void query(int pid, int times) {
    CUprocessState state;
    for (int i = 0; i < times; i++) {
        CUresult result = p_cuCheckpointProcessGetState(pid, &state);
        if (result) {
            printf("{\"failed\":\"cuCheckpointProcessGetState\",\"code\":%d}\n", (int)result);
            exit(1);
        }
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int count, char **words) {
    if (count != 3) return fprintf(stderr, "usage: state-query PID N\n"), 64;
    int pid = atoi(words[1]), times = atoi(words[2]);
    int batch = times / BATCHES > 0 ? times / BATCHES : 1;
    double sum = 0;
    LOAD(driver_open(), cuCheckpointProcessGetState);
    query(pid, batch);
    for (int i = 0; i < BATCHES; i++) {
        double begun = now_us();
        query(pid, batch);
        batches[i] = (now_us() - begun) * 1e3 / batch;
        sum += batches[i];
    }
    qsort(batches, BATCHES, sizeof batches[0], ascending);
    printf("{\"calls\":%d,\"median\":%.1f,\"p90\":%.1f,\"mean\":%.1f}\n", batch * BATCHES, (batches[BATCHES / 2 - 1] + batches[BATCHES / 2]) / 2, batches[BATCHES * 9 / 10], sum / BATCHES);
    return 0;
}
