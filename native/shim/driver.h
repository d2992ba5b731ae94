/* The real driver behind the shim. */
#ifndef TORPOR_DRIVER_H
#define TORPOR_DRIVER_H

#include "../abi/cuda_functions.h"
#include "hooks.h"

#define EXPORT __attribute__((visibility("default")))
/* What runs before a sanitizer's own library is ready. */
#define EARLY __attribute__((no_sanitize("thread"), no_sanitize("address"), no_sanitize("undefined")))

/* Declared here as far as the shim goes: it hands their arguments on. */
typedef CUresult get_proc_address(const char *symbol, void **pfn, int version, cuuint64_t flags);
typedef CUresult ctx_from_green_ctx(CUcontext *context, void *green);
typedef CUresult begin_capture(CUstream stream);
typedef CUresult ctx_create_v3(CUcontext *context, void *affinity, int count, unsigned flags, CUdevice device);
typedef CUresult multicast_create(CUmemGenericAllocationHandle *handle, const void *prop);
typedef CUresult multicast_bind_mem(CUmemGenericAllocationHandle multicast, size_t at, CUmemGenericAllocationHandle handle, size_t offset, size_t size, unsigned long long flags);
typedef CUresult multicast_bind_mem_v2(CUmemGenericAllocationHandle multicast, CUdevice device, size_t at, CUmemGenericAllocationHandle handle, size_t offset, size_t size, unsigned long long flags);
typedef CUresult multicast_bind_addr(CUmemGenericAllocationHandle multicast, size_t at, CUdeviceptr address, size_t size, unsigned long long flags);
typedef CUresult multicast_bind_addr_v2(CUmemGenericAllocationHandle multicast, CUdevice device, size_t at, CUdeviceptr address, size_t size, unsigned long long flags);
typedef CUresult begin_capture_to_graph(CUstream stream, CUgraph graph, const void *dependencies, const void *data, size_t count, CUstreamCaptureMode mode);
typedef CUresult begin_recapture(CUstream stream, CUstreamCaptureMode mode, CUgraph graph, void *callback, void *data);

/* CUlaunchConfig, as far as the stream. */
struct launch_config {
    unsigned grid[3], block[3], shared;
    CUstream stream;
};
#define WORK_PROTOTYPE(name, stream, parameters, arguments) CUresult name parameters;
WORK(WORK_PROTOTYPE)
#undef WORK_PROTOTYPE
#define PROTOTYPE(name, parameters, arguments) CUresult name parameters;
BUILDS(PROTOTYPE)
MAKES(PROTOTYPE)
#undef PROTOTYPE
CUresult cuStreamSynchronize_ptsz(CUstream stream);
CUresult cuCtxSynchronize_v2(CUcontext context);

/* What this driver lacks is NULL, or for a hook a function that says so; neither is given to a program that asks for it. */
struct driver {
#define POINTER(name, like, ...) __typeof__(like) *name;
#define WORK_POINTER(name, ...) __typeof__(name) *name;
    COPIES(POINTER) OTHERS(POINTER) ALLOCATIONS(POINTER) POOLS(POINTER) VIRTUAL(POINTER) CALLED(POINTER) OPTIONAL(POINTER)
    WORK(WORK_POINTER) WAITS(WORK_POINTER) BUILDS(WORK_POINTER) MAKES(WORK_POINTER)
#undef WORK_POINTER
#undef POINTER
    int complete; /* has all that the engine calls */
    int can_park; /* and all that parking calls */
};

/* NULL as long as no libcuda.so.1 is loaded. It is never unloaded afterwards. */
const struct driver *driver(void);

/* Libraries that were opened with RTLD_DEEPBIND are bound to the driver itself: from here on those that are loaded by now call the
 * wrappers. May wait for a dlopen() of another thread. */
void driver_bind_libraries(void);

/* What to hand out for a function that the driver or the loader has answered: the wrapper, or the function itself. */
void *stand_in(void *function);

#endif
