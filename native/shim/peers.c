/* Peer access reaches allocations as they are made; to what the shim maps it has to be granted one by one. It is a context's, to the
 * memory of another one; a mapping's is a device's, so that it lasts as long as any of the device's contexts has it. */
#include "allocate.h"
#include "order.h"

#include <stdlib.h>

/* With the blocks' lock. */
static struct pair { struct pair *next; CUcontext context, peer; CUdevice accessor; } *pairs;

static uint64_t reaching(CUcontext owner) {
    uint64_t devices = 0;
    for (struct pair *p = pairs; p; p = p->next)
        if (p->peer == owner) devices |= 1ULL << p->accessor;
    return devices;
}

uint64_t peers_of(CUcontext owner, CUdevice device) {
    pthread_rwlock_rdlock(&blocks_lock);
    uint64_t mask = reaching(owner) | 1ULL << device;
    pthread_rwlock_unlock(&blocks_lock);
    return mask;
}

static CUresult change(struct mapping *m, CUdevice accessor, CUmemAccess_flags access) {
    uint64_t bit = 1ULL << accessor;
    return mapping_change_access(m, access ? m->readers | bit : m->readers & ~bit, access ? m->writers | bit : m->writers & ~bit);
}

/* With the lock, to write: of the allocations of a context, but not of what a pool has given, which has accesses of its own. */
static CUresult change_all(CUcontext owner, CUdevice accessor, CUmemAccess_flags access) {
    CUresult result = CUDA_SUCCESS;
    for (struct mapping *m = mapping_next(0); m && !result; m = mapping_next(m->base + m->size))
        if (m->request.bytes && !m->request.pool && m->request.context == owner) result = change(m, accessor, access);
    return result;
}

static int add(CUcontext context, CUcontext peer, CUdevice accessor) {
    struct pair *p = malloc(sizeof *p);
    if (p) *p = (struct pair){pairs, context, peer, accessor}, pairs = p;
    return p != NULL;
}

/* The next that matches, out of the list; NULL stands for any. 0: there is none. */
static int take(CUcontext context, CUcontext peer, struct pair *taken) {
    struct pair **link = &pairs;
    while (*link && ((context && (*link)->context != context) || (peer && (*link)->peer != peer))) link = &(*link)->next;
    struct pair *p = *link;
    if (!p) return 0;
    *taken = *p;
    *link = p->next;
    free(p);
    return 1;
}

/* What another context of the device has still, stays. */
static CUresult take_back(const struct pair *p) {
    return reaching(p->peer) >> p->accessor & 1 ? CUDA_SUCCESS : change_all(p->peer, p->accessor, CU_MEM_ACCESS_FLAGS_PROT_NONE);
}

void peers_context_gone(CUcontext context) {
    struct pair taken;
    pthread_rwlock_wrlock(&blocks_lock);
    while (take(context, NULL, &taken)) take_back(&taken);
    while (take(NULL, context, &taken)) continue; /* its memory went with it */
    pthread_rwlock_unlock(&blocks_lock);
}

/* The memory is the parent's. */
void peers_after_fork(void) { pairs = NULL; }

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

/* The current context, where the shim keeps account of it. */
static int is_counted(CUcontext *context, CUdevice *device) {
    const struct driver *d = driver();
    return d->can_park && !d->cuCtxGetCurrent(context) && *context && !d->cuCtxGetDevice(device) && *device >= 0 && *device < MAX_DEVICES;
}

static CUresult grant(CUcontext peer) {
    CUcontext context;
    CUdevice accessor;
    struct pair taken;
    if (!is_counted(&context, &accessor)) return CUDA_SUCCESS;
    pthread_rwlock_wrlock(&blocks_lock);
    CUresult result = add(context, peer, accessor) ? change_all(peer, accessor, CU_MEM_ACCESS_FLAGS_PROT_READWRITE) : CUDA_ERROR_OUT_OF_MEMORY;
    if (result && take(context, peer, &taken)) take_back(&taken);
    pthread_rwlock_unlock(&blocks_lock);
    return result;
}

static CUresult revoke(CUcontext peer) {
    CUcontext context;
    CUdevice accessor;
    struct pair taken;
    if (!is_counted(&context, &accessor)) return CUDA_SUCCESS;
    pthread_rwlock_wrlock(&blocks_lock);
    CUresult result = take(context, peer, &taken) ? take_back(&taken) : CUDA_SUCCESS;
    pthread_rwlock_unlock(&blocks_lock);
    return result;
}

EXPORT CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuCtxEnablePeerAccess(peer, flags);
    if (!result && (result = grant(peer))) d->cuCtxDisablePeerAccess(peer);
    order_leave_memory(giving);
    return result;
}

EXPORT CUresult cuCtxDisablePeerAccess(CUcontext peer) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuCtxDisablePeerAccess(peer);
    if (!result) result = revoke(peer);
    order_leave_memory(giving);
    return result;
}
