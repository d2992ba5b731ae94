/* What a context takes along when it goes. */
#include "buffer.h"
#include "capture.h"
#include "driver.h"
#include "engine.h"
#include "lifecycle.h"

EXPORT CUresult cuInit(unsigned flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuInit(flags);
    if (result) return result;
    lifecycle_own();
    buffer_watch();
    return CUDA_SUCCESS;
}

#define DESTROY(name) \
    EXPORT CUresult name(CUcontext context) { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        engine_close(context); \
        CUresult result = d->name(context); \
        if (!result) capture_context_gone(context); \
        return result; \
    }
DESTROY(cuCtxDestroy)
DESTROY(cuCtxDestroy_v2)

static int is_active(CUdevice device) {
    unsigned flags;
    int active = 0;
    return !driver()->cuDevicePrimaryCtxGetState(device, &flags, &active) && active;
}

/* The device's primary context, for what dies with it. NULL: there is none, or nobody asks. */
static CUcontext primary_that_captures(CUdevice device) {
    CUcontext context = NULL;
    if (!capturing() || !driver()->complete || !is_active(device)) return NULL;
    if (!driver()->cuDevicePrimaryCtxRetain(&context, device)) driver()->cuDevicePrimaryCtxRelease_v2(device);
    return context;
}

#define LET_GO(name) \
    EXPORT CUresult name(CUdevice device) { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        CUcontext primary = primary_that_captures(device); \
        struct ring *ring = engine_hold_primary(device); \
        CUresult result = d->name(device); \
        engine_release_primary(ring); \
        if (primary && !is_active(device)) capture_context_gone(primary); \
        return result; \
    }
LET_GO(cuDevicePrimaryCtxRelease)
LET_GO(cuDevicePrimaryCtxRelease_v2)
LET_GO(cuDevicePrimaryCtxReset)
LET_GO(cuDevicePrimaryCtxReset_v2)

/* A green context is destroyed under another handle, so that its end would not be seen. */
EXPORT CUresult cuCtxFromGreenCtx(CUcontext *context, void *green) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuCtxFromGreenCtx(context, green);
    if (!result) engine_refuse(*context);
    return result;
}
