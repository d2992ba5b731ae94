#include "spares.h"
#include "capture.h"
#include "kept.h"
#include "order.h"
#include "pool.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FITS_WITHIN = 8 /* a block may be larger than what it is used for by one part in so many */ };

pthread_mutex_t pools_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pool *pools;
static _Atomic int excess; /* some pool has more to spare than it should */

uint64_t spare_thread(void) {
    static _Atomic uint64_t threads;
    static _Thread_local uint64_t number;
    return number ? number : (number = atomic_fetch_add(&threads, 1) + 1);
}

struct pool *pool_first(void) { return pools; }

/* What the driver is asked on the way is no part of the program, and must not disturb a capture. */
static CUresult relaxed(CUresult (*ask)(CUevent), CUevent event) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    const struct driver *d = driver();
    if (d->cuThreadExchangeStreamCaptureMode(&mode)) return CUDA_ERROR_NOT_READY;
    CUresult result = ask(event);
    d->cuThreadExchangeStreamCaptureMode(&mode);
    return result;
}

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

static int is_done(struct spare *s) {
    if (s->event && relaxed(driver()->cuEventQuery, s->event) == CUDA_ERROR_NOT_READY) return 0;
    return 1;
}

static int is_next_in(const struct spare *s, CUcontext context, CUstream stream) {
    return s->stream == stream && s->context == context && (stream != CU_STREAM_PER_THREAD || s->thread == spare_thread());
}

static int fits(const struct spare *s, size_t size) { return s->piece.size >= size && s->piece.size - size <= size / FITS_WITHIN; }

static struct spare *unlink_at(struct pool *p, struct spare **link) {
    struct spare *s = *link;
    *link = s->next;
    p->spare_bytes -= s->piece.size;
    return s;
}

/* The first that may be used: what was freed last comes first. */
struct spare *spare_take(struct pool *p, size_t size, CUcontext context, CUstream stream) {
    for (struct spare **link = &p->spares; *link; link = &(*link)->next)
        if (fits(*link, size) && (is_next_in(*link, context, stream) || is_done(*link))) return unlink_at(p, link);
    return NULL;
}

void spare_drop(struct spare *s) {
    if (s->event) driver()->cuEventDestroy_v2(s->event);
    piece_drop(&s->piece);
    free(s);
}

void spares_look_for_excess(void) {
    int more = 0;
    for (struct pool *p = pools; p; p = p->next) more |= p->spare_bytes > (p->leaving ? 0 : p->threshold);
    atomic_store(&excess, more);
}

/* What was freed first goes first. */
void spares_trim(struct pool *p, uint64_t keep) {
    while (p->spare_bytes > keep) {
        struct spare **last = NULL;
        for (struct spare **link = &p->spares; *link; link = &(*link)->next)
            if (is_done(*link)) last = link;
        if (!last) return;
        spare_drop(unlink_at(p, last));
    }
}

void pools_trim(void) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool **link = &pools; *link;) {
        struct pool *p = *link;
        spares_trim(p, p->leaving ? 0 : p->threshold);
        if (p->leaving && !p->spares && !p->used) *link = p->next, free(p);
        else link = &p->next;
    }
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
}

void spare_put(struct pool *p, struct spare *s) {
    s->next = p->spares;
    p->spares = s;
    p->spare_bytes += s->piece.size;
}

struct pool *pool_of_nobody(CUdevice device) {
    struct pool *p = pools;
    while (p && (p->handle || p->device != device)) p = p->next;
    return p ? p : pool_add(NULL, device);
}

/* While the gate is closed nothing is unmapped; a later wait does it. */
static void trim_waited(void) {
    struct giving *giving = order_enter_memory_now();
    if (!giving) return;
    pools_trim();
    order_leave(giving);
}

int pools_give_up(CUdevice device) {
    int dropped = kept_give_up(device);
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        while (p->device == device && p->spares) {
            if (p->spares->event) relaxed(driver()->cuEventSynchronize, p->spares->event);
            spare_drop(unlink_at(p, &p->spares));
            dropped++;
        }
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    return dropped;
}

void pools_empty(void) {
    for (CUdevice device = 0; device < MAX_DEVICES; device++) kept_give_up(device);
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        while (p->spares) spare_drop(unlink_at(p, &p->spares));
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
}

/* A new stream may get the handle, whose work does not come after. */
void pools_stream_gone(CUstream stream) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        for (struct spare *s = p->spares; s; s = s->next)
            if (s->stream == stream) s->stream = NULL;
    pthread_mutex_unlock(&pools_mutex);
}

/* Its events went with it, and so did its work. */
void pools_context_gone(CUcontext context) {
    pthread_mutex_lock(&pools_mutex);
    for (struct pool *p = pools; p; p = p->next)
        for (struct spare *s = p->spares; s; s = s->next)
            if (s->context == context) s->event = NULL, s->stream = NULL;
    pthread_mutex_unlock(&pools_mutex);
}

void pools_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    pools_mutex = unlocked;
    pools = NULL;
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
