#include "spares.h"
#include "kept.h"
#include "order.h"
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

struct pool *pool_add(CUmemoryPool handle, CUdevice device) {
    struct pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    *p = (struct pool){.next = pools, .handle = handle, .device = device, .accessors = 1ULL << device};
    if (handle) driver()->cuMemPoolGetAttribute(handle, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &p->threshold);
    return pools = p;
}

struct pool *pool_of_nobody(CUdevice device) {
    struct pool *p = pools;
    while (p && (p->handle || p->device != device)) p = p->next;
    return p ? p : pool_add(NULL, device);
}

static uint64_t keeps(const struct pool *p) { return p->leaving ? 0 : p->threshold; }

void spares_look_for_excess(void) {
    int more = 0;
    for (struct pool *p = pools; p; p = p->next) more |= p->leaving ? !p->chunks || p->idle : p->idle && p->reserved > p->threshold;
    atomic_store(&excess, more);
}

/* Never below what is to be kept. */
void spares_trim(struct pool *p, uint64_t keep) {
    for (struct chunk *c = p->chunks, *next; c && p->idle; c = next) {
        next = c->next;
        if (!c->taken && p->reserved - c->size >= keep && chunk_is_done(c)) chunk_drop(c);
    }
}

void pools_trim(void) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool **link = &pools; *link;) {
        struct pool *p = *link;
        spares_trim(p, keeps(p));
        if (p->leaving && !p->chunks) *link = p->next, free(p);
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
    order_leave(giving);
}

/* How many. */
static int drop_idle(struct pool *p, void (*before)(struct chunk *)) {
    int dropped = 0;
    for (struct chunk *c = p->chunks, *next; c; c = next) {
        next = c->next;
        if (c->taken) continue;
        if (before) before(c);
        chunk_drop(c);
        dropped++;
    }
    return dropped;
}

/* What waits for its streams in chunks that are used may do for who asks, too. */
static int await_frees(struct pool *p) {
    int waited = 0;
    for (struct part *t = p->frees; t; t = t->next_free)
        if (!mark_is_done(t->mark, 0)) mark_await(t->mark), waited++;
    return waited;
}

int pools_give_up(CUdevice device) {
    int gained = kept_give_up(device);
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        if (p->device == device) gained += drop_idle(p, chunk_await), gained += await_frees(p);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    return gained;
}

void pools_empty(void) {
    for (CUdevice device = 0; device < MAX_DEVICES; device++) kept_give_up(device);
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next) drop_idle(p, NULL);
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

/* A new stream may get the handle, whose work does not come after. */
void pools_stream_gone(CUstream stream) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        for (struct part *t = p->frees; t; t = t->next_free)
            if (t->mark && t->mark->stream == stream) t->mark->stream = NULL;
    pthread_mutex_unlock(&pools_mutex);
}

void pools_context_gone(CUcontext context) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        for (struct part *t = p->frees; t; t = t->next_free)
            if (t->mark && t->mark->context == context) mark_context_gone(t->mark);
    marks_context_gone(context);
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
