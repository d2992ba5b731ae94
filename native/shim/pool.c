#include "pool.h"
#include "allocate.h"
#include "capture.h"
#include "order.h"
#include "statistics.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FITS_WITHIN = 8 /* a block may be larger than what it is used for by one part in so many */ };

/* A block that nobody uses. */
struct spare {
    struct spare *next;
    struct piece_of_device piece;
    CUevent event;      /* NULL: the GPU has done with it */
    CUcontext context;  /* of the event and the stream */
    CUstream stream;    /* whose next work comes after; NULL: no stream's does */
    uint64_t thread;    /* whose own stream it is */
};

struct pool {
    struct pool *next;
    CUmemoryPool handle;
    CUdevice device;
    int ours;    /* the shim serves it */
    int leaving; /* it was destroyed */
    uint64_t accessors, threshold, used, used_high, spare_bytes, high;
    struct spare *spares;
};

static struct pool *pools;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all pools; taken before the blocks' lock */
static _Atomic int excess; /* some pool has more to spare than it should */

/* Of a thread; no other ever has it, as one would have its place in memory. */
static uint64_t self(void) {
    static _Atomic uint64_t threads;
    static _Thread_local uint64_t number;
    return number ? number : (number = atomic_fetch_add(&threads, 1) + 1);
}

/* What the driver is asked on the way is no part of the program, and must not disturb a capture. */
static CUresult relaxed(CUresult (*ask)(CUevent), CUevent event) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    const struct driver *d = driver();
    if (d->cuThreadExchangeStreamCaptureMode(&mode)) return CUDA_ERROR_NOT_READY;
    CUresult result = ask(event);
    d->cuThreadExchangeStreamCaptureMode(&mode);
    return result;
}

/* All that follow: with the mutex. */
static struct pool *find(CUmemoryPool handle) {
    struct pool *p = pools;
    while (p && (p->handle != handle || p->leaving)) p = p->next;
    return p;
}

static struct pool *add(CUmemoryPool handle, CUdevice device, int ours) {
    struct pool *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    *p = (struct pool){.next = pools, .handle = handle, .device = device, .ours = ours, .accessors = 1ULL << device};
    if (handle) driver()->cuMemPoolGetAttribute(handle, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &p->threshold);
    return pools = p;
}

/* Pools that the program makes are seen when they are made. */
static struct pool *known(CUmemoryPool handle, CUdevice device) {
    CUmemoryPool standard = NULL;
    struct pool *p = find(handle);
    if (p || !driver()->cuDeviceGetDefaultMemPool || driver()->cuDeviceGetDefaultMemPool(&standard, device)) return p;
    return standard == handle ? add(handle, device, 1) : NULL;
}

static int is_done(struct spare *s) {
    if (s->event && relaxed(driver()->cuEventQuery, s->event) == CUDA_ERROR_NOT_READY) return 0;
    return 1;
}

static int is_next_in(const struct spare *s, CUcontext context, CUstream stream) {
    return s->stream == stream && s->context == context && (stream != CU_STREAM_PER_THREAD || s->thread == self());
}

static int fits(const struct spare *s, size_t size) { return s->piece.size >= size && s->piece.size - size <= size / FITS_WITHIN; }

static struct spare *unlink_at(struct pool *p, struct spare **link) {
    struct spare *s = *link;
    *link = s->next;
    p->spare_bytes -= s->piece.size;
    return s;
}

/* The first that may be used: what was freed last comes first. */
static struct spare *reuse(struct pool *p, size_t size, CUcontext context, CUstream stream) {
    for (struct spare **link = &p->spares; *link; link = &(*link)->next)
        if (fits(*link, size) && (is_next_in(*link, context, stream) || is_done(*link))) return unlink_at(p, link);
    return NULL;
}

static void drop(struct spare *s) {
    if (s->event) driver()->cuEventDestroy_v2(s->event);
    piece_drop(&s->piece);
    free(s);
}

static void look_for_excess(void) {
    int more = 0;
    for (struct pool *p = pools; p; p = p->next) more |= p->spare_bytes > (p->leaving ? 0 : p->threshold);
    atomic_store(&excess, more);
}

/* What was freed first goes first. */
static void trim(struct pool *p, uint64_t keep) {
    while (p->spare_bytes > keep) {
        struct spare **last = NULL;
        for (struct spare **link = &p->spares; *link; link = &(*link)->next)
            if (is_done(*link)) last = link;
        if (!last) return;
        drop(unlink_at(p, last));
    }
}

static void trim_all(void) {
    pthread_mutex_lock(&mutex);
    for (struct pool **link = &pools; *link;) {
        struct pool *p = *link;
        trim(p, p->leaving ? 0 : p->threshold);
        if (p->leaving && !p->spares && !p->used) *link = p->next, free(p);
        else link = &p->next;
    }
    look_for_excess();
    pthread_mutex_unlock(&mutex);
}

/* While the gate is closed nothing is unmapped; a later wait does it. */
static void trim_waited(void) {
    struct giving *giving = order_enter_memory_now();
    if (!giving) return;
    trim_all();
    order_leave(giving);
}

int pools_give_up(CUdevice device) {
    int dropped = 0;
    pthread_mutex_lock(&mutex);
    for (struct pool *p = pools; p; p = p->next)
        while (p->device == device && p->spares) {
            if (p->spares->event) relaxed(driver()->cuEventSynchronize, p->spares->event);
            drop(unlink_at(p, &p->spares));
            dropped++;
        }
    look_for_excess();
    pthread_mutex_unlock(&mutex);
    return dropped;
}

void pools_empty(void) {
    pthread_mutex_lock(&mutex);
    for (struct pool *p = pools; p; p = p->next)
        while (p->spares) drop(unlink_at(p, &p->spares));
    look_for_excess();
    pthread_mutex_unlock(&mutex);
}

/* A new stream may get the handle, whose work does not come after. */
void pools_stream_gone(CUstream stream) {
    pthread_mutex_lock(&mutex);
    for (struct pool *p = pools; p; p = p->next)
        for (struct spare *s = p->spares; s; s = s->next)
            if (s->stream == stream) s->stream = NULL;
    pthread_mutex_unlock(&mutex);
}

/* Its events went with it, and so did its work. */
void pools_context_gone(CUcontext context) {
    pthread_mutex_lock(&mutex);
    for (struct pool *p = pools; p; p = p->next)
        for (struct spare *s = p->spares; s; s = s->next)
            if (s->context == context) s->event = NULL, s->stream = NULL;
    pthread_mutex_unlock(&mutex);
}

void pools_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    pools = NULL;
    atomic_store(&excess, 0);
}

static void used_more(struct pool *p, uint64_t bytes) {
    p->used += bytes;
    if (p->used > p->used_high) p->used_high = p->used;
    if (p->used + p->spare_bytes > p->high) p->high = p->used + p->spare_bytes;
}

/* 0: there is none to be had. */
static int take(struct pool *p, size_t size, CUcontext context, CUstream stream, struct piece_of_device *piece, struct request *request) {
    struct spare *s = reuse(p, size, context, stream);
    request->from = p;
    if (s) {
        *piece = s->piece;
        if (s->event) driver()->cuEventDestroy_v2(s->event);
        free(s);
    } else if (piece_make(piece, p->device, size, p->accessors)) return 0;
    if (piece_register(piece, request)) return used_more(p, piece->size), 1;
    piece_drop(piece);
    return 0;
}

static int in_capture(CUstream stream) {
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    return capturing() && (driver()->cuStreamIsCapturing(stream, &status) || status != CU_STREAM_CAPTURE_STATUS_NONE);
}

static int is_of_context(CUstream stream, CUcontext context) {
    CUcontext its = NULL;
    if (stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD) return 1;
    return driver()->cuStreamGetCtx && !driver()->cuStreamGetCtx(stream, &its) && its == context;
}

/* pool: NULL for the device's own. 0: the driver is to answer. */
static int provided(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream) {
    struct piece_of_device piece;
    struct request request = {.bytes = bytes};
    CUcontext context;
    CUdevice device;
    if (!address || !allocation_wanted(bytes, &context, &device) || in_capture(stream) || !is_of_context(stream, context)) return 0;
    if (!pool && (!driver()->cuDeviceGetMemPool || driver()->cuDeviceGetMemPool(&pool, device))) return 0;
    request.pool = pool;
    for (int again = 1; again >= 0; again--) {
        pthread_mutex_lock(&mutex);
        struct pool *p = known(pool, device);
        int servable = p && p->ours && p->device == device, taken = servable && take(p, granules(bytes), context, stream, &piece, &request);
        look_for_excess();
        pthread_mutex_unlock(&mutex);
        if (taken) return *address = piece.base, 1;
        if (!servable || !pools_give_up(device)) return 0;
    }
    return 0;
}

#define MEMORY_CALL(call, provided_) \
    const struct driver *d = driver(); \
    CUresult result = CUDA_SUCCESS; \
    if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
    struct giving *giving = order_enter_memory(); \
    if (!(provided_)) { \
        result = d->call; \
        if (!result) count_left(bytes); \
    } \
    order_leave(giving); \
    return result

#define ALLOCATE(name, standard) EXPORT CUresult name(CUdeviceptr *address, size_t bytes, CUstream stream) { \
        MEMORY_CALL(name(address, bytes, stream), provided(address, bytes, NULL, stream ? stream : standard)); }
#define ALLOCATE_FROM(name, standard) EXPORT CUresult name(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream) { \
        MEMORY_CALL(name(address, bytes, pool, stream), pool && provided(address, bytes, pool, stream ? stream : standard)); }
ALLOCATE(cuMemAllocAsync, CU_STREAM_LEGACY)
ALLOCATE(cuMemAllocAsync_ptsz, CU_STREAM_PER_THREAD)
ALLOCATE_FROM(cuMemAllocFromPoolAsync, CU_STREAM_LEGACY)
ALLOCATE_FROM(cuMemAllocFromPoolAsync_ptsz, CU_STREAM_PER_THREAD)

/* Recorded where it was freed. What cannot be recorded is waited for. */
static void mark(struct spare *s, CUstream stream) {
    const struct driver *d = driver();
    CUresult result = d->cuEventCreate(&s->event, CU_EVENT_DISABLE_TIMING);
    if (result) s->event = NULL;
    else if ((result = d->cuEventRecord(s->event, stream))) d->cuEventDestroy_v2(s->event), s->event = NULL;
    if (result) d->cuStreamSynchronize(stream);
}

/* What was allocated without a pool and is freed in a stream is nobody's afterwards. */
static struct pool *nobodys(CUdevice device) {
    struct pool *p = pools;
    while (p && (p->handle || p->device != device)) p = p->next;
    return p ? p : add(NULL, device, 1);
}

static void add_spare(struct spare *s, const struct request *request) {
    CUdevice device = s->piece.prop.location.id;
    pthread_mutex_lock(&mutex);
    struct pool *p = request->from ? request->from : nobodys(device);
    if (request->from) p->used -= s->piece.size;
    if (p) s->next = p->spares, p->spares = s, p->spare_bytes += s->piece.size;
    look_for_excess();
    pthread_mutex_unlock(&mutex);
    if (p) return;
    if (s->event) driver()->cuEventSynchronize(s->event);
    drop(s);
}

/* In the stream's order; with neither lock. */
static void give_back(const struct piece_of_device *piece, const struct request *request, CUstream stream) {
    struct spare *s = calloc(1, sizeof *s);
    if (!s) {
        driver()->cuStreamSynchronize(stream);
        pool_forget(piece, request);
        return piece_drop(piece);
    }
    s->piece = *piece;
    driver()->cuCtxGetCurrent(&s->context);
    s->stream = stream;
    s->thread = stream == CU_STREAM_PER_THREAD ? self() : 0;
    mark(s, stream);
    add_spare(s, request);
}

void pool_take_back(const struct piece_of_device *piece, const struct request *request) { give_back(piece, request, CU_STREAM_LEGACY); }

void pool_forget(const struct piece_of_device *piece, const struct request *request) {
    if (!request->from) return;
    pthread_mutex_lock(&mutex);
    request->from->used -= piece->size;
    pthread_mutex_unlock(&mutex);
}

/* 0: none of the shim's. */
static int freed(CUdeviceptr address, CUstream stream, CUresult *result) {
    struct piece_of_device piece;
    struct request request;
    if (!address || in_capture(stream)) return 0;
    *result = CUDA_SUCCESS;
    pthread_rwlock_wrlock(&blocks_lock);
    struct mapping *allocation = allocation_at(address);
    if (allocation) piece_unregister(allocation, &piece, &request);
    pthread_rwlock_unlock(&blocks_lock);
    if (allocation) give_back(&piece, &request, stream);
    return allocation != NULL;
}

#define FREE(name, standard) \
    EXPORT CUresult name(CUdeviceptr address, CUstream stream) { \
        const struct driver *d = driver(); \
        CUresult result; \
        int put_off; \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct giving *giving = free_enter(address, &put_off); \
        if (put_off) return CUDA_SUCCESS; \
        if (!giving || !freed(address, stream ? stream : standard, &result)) result = d->name(address, stream); \
        if (giving) order_leave(giving); \
        return result; \
    }
FREE(cuMemFreeAsync, CU_STREAM_LEGACY)
FREE(cuMemFreeAsync_ptsz, CU_STREAM_PER_THREAD)

EXPORT CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolCreate(pool, props);
    if (result) return result;
    int ours = props->allocType == CU_MEM_ALLOCATION_TYPE_PINNED && !props->handleTypes && !props->maxSize && !props->usage &&
               props->location.type == CU_MEM_LOCATION_TYPE_DEVICE && props->location.id >= 0 && props->location.id < MAX_DEVICES;
    pthread_mutex_lock(&mutex);
    if (ours) add(*pool, props->location.id, 1);
    pthread_mutex_unlock(&mutex);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemPoolDestroy(CUmemoryPool pool) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolDestroy(pool);
    if (result) return result;
    pthread_mutex_lock(&mutex);
    struct pool *p = find(pool);
    if (p) p->leaving = 1;
    pthread_mutex_unlock(&mutex);
    if (p) trim_all();
    return CUDA_SUCCESS;
}

/* With the mutex. */
static uint64_t share(const struct pool *p, CUmemPool_attribute attribute) {
    switch ((int)attribute) {
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT: return p->used;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH: return p->used_high;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT: return p->used + p->spare_bytes;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH: return p->high;
    default: return 0;
    }
}

EXPORT CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolGetAttribute(pool, attribute, value);
    pthread_mutex_lock(&mutex);
    struct pool *p = result ? NULL : find(pool);
    if (p && attribute >= CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT) *(cuuint64_t *)value += share(p, attribute);
    pthread_mutex_unlock(&mutex);
    return result;
}

EXPORT CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolSetAttribute(pool, attribute, value);
    pthread_mutex_lock(&mutex);
    struct pool *p = result ? NULL : find(pool);
    if (p && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) p->threshold = *(cuuint64_t *)value;
    if (p && attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH) p->used_high = p->used;
    if (p && attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) p->high = p->used + p->spare_bytes;
    look_for_excess();
    pthread_mutex_unlock(&mutex);
    return result;
}

EXPORT CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMemPoolTrimTo(pool, keep);
    pthread_mutex_lock(&mutex);
    struct pool *p = result ? NULL : find(pool);
    if (p) trim(p, keep > p->used ? keep - p->used : 0);
    look_for_excess();
    pthread_mutex_unlock(&mutex);
    order_leave(giving);
    return result;
}

/* With the mutex: of what is used and of what is spare. */
static CUresult allow_all(struct pool *p) {
    CUresult result = CUDA_SUCCESS;
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct mapping *m = mapping_next(0); m; m = mapping_next(m->base + m->size)) {
        if (m->request.from != p) continue;
        CUresult one = map_allow(m->base, m->size, p->accessors, p->accessors);
        if (one) result = one;
        m->readers = m->writers = p->accessors;
    }
    pthread_rwlock_unlock(&blocks_lock);
    for (struct spare *s = p->spares; s; s = s->next) {
        map_allow(s->piece.base, s->piece.size, p->accessors, p->accessors);
        s->piece.readers = s->piece.writers = p->accessors;
    }
    return result;
}

/* What was granted once stays granted here: the driver's pool alone takes it back. */
static CUresult grant(CUmemoryPool handle, const CUmemAccessDesc *list, size_t count) {
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&mutex);
    struct pool *p = find(handle);
    for (size_t i = 0; p && i < count; i++)
        if (list[i].flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE && list[i].location.id >= 0 && list[i].location.id < MAX_DEVICES) p->accessors |= 1ULL << list[i].location.id;
    if (p) result = allow_all(p);
    pthread_mutex_unlock(&mutex);
    return result;
}

EXPORT CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *list, size_t count) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMemPoolSetAccess(pool, list, count);
    if (!result) result = grant(pool, list, count);
    order_leave(giving);
    return result;
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
