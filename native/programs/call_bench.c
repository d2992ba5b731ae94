/* call-bench: how long launches of a kernel that does nothing take, allocations of mixed sizes, and copies of pageable memory. Commands as
 * arguments, then on stdin; one line of answer each. */
#define _GNU_SOURCE
#include "loader.h"
#include "kernels.h"
#include "sizes.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define CALLS(X) \
    X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuCtxSynchronize) X(cuModuleLoadData) \
    X(cuModuleGetFunction) X(cuLaunchKernel) X(cuMemAlloc_v2) X(cuMemFree_v2) X(cuStreamCreate) X(cuMemcpyHtoD_v2) X(cuMemcpyDtoH_v2)
#define DECLARE(name) FUNCTION(name);
CALLS(DECLARE)

enum { BATCH = 256, LIVE = 8, SMALLEST = 2 << 20, LARGEST = 64 << 20, COPIED = 8 << 20, COPY_BATCHES = 51, MOST_KIB = 1 << 20 };
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

/* The driver's own functions, where a shim answers their names with others. */
static struct {
    __typeof__(cuLaunchKernel) *cuLaunchKernel;
    __typeof__(cuMemcpyHtoD_v2) *cuMemcpyHtoD_v2;
    __typeof__(cuMemcpyDtoH_v2) *cuMemcpyDtoH_v2;
} own, named;

static void find_own(void *library) {
    void *c = dlopen("libc.so.6", RTLD_NOW);
    void *(*find)(void *, const char *) = c ? (void *(*)(void *, const char *))dlsym(c, "dlsym") : NULL;
#define FIND(name) named.name = p_##name; own.name = find ? (__typeof__(own.name))find(library, #name) : p_##name;
    FIND(cuLaunchKernel)
    FIND(cuMemcpyHtoD_v2)
    FIND(cuMemcpyDtoH_v2)
}

/* What is compared: microseconds a call, of a batch. */
typedef double batch(const __typeof__(own) *functions);

static double launches(const __typeof__(own) *functions) {
    CUdeviceptr nowhere = 0;
    cuuint64_t none = 0;
    void *parameters[] = {&nowhere, &none, &none, &none};
    double begun = now_us();
    for (int i = 0; i < BATCH; i++) must(functions->cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, stream, parameters, NULL), "cuLaunchKernel");
    double took = (now_us() - begun) / BATCH;
    CALL(cuCtxSynchronize);
    return took;
}

static struct { CUdeviceptr device; char *host; size_t bytes, room; } copied;

/* Each of other memory, as far as there is some. */
static double copies(const __typeof__(own) *functions, int to_gpu) {
    double begun = now_us();
    for (size_t at = 0; at + copied.bytes <= copied.room; at += copied.bytes) {
        if (to_gpu) must(functions->cuMemcpyHtoD_v2(copied.device + at, copied.host + at, copied.bytes), "cuMemcpyHtoD_v2");
        else must(functions->cuMemcpyDtoH_v2(copied.host + at, copied.device + at, copied.bytes), "cuMemcpyDtoH_v2");
    }
    return (now_us() - begun) / (double)(copied.room / copied.bytes);
}

static double copies_to(const __typeof__(own) *functions) { return copies(functions, 1); }
static double copies_from(const __typeof__(own) *functions) { return copies(functions, 0); }

static void prepare_copies(size_t bytes) {
    copied.bytes = bytes;
    copied.room = bytes > COPIED ? bytes : COPIED;
    copied.host = realloc(copied.host, copied.room);
    if (!copied.host) must(CUDA_ERROR_OUT_OF_MEMORY, "realloc");
    memset(copied.host, 1, copied.room);
    if (copied.device) CALL(cuMemFree_v2, copied.device);
    CALL(cuMemAlloc_v2, &copied.device, copied.room);
}

static int ascending(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }
static double median(double *values, unsigned long long count) {
    qsort(values, count, sizeof *values, ascending);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Both by turns: what a call costs by its name, and by the driver's own function. */
static void compare(batch *run, unsigned long long batches) {
    double *by_name = malloc(batches * sizeof *by_name), *by_own = malloc(batches * sizeof *by_own);
    for (unsigned long long i = 0; by_name && by_own && i < batches; i++) {
        if (i % 2) by_name[i] = run(&named);
        by_own[i] = run(&own);
        if (i % 2 == 0) by_name[i] = run(&named);
    }
    if (by_name && by_own) printf("OK own=%.4f us=%.4f\n", median(by_own, batches), median(by_name, batches));
    free(by_name);
    free(by_own);
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

/* 0: there is no such command. */
static int obeyed(const char *command, unsigned long long number) {
    if (!strcmp(command, "launch")) return printf("OK us=%.4f\n", launch(number));
    if (!strcmp(command, "alloc")) return printf("OK us=%.4f\n", allocate(number));
    if (!strcmp(command, "compare")) return compare(launches, number / BATCH + 1), 1;
    int to_gpu = !strcmp(command, "copy-to");
    if (number > MOST_KIB || (!to_gpu && strcmp(command, "copy-from"))) return 0;
    prepare_copies((size_t)number << 10);
    return compare(to_gpu ? copies_to : copies_from, COPY_BATCHES), 1;
}

static void obey(const char *command, const char *text) {
    unsigned long long number;
    if (!parse_number(text, &number) || !number || !obeyed(command, number))
        printf("ERROR launch COUNT, compare COUNT, alloc COUNT, copy-to KIB and copy-from KIB are the commands\n");
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
