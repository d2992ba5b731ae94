#include "limits.h"
#include "allocate.h"
#include "contexts.h"
#include "order.h"

#include <pthread.h>
#include <stddef.h>

enum { LEAST_STACK = 16 };

static struct { CUcontext context; size_t stack; } lowered[MAX_CONTEXTS];
static int count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of them; for the program's questions */

static CUresult set_in(CUcontext context, size_t stack) {
    CUcontext popped;
    CUresult result = driver()->cuCtxPushCurrent_v2(context);
    if (result) return result;
    result = driver()->cuCtxSetLimit(CU_LIMIT_STACK_SIZE, stack);
    driver()->cuCtxPopCurrent_v2(&popped);
    return result;
}

static size_t stack_of(CUcontext context) {
    CUcontext popped;
    size_t stack = 0;
    if (driver()->cuCtxPushCurrent_v2(context)) return 0;
    if (driver()->cuCtxGetLimit(&stack, CU_LIMIT_STACK_SIZE)) stack = 0;
    driver()->cuCtxPopCurrent_v2(&popped);
    return stack;
}

/* A context that will not is left as it is. */
void limits_lower(void) {
    CUcontext list[MAX_CONTEXTS];
    int contexts = contexts_list(list);
    pthread_mutex_lock(&mutex);
    for (int i = count = 0; i < contexts; i++) {
        size_t stack = stack_of(list[i]);
        if (stack <= LEAST_STACK || set_in(list[i], LEAST_STACK)) continue;
        lowered[count].context = list[i];
        lowered[count++].stack = stack;
    }
    pthread_mutex_unlock(&mutex);
}

/* A context that has failed is beyond that. */
CUresult limits_restore(void) {
    CUresult result = CUDA_SUCCESS;
    int done = 0;
    pthread_mutex_lock(&mutex);
    while (done < count && !result) {
        result = set_in(lowered[done].context, lowered[done].stack);
        if (context_has_failed(result)) lowered[done] = lowered[--count], result = CUDA_SUCCESS;
        else done += !result;
    }
    while (result && done) set_in(lowered[--done].context, LEAST_STACK);
    if (!result) count = 0;
    pthread_mutex_unlock(&mutex);
    return result;
}

void limits_context_gone(CUcontext context) {
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count; i++)
        if (lowered[i].context == context) lowered[i--] = lowered[--count];
    pthread_mutex_unlock(&mutex);
}

void limits_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    count = 0;
}

/* 0: its limit is as the driver says. */
static size_t lowered_from(CUcontext context) {
    size_t stack = 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count; i++)
        if (lowered[i].context == context) stack = lowered[i].stack;
    pthread_mutex_unlock(&mutex);
    return stack;
}

EXPORT CUresult cuCtxGetLimit(size_t *value, CUlimit limit) {
    const struct driver *d = driver();
    CUcontext context = NULL;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    size_t stack = value && limit == CU_LIMIT_STACK_SIZE && !d->cuCtxGetCurrent(&context) ? lowered_from(context) : 0;
    if (!stack) return d->cuCtxGetLimit(value, limit);
    *value = stack;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = WITH_MEMORY(d->cuCtxSetLimit(limit, value));
    order_leave_memory(giving);
    return result;
}
