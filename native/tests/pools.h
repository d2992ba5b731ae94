/* What the tests of pools share. */
#ifndef TORPOR_TESTS_POOLS_H
#define TORPOR_TESTS_POOLS_H

#include "harness.h"

static inline uint64_t figure(CUmemoryPool pool, CUmemPool_attribute attribute) {
    cuuint64_t value = UINT64_MAX;
    OK(cu.cuMemPoolGetAttribute(pool, attribute, &value));
    return value;
}

static inline uint64_t used(CUmemoryPool pool) { return figure(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT); }
static inline uint64_t reserved(CUmemoryPool pool) { return figure(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT); }

static inline CUresult set(CUmemoryPool pool, CUmemPool_attribute attribute, cuuint64_t value) { return cu.cuMemPoolSetAttribute(pool, attribute, &value); }

static inline CUmemPoolProps props_of(int device) {
    CUmemPoolProps props;
    memset(&props, 0, sizeof props);
    props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
    return props;
}

static inline CUmemoryPool made_pool_on(int device) {
    CUmemoryPool pool = NULL;
    CUmemPoolProps props = props_of(device);
    OK(cu.cuMemPoolCreate(&pool, &props));
    return pool;
}

static inline CUmemoryPool made_pool(void) { return made_pool_on(0); }

/* One that keeps everything. */
static inline CUmemoryPool keeping_pool(void) {
    CUmemoryPool pool = made_pool();
    OK(set(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, UINT64_MAX));
    return pool;
}

static inline CUdeviceptr taken(size_t bytes, CUmemoryPool pool, CUstream s) {
    CUdeviceptr d = 0;
    OK(cu.cuMemAllocFromPoolAsync(&d, bytes, pool, s));
    return d;
}

#endif
