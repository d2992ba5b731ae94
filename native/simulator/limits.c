/* Limits of a context. Half of what a context costs is its threads' stacks, at their first size of 1024 bytes; that half grows and shrinks with the size. */
#include "driver.h"
#include "settings.h"

enum { STACK = 1024, STACK_UNIT = 16, STACK_MOST = 512 << 10 };

static const size_t first[CU_LIMIT_MAX] = {[CU_LIMIT_STACK_SIZE] = STACK, [CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20, [CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20};

void limits_reset(CUcontext context) {
    for (int limit = 0; limit < CU_LIMIT_MAX; limit++) context->limit[limit] = first[limit];
}

uint64_t limits_cost(size_t stack) {
    uint64_t stacks = settings()->context / 2;
    return settings()->context - stacks + stacks * stack / STACK;
}

static CUresult check(const void *value, CUlimit limit) {
    if (!value || (unsigned)limit >= CU_LIMIT_MAX) return CUDA_ERROR_INVALID_VALUE;
    return first[limit] ? CUDA_SUCCESS : CUDA_ERROR_UNSUPPORTED_LIMIT;
}

CUresult do_cuCtxGetLimit(size_t *value, CUlimit limit) {
    CUresult result = check(value, limit);
    if (result) return result;
    pthread_mutex_lock(&driver.mutex);
    *value = context_current()->limit[limit];
    pthread_mutex_unlock(&driver.mutex);
    return CUDA_SUCCESS;
}

CUresult do_cuCtxSetLimit(CUlimit limit, size_t value) {
    CUcontext context = context_current();
    CUresult result = check(&value, limit);
    if (result) return result;
    if (limit == CU_LIMIT_STACK_SIZE && value > STACK_MOST) return CUDA_ERROR_INVALID_VALUE;
    if (limit == CU_LIMIT_STACK_SIZE) {
        value = (value + STACK_UNIT - 1) / STACK_UNIT * STACK_UNIT;
        streams_wait(context); /* no thread runs on a stack that goes */
    }
    pthread_mutex_lock(&driver.mutex);
    if (limit == CU_LIMIT_STACK_SIZE) result = charge_context(context, limits_cost(value), 0);
    if (!result) context->limit[limit] = value;
    pthread_mutex_unlock(&driver.mutex);
    return result;
}
