/* start answer PID | start context: what a fresh C program needs for its first answer, or for a primary context. One byte says "there". */
#define _GNU_SOURCE
#include "loader.h"

#include <string.h>
#include <unistd.h>

FUNCTION(cuInit);
FUNCTION(cuDeviceGet);
FUNCTION(cuDevicePrimaryCtxRetain);
FUNCTION(cuDevicePrimaryCtxRelease_v2);
FUNCTION(cuCheckpointProcessGetState);

static CUresult answer(void *library, int pid) {
    CUprocessState state;
    LOAD(library, cuCheckpointProcessGetState);
    return p_cuCheckpointProcessGetState(pid, &state);
}

static CUresult retain(void *library) {
    CUdevice device;
    CUcontext context;
    LOAD(library, cuInit);
    LOAD(library, cuDeviceGet);
    LOAD(library, cuDevicePrimaryCtxRetain);
    CUresult result = p_cuInit(0);
    if (!result) result = p_cuDeviceGet(&device, 0);
    if (!result) result = p_cuDevicePrimaryCtxRetain(&context, device);
    return result;
}

static void hold(void) {
    char rest[16];
    while (read(STDIN_FILENO, rest, sizeof rest) > 0) {}
}

int main(int count, char **words) {
    double begun = now_us();
    int context = count == 2 && !strcmp(words[1], "context");
    if (!context && (count != 3 || strcmp(words[1], "answer"))) return fprintf(stderr, "usage: start answer PID | start context\n"), 64;
    void *library = driver_open();
    double opened = now_us();
    CUresult result = context ? retain(library) : answer(library, atoi(words[2]));
    double there = now_us();
    if (result) return fprintf(stderr, "failed with CUresult %d\n", (int)result), 1;
    if (write(STDOUT_FILENO, "!", 1) != 1) return 1;
    printf("%.0f %.0f %.0f\n", begun * 1e3, opened * 1e3, there * 1e3);
    fflush(stdout);
    hold();
    if (context) {
        LOAD(library, cuDevicePrimaryCtxRelease_v2);
        p_cuDevicePrimaryCtxRelease_v2(0);
    }
    return 0;
}
