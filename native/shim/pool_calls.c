/* What a program says to its pools and asks of them: the driver's pool and the shim's are one. */
#include "order.h"
#include "pool.h"
#include "shared.h"
#include "spares.h"

EXPORT CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolCreate(pool, props);
    if (result || !pool || !props) return result;
    int ours = props->allocType == CU_MEM_ALLOCATION_TYPE_PINNED && !props->handleTypes && !props->maxSize && !props->usage &&
               props->location.type == CU_MEM_LOCATION_TYPE_DEVICE && props->location.id >= 0 && props->location.id < MAX_DEVICES;
    pthread_mutex_lock(&pools_mutex);
    if (ours) pool_add(*pool, props->location.id);
    pthread_mutex_unlock(&pools_mutex);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemPoolDestroy(CUmemoryPool pool) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    pthread_mutex_lock(&pools_mutex); /* its handle may come again at once, and nobody gets that without the mutex */
    CUresult result = d->cuMemPoolDestroy(pool);
    struct pool *p = result ? NULL : pool_find(pool);
    if (p) p->leaving = 1;
    if (!result) shared_pool_gone(pool);
    pthread_mutex_unlock(&pools_mutex);
    if (p) pools_trim();
    return result;
}

/* With the mutex. NULL: of this the driver tells alone. */
static const uint64_t *share(const struct pool *p, CUmemPool_attribute attribute) {
    switch ((int)attribute) {
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT: return &p->used;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH: return &p->used_high;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT: return &p->reserved;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH: return &p->reserved_high;
    default: return NULL;
    }
}

EXPORT CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolGetAttribute(pool, attribute, value);
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = result || !value ? NULL : pool_find(pool);
    const uint64_t *more = p ? share(p, attribute) : NULL;
    if (more) *(cuuint64_t *)value += *more;
    pthread_mutex_unlock(&pools_mutex);
    return result;
}

EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolSetAttribute(pool, attribute, value);
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = result || !value ? NULL : pool_find(pool);
    if (p && attribute == CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC) p->patient = !*(int *)value;
    if (p && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) p->threshold = *(cuuint64_t *)value;
    if (p && attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH) p->used_high = p->used;
    if (p && attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) p->reserved_high = p->reserved;
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    return result;
}

EXPORT CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMemPoolTrimTo(pool, keep);
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = result ? NULL : pool_find(pool);
    if (p) spares_trim(p, keep);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    order_leave_memory(giving);
    return result;
}

/* A pool that the shim does not know yet is asked for its accesses when it comes to know it. */
static CUresult follow(CUmemoryPool handle) {
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = pool_find(handle);
    CUresult result = p ? pool_learn_access(p) : CUDA_SUCCESS;
    pthread_mutex_unlock(&pools_mutex);
    return result;
}

EXPORT CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *list, size_t count) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMemPoolSetAccess(pool, list, count);
    if (!result) result = follow(pool);
    order_leave_memory(giving);
    return result;
}
