#define _GNU_SOURCE
#include "driver.h"
#include "settings.h"

#include <stdlib.h>

struct driver driver = {.mutex = PTHREAD_MUTEX_INITIALIZER, .forced_state = -1};

enum { STACK_DEPTH = 64 };
static _Thread_local CUcontext stack[STACK_DEPTH];
static _Thread_local int depth;
_Thread_local int in_host_function;

static void after_fork(void) { atomic_store(&driver.forked, 1); }

static CUresult start(void) {
    driver.machine = machine();
    if (!driver.machine) return CUDA_ERROR_SYSTEM_NOT_READY;
    if (driver.machine->devices == 0) return CUDA_ERROR_NO_DEVICE;
    driver.delay_us = (long)settings()->delay_us;
    for (int d = 0; d < MAX_DEVICES; d++) driver.physical[d] = d;
    CUresult result = memory_start();
    if (result) return result;
    restore_thread_start();
    if (!driver.slot) return CUDA_ERROR_OPERATING_SYSTEM;
    pthread_atfork(NULL, NULL, after_fork);
    return CUDA_SUCCESS;
}

CUresult do_cuInit(unsigned flags) {
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&driver.mutex);
    CUresult result = CUDA_SUCCESS;
    if (!atomic_load(&driver.ready)) {
        result = start();
        atomic_store(&driver.ready, result == CUDA_SUCCESS);
    }
    pthread_mutex_unlock(&driver.mutex);
    return result;
}

CUcontext context_current(void) { return depth ? stack[depth - 1] : NULL; }

CUresult context_check(void) {
    CUcontext current = context_current();
    if (!current) return CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&driver.mutex);
    int alive = current->alive;
    pthread_mutex_unlock(&driver.mutex);
    return alive ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

/* With driver.mutex held. */
static int known(CUcontext context) {
    for (CUcontext c = driver.contexts; c; c = c->next)
        if (c == context) return c->alive;
    return 0;
}

int context_known(CUcontext context) {
    pthread_mutex_lock(&driver.mutex);
    int found = known(context);
    pthread_mutex_unlock(&driver.mutex);
    return found;
}

/* With driver.mutex held; a dead context is used again. */
static CUcontext find(int device, int primary) {
    for (CUcontext c = driver.contexts; c; c = c->next)
        if (c->device == device && c->primary == primary && (primary || !c->alive)) return c;
    CUcontext c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->device = device;
    c->primary = primary;
    c->next = driver.contexts;
    driver.contexts = c;
    return c;
}

static CUresult revive(CUcontext context) {
    limits_reset(context);
    CUresult result = charge_context(context, limits_cost(context->limit[CU_LIMIT_STACK_SIZE]), 1);
    if (result) return result;
    atomic_store(&context->sticky, 0);
    context->alive = 1;
    context->standard = stream_open(context, CU_STREAM_DEFAULT);
    if (context->standard) {
        stream_make_standard(context->standard);
        return CUDA_SUCCESS;
    }
    context->alive = 0;
    charge_context(context, 0, -1);
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static void bury(CUcontext context) {
    streams_close(context);
    events_close(context);
    memory_drop_context(context);
    context->alive = 0;
    charge_context(context, 0, -1);
}

CUresult do_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&driver.mutex);
    CUcontext c = find(device, 1);
    CUresult result = !c ? CUDA_ERROR_OUT_OF_MEMORY : c->alive ? CUDA_SUCCESS : revive(c);
    if (!result) {
        c->retained++;
        *context = c;
    }
    pthread_mutex_unlock(&driver.mutex);
    return result;
}

CUresult do_cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&driver.mutex);
    CUcontext c = find(device, 1);
    CUresult result = c && c->alive ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    if (!result && --c->retained == 0) bury(c);
    pthread_mutex_unlock(&driver.mutex);
    return result;
}

CUresult do_cuDevicePrimaryCtxReset_v2(CUdevice device) {
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&driver.mutex);
    CUcontext c = find(device, 1);
    if (c && c->alive) bury(c);
    if (c) c->retained = 0;
    pthread_mutex_unlock(&driver.mutex);
    return c ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult do_cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&driver.mutex);
    CUcontext c = find(device, 1);
    if (c) c->flags = flags;
    pthread_mutex_unlock(&driver.mutex);
    return c ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult do_cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!flags || !active) return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&driver.mutex);
    CUcontext c = find(device, 1);
    *flags = c ? c->flags : 0;
    *active = c && c->alive;
    pthread_mutex_unlock(&driver.mutex);
    return CUDA_SUCCESS;
}

static CUresult push(CUcontext context) {
    if (depth == STACK_DEPTH) return CUDA_ERROR_OUT_OF_MEMORY;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

CUresult do_cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    pthread_mutex_lock(&driver.mutex);
    CUcontext c = find(device, 0);
    CUresult result = c ? revive(c) : CUDA_ERROR_OUT_OF_MEMORY;
    if (!result) {
        c->flags = flags;
        *context = c;
        result = push(c);
    }
    pthread_mutex_unlock(&driver.mutex);
    return result;
}

CUresult do_cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *params, unsigned flags, CUdevice device) {
    if (params && (params->numExecAffinityParams || params->cigParams)) return CUDA_ERROR_NOT_SUPPORTED;
    return do_cuCtxCreate_v2(context, flags, device);
}

CUresult do_cuCtxDestroy_v2(CUcontext context) {
    pthread_mutex_lock(&driver.mutex);
    CUresult result = known(context) && !context->primary ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
    if (!result) bury(context);
    pthread_mutex_unlock(&driver.mutex);
    if (!result && context_current() == context) depth--;
    return result;
}

CUresult do_cuCtxPushCurrent_v2(CUcontext context) {
    return context_known(context) ? push(context) : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult do_cuCtxPopCurrent_v2(CUcontext *context) {
    if (!depth) return CUDA_ERROR_INVALID_CONTEXT;
    depth--;
    if (context) *context = stack[depth];
    return CUDA_SUCCESS;
}

CUresult do_cuCtxSetCurrent(CUcontext context) {
    if (context && !context_known(context)) return CUDA_ERROR_INVALID_CONTEXT;
    if (depth) depth--;
    return context ? push(context) : CUDA_SUCCESS;
}

CUresult do_cuCtxGetCurrent(CUcontext *context) {
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    *context = context_current();
    return CUDA_SUCCESS;
}

CUresult do_cuCtxGetDevice(CUdevice *device) {
    if (!device) return CUDA_ERROR_INVALID_VALUE;
    *device = context_current()->device;
    return CUDA_SUCCESS;
}

CUresult do_cuCtxSynchronize(void) {
    CUcontext context = context_current();
    CUresult result = capture_forbids_wait(context, NULL);
    if (result) return result;
    streams_wait(context);
    pools_settle();
    return (CUresult)atomic_load(&context->sticky);
}
