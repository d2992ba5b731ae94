/* A driver that has next to nothing. Whoever initialises it is the thread that makes its checkpoints. */
#define _GNU_SOURCE
#include "../abi/cuda_functions.h"

#include <string.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

static int initialised_by;

VISIBLE CUresult cuInit(unsigned flags) {
    initialised_by = (int)gettid();
    return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

VISIBLE CUresult cuCheckpointProcessGetRestoreThreadId(int pid, int *thread) {
    if (pid != (int)getpid()) return CUDA_ERROR_OPERATING_SYSTEM;
    *thread = initialised_by;
    return CUDA_SUCCESS;
}

/* One of the copies, and with it not what an engine needs. */
VISIBLE CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) { return to || from || bytes ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS; }

/* As it moves a checkpoint. */
VISIBLE void stub_copy(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }

/* Where it keeps the address of memcpy: read-only, as it is bound at once. */
VISIBLE void **stub_import(void) {
    void **slot;
    __asm__("leaq memcpy@GOTPCREL(%%rip), %0" : "=r"(slot));
    return slot;
}
