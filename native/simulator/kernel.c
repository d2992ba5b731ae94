/* Modules of PTX text. Kernels are known by name: three of them really compute, on the CPU. */
#define _GNU_SOURCE
#include "queue.h"
#include "../programs/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAME_SIZE = 64, WORDS = 1 << 17 };

struct CUfunc_st { struct CUfunc_st *next; char name[NAME_SIZE]; };
struct CUmod_st { struct CUmod_st *next; struct CUfunc_st *functions; };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static CUmodule modules;

static void discard(CUmodule module) {
    while (module->functions) {
        CUfunction next = module->functions->next;
        free(module->functions);
        module->functions = next;
    }
    free(module);
}

static int add_function(CUmodule module, const char *name) {
    CUfunction function = calloc(1, sizeof *function);
    if (!function) return 0;
    for (int i = 0; i < NAME_SIZE - 1 && (isalnum((unsigned char)name[i]) || name[i] == '_'); i++) function->name[i] = name[i];
    function->next = module->functions;
    module->functions = function;
    return 1;
}

static int scan(CUmodule module, const char *text) {
    const char *at = text;
    while ((at = strstr(at, ".entry"))) {
        at += strlen(".entry");
        at += strspn(at, " \t\r\n");
        if (!add_function(module, at)) return 0;
    }
    return 1;
}

CUresult do_cuModuleLoadData(CUmodule *module, const void *image) {
    if (!module || !image) return CUDA_ERROR_INVALID_VALUE;
    if (!strstr(image, ".version")) return CUDA_ERROR_INVALID_IMAGE;
    CUmodule m = calloc(1, sizeof *m);
    if (!m) return CUDA_ERROR_OUT_OF_MEMORY;
    if (!scan(m, image)) return discard(m), CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&mutex);
    m->next = modules;
    modules = m;
    pthread_mutex_unlock(&mutex);
    *module = m;
    return CUDA_SUCCESS;
}

CUresult do_cuModuleUnload(CUmodule module) {
    pthread_mutex_lock(&mutex);
    CUmodule *link = &modules;
    while (*link && *link != module) link = &(*link)->next;
    int found = *link != NULL;
    if (found) *link = module->next;
    pthread_mutex_unlock(&mutex);
    if (found) discard(module);
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static CUfunction named(CUmodule module, const char *name) {
    for (CUfunction f = module->functions; f; f = f->next)
        if (!strcmp(f->name, name)) return f;
    return NULL;
}

CUresult do_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    if (!function || !name || !*name) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&mutex);
    for (CUmodule m = modules; m; m = m->next) {
        if (m != module) continue;
        CUfunction found = named(m, name);
        result = found ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
        if (found) *function = found;
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

/* A kernel sees what its device may reach. */
static CUresult reach(struct op *op, CUdeviceptr at, size_t bytes, unsigned how) {
    return memory_check(at, bytes, how | DIRECT | RUNNING, op->context) ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
}

static CUresult store(struct op *op, CUdeviceptr at, const void *from, size_t bytes) {
    CUresult result = reach(op, at, bytes, WRITES);
    return result ? result : memory_write(at, from, bytes);
}

static CUresult load(struct op *op, CUdeviceptr at, void *to, size_t bytes) {
    CUresult result = reach(op, at, bytes, 0);
    return result ? result : memory_read(at, to, bytes);
}

/* word: address, index of the first word, count, seed */
static CUresult fill(struct op *op) {
    uint64_t *buffer = malloc(WORDS * sizeof *buffer);
    CUresult result = buffer ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    for (uint64_t done = 0; done < op->word[2] && !result; done += WORDS) {
        uint64_t part = op->word[2] - done < WORDS ? op->word[2] - done : WORDS;
        for (uint64_t i = 0; i < part; i++) buffer[i] = pattern(op->word[3], op->word[1] + done + i);
        result = store(op, op->word[0] + done * 8, buffer, part * 8);
    }
    free(buffer);
    return result;
}

/* word: address, index of the first word, count, seed, address of the 64-bit counter of mismatches */
static CUresult compare(struct op *op) {
    uint64_t *buffer = malloc(WORDS * sizeof *buffer), bad = 0;
    CUresult result = buffer ? load(op, op->word[4], &bad, sizeof bad) : CUDA_ERROR_OUT_OF_MEMORY;
    for (uint64_t done = 0; done < op->word[2] && !result; done += WORDS) {
        uint64_t part = op->word[2] - done < WORDS ? op->word[2] - done : WORDS;
        result = load(op, op->word[0] + done * 8, buffer, part * 8);
        for (uint64_t i = 0; i < part && !result; i++) bad += buffer[i] != pattern(op->word[3], op->word[1] + done + i);
    }
    if (!result) result = store(op, op->word[4], &bad, sizeof bad);
    free(buffer);
    return result;
}

/* word: nanoseconds */
static CUresult spin(struct op *op) {
    struct timespec time = {(time_t)(op->word[0] / 1000000000), (long)(op->word[0] % 1000000000)};
    while (nanosleep(&time, &time)) {}
    return CUDA_SUCCESS;
}

static const struct kernel { const char *name; int parameters; CUresult (*run)(struct op *); } kernels[] = {
    {"torpor_fill", 4, fill}, {"torpor_check", 5, compare}, {"torpor_spin", 1, spin},
};

static void kernel_run(struct op *op) {
    const struct kernel *kernel = op->pointer;
    CUresult result = kernel->run(op);
    if (result) op_failed(op, result);
}

static CUresult find(CUfunction function, const struct kernel **kernel) {
    CUresult result = CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&mutex);
    for (CUmodule m = modules; m; m = m->next)
        for (CUfunction f = m->functions; f; f = f->next) {
            if (f != function) continue;
            result = CUDA_ERROR_NOT_SUPPORTED;
            for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
                if (!strcmp(kernels[i].name, f->name)) *kernel = &kernels[i], result = CUDA_SUCCESS;
        }
    pthread_mutex_unlock(&mutex);
    return result;
}

CUresult do_cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                           unsigned shared, CUstream handle, void **parameters, void **extra) {
    const struct kernel *kernel = NULL;
    CUstream stream;
    CUresult result = find(function, &kernel);
    if (!result) result = stream_find(handle, &stream);
    if (!result && stream->context != context_current()) result = CUDA_ERROR_INVALID_HANDLE;
    if (result) return result;
    if (!gx || !gy || !gz || !bx || !by || !bz || (uint64_t)bx * by * bz > 1024 || shared > 232448) return CUDA_ERROR_INVALID_VALUE;
    if (!parameters || extra) return CUDA_ERROR_INVALID_VALUE;
    struct op *op = op_new(stream, kernel_run);
    op->pointer = (void *)(uintptr_t)kernel;
    for (int i = 0; i < kernel->parameters; i++) memcpy(&op->word[i], parameters[i], sizeof op->word[i]);
    op_submit(op, stream);
    return CUDA_SUCCESS;
}
