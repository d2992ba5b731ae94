/* cold-start: what the first use of the GPU costs in a C program, in microseconds, as a line of JSON. */
#define _GNU_SOURCE
#include "loader.h"

#include <string.h>
#include <unistd.h>

FUNCTION(cuInit);
FUNCTION(cuDeviceGet);
FUNCTION(cuDevicePrimaryCtxRetain);
FUNCTION(cuDevicePrimaryCtxRelease_v2);
FUNCTION(cuCtxSetCurrent);
FUNCTION(cuMemAlloc_v2);
FUNCTION(cuMemFree_v2);

static double begun, last;

static void lap(const char *name) {
    double now = now_us();
    printf("\"%s\":%.1f,", name, now - last);
    last = now_us();
}

static void must(CUresult result, const char *call) {
    if (!result) return;
    printf("\"failed\":\"%s\",\"code\":%d}\n", call, (int)result);
    exit(1);
}

static void load(void) {
    void *library = driver_open();
    lap("dlopen");
    LOAD(library, cuInit);
    LOAD(library, cuDeviceGet);
    LOAD(library, cuDevicePrimaryCtxRetain);
    LOAD(library, cuDevicePrimaryCtxRelease_v2);
    LOAD(library, cuCtxSetCurrent);
    LOAD(library, cuMemAlloc_v2);
    LOAD(library, cuMemFree_v2);
    lap("symbols");
}

static void warm_up(int ordinal) {
    CUdevice device;
    CUcontext context;
    CUdeviceptr memory;
    must(p_cuInit(0), "cuInit");
    lap("cuInit");
    must(p_cuDeviceGet(&device, ordinal), "cuDeviceGet");
    lap("cuDeviceGet");
    must(p_cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    lap("cuDevicePrimaryCtxRetain");
    must(p_cuCtxSetCurrent(context), "cuCtxSetCurrent");
    must(p_cuMemAlloc_v2(&memory, 2 << 20), "cuMemAlloc");
    must(p_cuMemFree_v2(memory), "cuMemFree");
    lap("firstAllocation");
    printf("\"total\":%.1f", last - begun);
}

int main(int count, char **words) {
    int device = 0, hold = 0;
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--hold")) hold = 1;
        else if (!strcmp(words[i], "--device") && i + 1 < count) device = atoi(words[++i]);
        else return fprintf(stderr, "usage: cold-start [--device N] [--hold]\n"), 64;
    }
    printf("{");
    begun = last = now_us();
    load();
    warm_up(device);
    if (hold) {
        char rest[64];
        printf("}\n");
        fflush(stdout);
        while (read(0, rest, sizeof rest) > 0) {}
        return 0;
    }
    last = now_us();
    must(p_cuDevicePrimaryCtxRelease_v2(device), "cuDevicePrimaryCtxRelease");
    printf(",\"release\":%.1f}\n", now_us() - last);
    return 0;
}
