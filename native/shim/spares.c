#include "spares.h"
#include "kept.h"
#include "order.h"
#include "pitch.h"
#include "pool.h"

#include <stdatomic.h>
#include <stdlib.h>

pthread_mutex_t pools_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pool *pools;
static _Atomic int excess; /* some pool has more to spare than it should */

struct pool *pool_find(CUmemoryPool handle) {
    struct pool *p = pools;
    while (p && (p->handle != handle || p->leaving)) p = p->next;
    return p;
}

/* The driver knows, however the program has told it, and when. */
static void ask_for_access(struct pool *p) {
    const struct driver *d = driver();
    int devices = 0;
    p->readers = p->writers = 1ULL << p->device;
    if (!p->handle || !d->cuMemPoolGetAccess || d->cuDeviceGetCount(&devices)) return;
    for (int device = 0; device < devices && device < MAX_DEVICES; device++) {
        CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
        CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
        if (device == p->device || d->cuMemPoolGetAccess(&flags, p->handle, &location)) continue;
        if (flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE) p->writers |= 1ULL << device;
        if (flags) p->readers |= 1ULL << device;
    }
}

CUresult pool_learn_access(struct pool *p) {
    CUresult result = CUDA_SUCCESS;
    ask_for_access(p);
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct chunk *c = p->chunks; c; c = c->next) {
        CUresult one = mapping_change_access(mapping_at(c->base), p->readers, p->writers);
        if (one) result = one;
    }
    pthread_rwlock_unlock(&blocks_lock);
    return result;
}

struct pool *pool_add(CUmemoryPool handle, CUdevice device) {
    struct pool *p = calloc(1, sizeof *p);
    int opportunistic = 1;
    if (!p) return NULL;
    *p = (struct pool){.next = pools, .handle = handle, .device = device};
    ask_for_access(p);
    if (handle) driver()->cuMemPoolGetAttribute(handle, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &p->threshold);
    if (handle) driver()->cuMemPoolGetAttribute(handle, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &opportunistic);
    p->patient = !opportunistic;
    return pools = p;
}

struct pool *pool_of_nobody(CUdevice device) {
    struct pool *p = pools;
    while (p && (p->handle || p->device != device)) p = p->next;
    return p ? p : pool_add(NULL, device);
}

static void pool_forget(struct pool *p) {
    for (struct frees *f = p->pending, *next; f; f = next) next = f->next, free(f);
    free(p);
}

static uint64_t keeps(const struct pool *p) { return p->leaving ? 0 : p->threshold; }

void spares_look_for_excess(void) {
    int more = 0;
    for (struct pool *p = pools; p; p = p->next) {
        more |= p->leaving ? !p->chunks || p->idle : p->idle && p->reserved > p->threshold;
        more |= p->patient && p->pending;
    }
    atomic_store(&excess, more);
}

/* Never below what is to be kept. */
void spares_trim(struct pool *p, uint64_t keep) {
    parts_settle(p);
    for (struct chunk *c = p->chunks, *next; c && p->idle; c = next) {
        next = c->next;
        if (p->reserved - c->size >= keep && chunk_is_done(c)) chunk_drop(c);
    }
}

void pools_trim(void) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool **link = &pools; *link;) {
        struct pool *p = *link;
        spares_trim(p, keeps(p));
        if (p->leaving && !p->chunks) *link = p->next, pool_forget(p);
        else link = &p->next;
    }
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
}

/* While the gate is closed nothing is unmapped; a later wait does it. */
static void trim_waited(void) {
    struct giving *giving = order_enter_memory_now();
    if (!giving) return;
    pools_trim();
    order_leave_memory(giving);
}

static int is_idle(const struct chunk *c) { return !c->taken; }

/* How many. */
static int drop(struct pool *p, int (*which)(const struct chunk *)) {
    int dropped = 0;
    for (struct chunk *c = p->chunks, *next; c; c = next) {
        next = c->next;
        if (which(c)) chunk_drop(c), dropped++;
    }
    return dropped;
}

static struct mark *latest_on(CUdevice device, uint64_t up_to) {
    struct mark *latest = NULL;
    for (struct pool *p = pools; p; p = p->next) {
        struct mark *m = p->device == device ? frees_latest(p, up_to) : NULL;
        if (m && (!latest || m->number > latest->number)) latest = m;
    }
    return latest;
}

/* With the mutex, but not while a stream is waited for: its work may need a thread that wants to allocate or free. The latest free of a
 * stream stands for those before it. How many were waited for. */
static int await_frees(CUdevice device) {
    int waited = 0;
    uint64_t up_to = marks_latest();
    for (struct mark *m; (m = latest_on(device, up_to));) {
        struct mark copy = *m;
        up_to = m->number - 1;
        m->references++;
        pthread_mutex_unlock(&pools_mutex);
        int reached = mark_await(&copy);
        pthread_mutex_lock(&pools_mutex);
        for (struct pool *p = pools; p && reached; p = p->next) frees_reached(p, &copy);
        waited += reached;
        mark_drop(m);
    }
    return waited;
}

int pools_give_up(CUdevice device) {
    int gained = kept_give_up(device);
    pthread_mutex_lock(&pools_mutex);
    gained += await_frees(device);
    for (struct pool *p = pools; p; p = p->next)
        if (p->device == device) parts_settle(p), gained += drop(p, chunk_is_done);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    return gained;
}

int pools_give_up_now(CUdevice device) {
    int gained = kept_give_up(device);
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        if (p->device == device) parts_settle(p), gained += drop(p, chunk_is_done);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    return gained;
}

void pools_empty(void) {
    for (CUdevice device = 0; device < MAX_DEVICES; device++) kept_give_up(device);
    pitches_free();
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next) drop(p, is_idle);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
}

static struct part *freed_meanwhile(const struct chunk *c) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct part *t = c->first;
    while (t && !t->request.freed) t = t->next;
    pthread_rwlock_unlock(&blocks_lock);
    return t;
}

static int is_parked(const struct chunk *c) {
    pthread_rwlock_rdlock(&blocks_lock);
    int parked = mapping_at(c->base)->block->parked;
    pthread_rwlock_unlock(&blocks_lock);
    return parked;
}

/* What is parked would come back for nobody. */
static void sweep_chunk(struct chunk *c) {
    for (struct part *t; (t = freed_meanwhile(c));) part_free(t, NULL);
    if (!c->taken && is_parked(c)) chunk_drop(c);
}

void pools_sweep(void) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        for (struct chunk *c = p->chunks, *next; c; c = next) {
            next = c->next;
            sweep_chunk(c);
        }
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
}

void pools_stream_gone(CUstream stream) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next) frees_stream_gone(p, stream);
    pthread_mutex_unlock(&pools_mutex);
}

void pools_context_leaves(CUcontext context) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next) frees_context_leaves(p, context, 1);
    marks_context_leaves(context);
    pthread_mutex_unlock(&pools_mutex);
}

void pools_context_stays(CUcontext context) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next) frees_context_leaves(p, context, 0);
    pthread_mutex_unlock(&pools_mutex);
}

void pools_context_gone(CUcontext context) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next) frees_context_gone(p, context);
    marks_context_leaves(context);
    pthread_mutex_unlock(&pools_mutex);
}

void pools_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    pools_mutex = unlocked;
    pools = NULL;
    marks_after_fork();
    atomic_store(&excess, 0);
}

#define WAIT(name, parameters, arguments) \
    EXPORT CUresult name parameters { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        CUresult result = d->name arguments; \
        if (atomic_load_explicit(&excess, memory_order_relaxed)) trim_waited(); \
        return result; \
    }
WAITS(WAIT)
