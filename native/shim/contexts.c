/* What a context takes along when it goes. */
#include "buffer.h"
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
        return d->name(context); \
    }
DESTROY(cuCtxDestroy)
DESTROY(cuCtxDestroy_v2)

#define LET_GO(name) \
    EXPORT CUresult name(CUdevice device) { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct ring *ring = engine_hold_primary(device); \
        CUresult result = d->name(device); \
        engine_release_primary(ring); \
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
