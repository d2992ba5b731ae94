/* Peer access reaches allocations as they are made; to what the shim maps it has to be granted one by one. */
#include "allocate.h"
#include "order.h"

static uint64_t accessors[MAX_DEVICES]; /* with the blocks' lock: by owner, which other devices */

uint64_t peers_of(CUdevice device) {
    pthread_rwlock_rdlock(&blocks_lock);
    uint64_t mask = accessors[device] | 1ULL << device;
    pthread_rwlock_unlock(&blocks_lock);
    return mask;
}

static int device_of(CUcontext context, CUdevice *device) {
    CUcontext popped;
    if (driver()->cuCtxPushCurrent_v2(context)) return 0;
    CUresult result = driver()->cuCtxGetDevice(device);
    driver()->cuCtxPopCurrent_v2(&popped);
    return !result && *device >= 0 && *device < MAX_DEVICES;
}

static CUresult change(struct mapping *m, CUdevice accessor, CUmemAccess_flags access) {
    CUmemAccessDesc one = {{CU_MEM_LOCATION_TYPE_DEVICE, accessor}, access};
    CUresult result = driver()->cuMemSetAccess(m->base, m->size, &one, 1);
    if (result) return result;
    if (access) m->readers |= 1ULL << accessor, m->writers |= 1ULL << accessor;
    else m->readers &= ~(1ULL << accessor), m->writers &= ~(1ULL << accessor);
    return CUDA_SUCCESS;
}

/* A pool has accesses of its own. */
static CUresult change_all(CUdevice owner, CUdevice accessor, CUmemAccess_flags access) {
    CUresult result = CUDA_SUCCESS;
    pthread_rwlock_wrlock(&blocks_lock);
    if (access) accessors[owner] |= 1ULL << accessor;
    else accessors[owner] &= ~(1ULL << accessor);
    for (struct mapping *m = mapping_next(0); m && !result; m = mapping_next(m->base + m->size))
        if (m->request.bytes && !m->request.pool && m->block->prop.location.id == owner) result = change(m, accessor, access);
    pthread_rwlock_unlock(&blocks_lock);
    return result;
}

static int let_reach(CUdevice accessor, CUdeviceptr address) {
    int can = 0;
    pthread_rwlock_wrlock(&blocks_lock);
    struct mapping *m = address ? mapping_at(address) : NULL;
    CUdevice owner = m && m->request.bytes ? m->block->prop.location.id : accessor;
    int changed = owner != accessor && !(m->writers >> accessor & 1) && driver()->cuDeviceCanAccessPeer && !driver()->cuDeviceCanAccessPeer(&can, accessor, owner) && can &&
                  !change(m, accessor, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    pthread_rwlock_unlock(&blocks_lock);
    return changed;
}

int peers_let_reach(CUdeviceptr to, CUdeviceptr from) {
    CUdevice accessor;
    if (!driver()->can_park || driver()->cuCtxGetDevice(&accessor) || accessor >= MAX_DEVICES) return 0;
    int reached = let_reach(accessor, to);
    return let_reach(accessor, from) || reached;
}

static CUresult follow(CUcontext peer, CUmemAccess_flags access) {
    CUdevice owner, accessor;
    if (!driver()->can_park || driver()->cuCtxGetDevice(&accessor) || accessor >= MAX_DEVICES || !device_of(peer, &owner)) return CUDA_SUCCESS;
    return change_all(owner, accessor, access);
}

EXPORT CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuCtxEnablePeerAccess(peer, flags);
    if (!result && (result = follow(peer, CU_MEM_ACCESS_FLAGS_PROT_READWRITE))) d->cuCtxDisablePeerAccess(peer);
    order_leave(giving);
    return result;
}

EXPORT CUresult cuCtxDisablePeerAccess(CUcontext peer) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuCtxDisablePeerAccess(peer);
    if (!result) result = follow(peer, CU_MEM_ACCESS_FLAGS_PROT_NONE);
    order_leave(giving);
    return result;
}
