#include "pool.h"
#include "allocate.h"
#include "capture.h"
#include "order.h"
#include "spares.h"
#include "statistics.h"

#include <stdlib.h>

enum { MOST_HELD = 2 /* times as much as was ever used at once: sizes that come no more would be held for ever */ };

/* With the mutex, as all up to `take`. Pools that the program makes are seen when they are made. */
static struct pool *known(CUmemoryPool handle, CUdevice device) {
    CUmemoryPool standard = NULL;
    struct pool *p = pool_find(handle);
    if (p || !driver()->cuDeviceGetDefaultMemPool || driver()->cuDeviceGetDefaultMemPool(&standard, device)) return p;
    return standard == handle ? pool_add(handle, device) : NULL;
}

static void used_more(struct pool *p, uint64_t bytes) {
    p->used += bytes;
    if (p->used > p->used_high) p->used_high = p->used;
    if (p->used + p->spare_bytes > p->high) p->high = p->used + p->spare_bytes;
}

static void make_room(struct pool *p, size_t size) {
    uint64_t wanted = p->used + size, most = MOST_HELD * (p->used_high > wanted ? p->used_high : wanted);
    if (wanted + p->spare_bytes > most) spares_trim(p, most - wanted);
}

/* 0: there is none to be had. */
static int take(struct pool *p, size_t size, CUcontext context, CUstream stream, struct piece_of_device *piece, struct request *request) {
    struct spare *s = spare_take(p, size, context, stream);
    request->from = p;
    if (s) {
        *piece = s->piece;
        if (s->event) driver()->cuEventDestroy_v2(s->event);
        free(s);
    } else if (make_room(p, size), !context_is_sound() || piece_make(piece, p->device, size, p->accessors)) return 0;
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
        pthread_mutex_lock(&pools_mutex);
        struct pool *p = known(pool, device);
        int servable = p && p->device == device, taken = servable && take(p, granules(bytes), context, stream, &piece, &request);
        spares_look_for_excess();
        pthread_mutex_unlock(&pools_mutex);
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

static void add_spare(struct spare *s, const struct request *request) {
    CUdevice device = s->piece.prop.location.id;
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = request->from ? request->from : pool_of_nobody(device);
    if (request->from) p->used -= s->piece.size;
    if (p) spare_put(p, s);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    if (p) return;
    if (s->event) driver()->cuEventSynchronize(s->event);
    spare_drop(s);
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
    s->thread = stream == CU_STREAM_PER_THREAD ? spare_thread() : 0;
    mark(s, stream);
    add_spare(s, request);
}

void pool_take_back(const struct piece_of_device *piece, const struct request *request) { give_back(piece, request, CU_STREAM_LEGACY); }

void pool_forget(const struct piece_of_device *piece, const struct request *request) {
    if (!request->from) return;
    pthread_mutex_lock(&pools_mutex);
    request->from->used -= piece->size;
    pthread_mutex_unlock(&pools_mutex);
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
