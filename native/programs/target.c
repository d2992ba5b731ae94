/* torpor-target: a CUDA program with a known content, made to be suspended. Commands on stdin, one line of answer each. */
#define _GNU_SOURCE
#include "loader.h"
#include "kernels.h"
#include "sizes.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define CALLS(X) \
    X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuCtxSynchronize) X(cuModuleLoadData) \
    X(cuModuleGetFunction) X(cuLaunchKernel) X(cuMemAlloc_v2) X(cuMemFree_v2) X(cuMemGetInfo_v2) X(cuMemsetD8_v2) \
    X(cuMemcpyDtoH_v2) X(cuStreamCreate)
#define DECLARE(name) FUNCTION(name);
CALLS(DECLARE)

enum { MAX_CHUNKS = 65536, MAX_EXTRA = 1024 };
struct chunk { CUdeviceptr address; size_t words; };

static struct { size_t memory, chunk; int device, context; unsigned long long seed; } options = {64 << 20, 64 << 20, 0, 1, 1};
static struct chunk chunks[MAX_CHUNKS];
static int chunk_count;
static CUdeviceptr extra[MAX_EXTRA], bad_words;
static int extra_count;
static CUfunction fill_kernel, check_kernel, spin_kernel;
static CUstream spin_stream;
static const char *failed_call;

/* Goes on while all is well; remembers which call was the first that was not. */
static CUresult noted(CUresult result, const char *call) {
    if (result) failed_call = call;
    return result;
}
#define TRY(name, ...) do { CUresult r_ = noted(p_##name(__VA_ARGS__), #name); if (r_) return r_; } while (0)

static CUresult launch(CUfunction kernel, int blocks, int threads, CUstream stream, void **parameters) {
    TRY(cuLaunchKernel, kernel, (unsigned)blocks, 1, 1, (unsigned)threads, 1, 1, 0, stream, parameters, NULL);
    return CUDA_SUCCESS;
}

static CUresult fill(unsigned long long seed) {
    cuuint64_t first = 0;
    for (int i = 0; i < chunk_count; first += chunks[i++].words) {
        void *parameters[] = {&chunks[i].address, &first, &chunks[i].words, &seed};
        CUresult result = launch(fill_kernel, 256, 256, NULL, parameters);
        if (result) return result;
    }
    TRY(cuCtxSynchronize);
    options.seed = seed;
    return CUDA_SUCCESS;
}

static CUresult count_bad(cuuint64_t *bad, cuuint64_t *words) {
    *words = 0;
    TRY(cuMemsetD8_v2, bad_words, 0, sizeof *bad);
    for (int i = 0; i < chunk_count; *words += chunks[i++].words) {
        void *parameters[] = {&chunks[i].address, words, &chunks[i].words, &options.seed, &bad_words};
        CUresult result = launch(check_kernel, 256, 256, NULL, parameters);
        if (result) return result;
    }
    TRY(cuMemcpyDtoH_v2, bad, bad_words, sizeof *bad);
    return CUDA_SUCCESS;
}

static CUresult load_kernels(void) {
    CUmodule module;
    TRY(cuModuleLoadData, &module, kernels_ptx);
    TRY(cuModuleGetFunction, &fill_kernel, module, "torpor_fill");
    TRY(cuModuleGetFunction, &check_kernel, module, "torpor_check");
    TRY(cuModuleGetFunction, &spin_kernel, module, "torpor_spin");
    TRY(cuStreamCreate, &spin_stream, CU_STREAM_NON_BLOCKING);
    return CUDA_SUCCESS;
}

static CUresult allocate(void) {
    TRY(cuMemAlloc_v2, &bad_words, sizeof(cuuint64_t));
    for (size_t left = options.memory; left;) {
        size_t size = left < options.chunk ? left : options.chunk;
        TRY(cuMemAlloc_v2, &chunks[chunk_count].address, size);
        chunks[chunk_count++].words = size / 8;
        left -= size;
    }
    return CUDA_SUCCESS;
}

static CUresult start(void) {
    CUdevice device;
    CUcontext context;
    TRY(cuInit, 0);
    if (!options.context) return CUDA_SUCCESS;
    TRY(cuDeviceGet, &device, options.device);
    TRY(cuDevicePrimaryCtxRetain, &context, device);
    TRY(cuCtxSetCurrent, context);
    CUresult result = load_kernels();
    if (!result) result = allocate();
    return result ? result : fill(options.seed);
}

static int answer(CUresult result) {
    if (result) return printf("ERROR %s %d\n", failed_call, (int)result);
    return printf("OK\n");
}

static int say_check(void) {
    cuuint64_t bad, words;
    CUresult result = count_bad(&bad, &words);
    if (result) return answer(result);
    if (bad) return printf("ERROR bad=%llu of %llu\n", (unsigned long long)bad, (unsigned long long)words);
    return printf("OK words=%llu\n", (unsigned long long)words);
}

static CUresult spin(unsigned long long milliseconds) {
    unsigned long long nanoseconds = milliseconds * 1000000;
    void *parameters[] = {&nanoseconds};
    return launch(spin_kernel, 1, 1, spin_stream, parameters);
}

static CUresult synchronize(void) {
    TRY(cuCtxSynchronize);
    return CUDA_SUCCESS;
}

static CUresult allocate_extra(size_t size) {
    if (extra_count == MAX_EXTRA) return noted(CUDA_ERROR_OUT_OF_MEMORY, "alloc");
    TRY(cuMemAlloc_v2, &extra[extra_count], size);
    extra_count++;
    return CUDA_SUCCESS;
}

static CUresult free_extra(void) {
    while (extra_count) TRY(cuMemFree_v2, extra[--extra_count]);
    return CUDA_SUCCESS;
}

static int say_info(void) {
    size_t available, total;
    CUresult result = noted(p_cuMemGetInfo_v2(&available, &total), "cuMemGetInfo_v2");
    return result ? answer(result) : printf("OK free=%zu total=%zu\n", available, total);
}

static int obey_with_argument(const char *command, const char *argument) {
    size_t size;
    unsigned long long number;
    if (!strcmp(command, "fill") && parse_number(argument, &number)) return answer(fill(number));
    if (!strcmp(command, "spin") && parse_number(argument, &number)) return answer(spin(number));
    if (!strcmp(command, "alloc") && parse_size(argument, &size)) return answer(allocate_extra(size));
    return printf("ERROR cannot obey: %s %s\n", command, argument);
}

static int obey(const char *command, const char *argument) {
    if (!strcmp(command, "ping") || !strcmp(command, "quit")) return answer(CUDA_SUCCESS);
    if (!strcmp(command, "check")) return say_check();
    if (!strcmp(command, "sync")) return answer(synchronize());
    if (!strcmp(command, "free")) return answer(free_extra());
    if (!strcmp(command, "info")) return say_info();
    return obey_with_argument(command, argument);
}

static int usage(void) {
    fprintf(stderr, "usage: torpor-target [--memory SIZE] [--chunk SIZE] [--device N] [--seed N] [--no-context]\n");
    return 64;
}

static int parse_option(const char *name, const char *value) {
    unsigned long long number;
    if (!strcmp(name, "--memory")) return parse_size(value, &options.memory);
    if (!strcmp(name, "--chunk")) return parse_size(value, &options.chunk) && options.chunk >= 8;
    if (!parse_number(value, &number)) return 0;
    if (!strcmp(name, "--seed")) return options.seed = number, 1;
    return !strcmp(name, "--device") && number <= INT_MAX && (options.device = (int)number, 1);
}

static int parse_options(int count, char **words) {
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--no-context")) options.context = 0;
        else if (i + 1 == count || !parse_option(words[i], words[i + 1])) return 0;
        else i++;
    }
    options.chunk = options.chunk / 8 * 8;
    options.memory = options.memory / 8 * 8;
    return options.memory / options.chunk < MAX_CHUNKS;
}

int main(int count, char **words) {
    char line[256], command[32], argument[64];
    if (!parse_options(count, words)) return usage();
    setvbuf(stdout, NULL, _IOLBF, 0);
    void *library = driver_open();
#define LOAD_ONE(name) LOAD(library, name);
    CALLS(LOAD_ONE)
    CUresult result = start();
    if (result) return answer(result), 1;
    printf("READY pid=%d bytes=%zu\n", (int)getpid(), options.context ? options.memory : 0);
    while (fgets(line, sizeof line, stdin)) {
        int words_read = sscanf(line, "%31s %63s", command, argument);
        if (words_read < 2) argument[0] = 0;
        if (words_read < 1) command[0] = 0;
        obey(command, argument);
        if (!strcmp(command, "quit")) break;
    }
    return 0;
}
