/* call-bench: how long launches of a kernel that does nothing take, and allocations of mixed sizes. Commands as arguments, then on stdin;
 * one line of answer each. */
#define _GNU_SOURCE
#include "loader.h"
#include "kernels.h"
#include "sizes.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define CALLS(X) \
    X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuCtxSynchronize) X(cuModuleLoadData) \
    X(cuModuleGetFunction) X(cuLaunchKernel) X(cuMemAlloc_v2) X(cuMemFree_v2) X(cuStreamCreate)
#define DECLARE(name) FUNCTION(name);
CALLS(DECLARE)

enum { BATCH = 256, LIVE = 8, SMALLEST = 2 << 20, LARGEST = 64 << 20 };
static CUfunction kernel;
static CUstream stream;

static void must(CUresult result, const char *call) {
    if (!result) return;
    printf("ERROR %s %d\n", call, (int)result);
    exit(1);
}
#define CALL(name, ...) must(p_##name(__VA_ARGS__), #name)

/* Microseconds a launch; the GPU is waited for after each batch, so that the queue is never full. */
static double launch(unsigned long long count) {
    CUdeviceptr nowhere = 0;
    cuuint64_t none = 0;
    void *parameters[] = {&nowhere, &none, &none, &none};
    double begun = now_us();
    for (unsigned long long i = 0; i < count; i++) {
        CALL(cuLaunchKernel, kernel, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL);
        if (i % BATCH == BATCH - 1) CALL(cuCtxSynchronize);
    }
    CALL(cuCtxSynchronize);
    return (now_us() - begun) / (double)count;
}

/* The driver's own function, where a shim answers its name with another. */
static __typeof__(cuLaunchKernel) *own;
static void find_own(void *library) {
    void *c = dlopen("libc.so.6", RTLD_NOW);
    void *(*find)(void *, const char *) = c ? (void *(*)(void *, const char *))dlsym(c, "dlsym") : NULL;
    own = find ? (__typeof__(own))find(library, "cuLaunchKernel") : p_cuLaunchKernel;
}

static double batch(__typeof__(cuLaunchKernel) *function) {
    CUdeviceptr nowhere = 0;
    cuuint64_t none = 0;
    void *parameters[] = {&nowhere, &none, &none, &none};
    double begun = now_us();
    for (int i = 0; i < BATCH; i++) must(function(kernel, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL), "cuLaunchKernel");
    double took = (now_us() - begun) / BATCH;
    CALL(cuCtxSynchronize);
    return took;
}

static int ascending(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }
static double median(double *values, unsigned long long count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

/* Both by turns, in batches: what a launch costs by its name, and by the driver's own function. */
static void compare(unsigned long long count) {
    unsigned long long batches = count / BATCH + 1;
    double *named = malloc(batches * sizeof *named), *owned = malloc(batches * sizeof *owned);
    for (unsigned long long i = 0; named && owned && i < batches; i++) {
        if (i % 2) named[i] = batch(p_cuLaunchKernel);
        owned[i] = batch(own);
        if (i % 2 == 0) named[i] = batch(p_cuLaunchKernel);
    }
    if (named && owned) printf("OK own=%.4f us=%.4f\n", median(owned, batches), median(named, batches));
    free(named);
    free(owned);
}

/* Microseconds an allocation and its free; the same sizes each time, and some of them live at once. */
static double allocate(unsigned long long count) {
    CUdeviceptr live[LIVE] = {0};
    uint64_t random = 1;
    double begun = now_us();
    for (unsigned long long i = 0; i < count + LIVE; i++) {
        CUdeviceptr *at = &live[i % LIVE];
        if (*at) CALL(cuMemFree_v2, *at);
        *at = 0;
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        if (i < count) CALL(cuMemAlloc_v2, at, SMALLEST + (random >> 33) % (LARGEST - SMALLEST + 1));
    }
    return (now_us() - begun) / (double)count;
}

static void start(void) {
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CALL(cuInit, 0);
    CALL(cuDeviceGet, &device, 0);
    CALL(cuDevicePrimaryCtxRetain, &context, device);
    CALL(cuCtxSetCurrent, context);
    CALL(cuModuleLoadData, &module, kernels_ptx);
    CALL(cuModuleGetFunction, &kernel, module, "torpor_fill");
    CALL(cuStreamCreate, &stream, CU_STREAM_NON_BLOCKING);
}

static void obey(const char *command, const char *text) {
    unsigned long long count;
    int launches = !strcmp(command, "launch"), turns = !strcmp(command, "compare");
    if ((!launches && !turns && strcmp(command, "alloc")) || !parse_number(text, &count) || !count) {
        printf("ERROR launch COUNT, compare COUNT and alloc COUNT are the commands\n");
        return;
    }
    if (turns) return compare(count);
    printf("OK us=%.4f\n", launches ? launch(count) : allocate(count));
}

int main(int words_given, char **words) {
    char line[256], command[16], text[32];
    setvbuf(stdout, NULL, _IOLBF, 0);
    void *library = driver_open();
#define LOAD_ONE(name) LOAD(library, name);
    CALLS(LOAD_ONE)
    find_own(library);
    start();
    const char *shim = dlsym(RTLD_DEFAULT, "torpor_shim_version");
    printf("READY pid=%d shim=%s\n", (int)getpid(), shim ? shim : "");
    for (int i = 1; i + 1 < words_given; i += 2) obey(words[i], words[i + 1]);
    while (fgets(line, sizeof line, stdin)) {
        int got = sscanf(line, "%15s %31s", command, text);
        obey(got > 0 ? command : "", got > 1 ? text : "");
    }
    return 0;
}
