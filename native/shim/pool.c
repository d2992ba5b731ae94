#include "pool.h"
#include "allocate.h"
#include "capture.h"
#include "order.h"
#include "spares.h"
#include "statistics.h"

/* With the mutex, as `take`. Pools that the program makes are seen when they are made. */
static struct pool *known(CUmemoryPool handle, CUdevice device) {
    CUmemoryPool standard = NULL;
    struct pool *p = pool_find(handle);
    if (p || !driver()->cuDeviceGetDefaultMemPool || driver()->cuDeviceGetDefaultMemPool(&standard, device)) return p;
    return standard == handle ? pool_add(handle, device) : NULL;
}

/* What is gathered is no longer for other streams, so that comes last but for a new chunk. NULL: there is no memory. */
static struct part *find(struct pool *p, size_t size, CUcontext context, CUstream stream) {
    struct part *t = part_find(p, size, context, stream, 0);
    if (!t) t = part_find(p, size, context, stream, 1);
    if (t) return t;
    parts_gather(p, context, stream);
    if ((t = part_find(p, size, context, stream, 0))) return t;
    return context_is_sound() ? chunk_make(p, size) : NULL;
}

/* 0: there is none to be had. */
static CUdeviceptr take(struct pool *p, const struct request *request, CUcontext context, CUstream stream) {
    size_t size = granules(request->bytes);
    struct part *t = find(p, size, context, stream);
    if (t) part_use(t, size, request);
    return t ? t->base : 0;
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
    struct request request = {.bytes = bytes, .number = request_number()};
    CUcontext context;
    CUdevice device;
    if (!address || !allocation_wanted(bytes, &context, &device) || in_capture(stream) || !is_of_context(stream, context)) return 0;
    if (!pool && (!driver()->cuDeviceGetMemPool || driver()->cuDeviceGetMemPool(&pool, device))) return 0;
    request.pool = pool;
    for (int again = 1; again >= 0; again--) {
        pthread_mutex_lock(&pools_mutex);
        struct pool *p = known(pool, device);
        int servable = p && p->device == device;
        CUdeviceptr taken = servable ? take(p, &request, context, stream) : 0;
        spares_look_for_excess();
        pthread_mutex_unlock(&pools_mutex);
        if (taken) return *address = taken, 1;
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

/* Where there is no memory for the records of what is freed, it is waited for and goes at once. */
static void drop_waited(const struct piece_of_device *piece, CUstream stream) {
    driver()->cuStreamSynchronize(stream);
    piece_drop(piece);
}

/* With the mutex. Takes the part from the program; memory that is of no pool becomes one. NULL: there is no such allocation, or it
 * is out of the register as a piece. */
static struct part *take_from_program(CUdeviceptr address, struct piece_of_device *piece, int *found) {
    struct mapping *mapping;
    struct part *part;
    pthread_rwlock_wrlock(&blocks_lock);
    struct request *request = request_at(address, &mapping, &part);
    *found = request != NULL;
    if (request && part) request->bytes = 0;
    else if (request) {
        struct pool *nobodys = pool_of_nobody(mapping->block->prop.location.id);
        part = nobodys ? chunk_adopt(nobodys, mapping) : NULL;
        if (!part) piece_unregister(mapping, piece);
    }
    pthread_rwlock_unlock(&blocks_lock);
    return *found ? part : NULL;
}

/* Without a stream the program has waited for whatever used it. */
static struct mark *marked(CUcontext context, CUstream stream) { return stream ? mark_new(context, stream) : NULL; }

int pool_free(CUdeviceptr address, CUstream stream) {
    struct piece_of_device piece;
    CUcontext context = NULL;
    int found;
    driver()->cuCtxGetCurrent(&context);
    pthread_mutex_lock(&pools_mutex);
    struct part *part = take_from_program(address, &piece, &found);
    struct mark *mark = part ? marked(context, stream) : NULL;
    pthread_mutex_unlock(&pools_mutex);
    if (!part) return found ? drop_waited(&piece, stream), 1 : 0;
    if (mark) mark_record(mark);
    else if (stream) driver()->cuStreamSynchronize(stream);
    pthread_mutex_lock(&pools_mutex);
    part_free(part, mark);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    return 1;
}

/* What is the driver's own need not wait for the mutex. */
static int is_ours(CUdeviceptr address) {
    pthread_rwlock_rdlock(&blocks_lock);
    int found = request_at(address, NULL, NULL) != NULL;
    pthread_rwlock_unlock(&blocks_lock);
    return found;
}

static int freed(CUdeviceptr address, CUstream stream) { return address && !in_capture(stream) && is_ours(address) && pool_free(address, stream); }

#define FREE(name, standard) \
    EXPORT CUresult name(CUdeviceptr address, CUstream stream) { \
        const struct driver *d = driver(); \
        CUresult result = CUDA_SUCCESS; \
        int put_off; \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct giving *giving = free_enter(address, &put_off); \
        if (put_off) return CUDA_SUCCESS; \
        if (!giving || !freed(address, stream ? stream : standard)) result = d->name(address, stream); \
        if (giving) order_leave(giving); \
        return result; \
    }
FREE(cuMemFreeAsync, CU_STREAM_LEGACY)
FREE(cuMemFreeAsync_ptsz, CU_STREAM_PER_THREAD)
