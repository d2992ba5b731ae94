/* Another interposer: it counts allocations, fills and frees, and passes them on to what comes after it, or to what it finds in the driver's library. */
#define _GNU_SOURCE
#include "../abi/cuda_functions.h"

#include <dlfcn.h>
#include <stdatomic.h>

#define VISIBLE __attribute__((visibility("default")))

static _Atomic int calls;

#ifdef BY_HANDLE
#define NEXT(name) ((__typeof__(name) *)dlsym(dlopen("libcuda.so.1", RTLD_LAZY), #name))
#else
#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
#endif

VISIBLE int counter_calls(void) { return atomic_load(&calls); }

#define COUNTED(name, parameters, arguments) \
    VISIBLE CUresult name parameters { \
        static _Thread_local int depth; \
        if (depth++) return depth--, CUDA_ERROR_UNKNOWN; /* it comes back to itself */ \
        atomic_fetch_add(&calls, 1); \
        CUresult result = NEXT(name) arguments; \
        depth--; \
        return result; \
    }
COUNTED(cuMemAlloc_v2, (CUdeviceptr *memory, size_t bytes), (memory, bytes))
COUNTED(cuMemCreate, (CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *prop, unsigned long long flags), (handle, size, prop, flags))
COUNTED(cuMemFree_v2, (CUdeviceptr memory), (memory))
COUNTED(cuMemsetD8_v2, (CUdeviceptr memory, unsigned char value, size_t count), (memory, value, count))
