/* The program's own virtual memory management, as its tests use it. */
#ifndef TORPOR_TESTS_VIRTUAL_H
#define TORPOR_TESTS_VIRTUAL_H

#include "harness.h"

typedef CUmemGenericAllocationHandle handle_t; /* as long a name would hide what is done */

static inline CUmemAllocationProp prop_on(int device) {
    CUmemAllocationProp prop;
    memset(&prop, 0, sizeof prop);
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
    return prop;
}

static inline handle_t made(size_t bytes) {
    handle_t handle = 0;
    CUmemAllocationProp prop = prop_on(0);
    OK(cu.cuMemCreate(&handle, bytes, &prop, 0));
    return handle;
}

static inline CUdeviceptr reserved(size_t bytes) {
    CUdeviceptr va = 0;
    OK(cu.cuMemAddressReserve(&va, bytes, 0, 0, 0));
    return va;
}

static inline CUresult allow_on(int device, CUdeviceptr at, size_t bytes, int flags) {
    CUmemAccessDesc one = {{CU_MEM_LOCATION_TYPE_DEVICE, device}, (CUmemAccess_flags)flags};
    return cu.cuMemSetAccess(at, bytes, &one, 1);
}

static inline CUresult allow(CUdeviceptr at, size_t bytes) { return allow_on(0, at, bytes, CU_MEM_ACCESS_FLAGS_PROT_READWRITE); }

static inline int allowed_on(int device, CUdeviceptr at) {
    unsigned long long flags = 99;
    CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
    OK(cu.cuMemGetAccess(&flags, &location, at));
    return (int)flags;
}

static inline void mapped_at(CUdeviceptr at, size_t bytes, handle_t handle) {
    OK(cu.cuMemMap(at, bytes, 0, handle, 0));
    OK(allow(at, bytes));
}

static inline CUdeviceptr mapped(size_t bytes, handle_t handle) {
    CUdeviceptr va = reserved(bytes);
    mapped_at(va, bytes, handle);
    return va;
}

#endif
