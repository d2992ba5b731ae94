#include "pool.h"
#include "allocate.h"
#include "capture.h"
#include "contexts.h"
#include "left.h"
#include "order.h"
#include "park.h"
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
static struct part *find(struct pool *p, size_t size, const struct line *line) {
    struct part *t = part_find(p, size, line);
    if (!t && !p->patient) parts_settle(p), t = part_find(p, size, line);
    if (t) return t;
    parts_gather(p, line);
    if ((t = part_find(p, size, line))) return t;
    return context_is_sound() ? chunk_make(p, size) : NULL;
}

/* 0: there is none to be had. */
static CUdeviceptr take(struct pool *p, const struct request *request, const struct line *line) {
    size_t size = granules(request->bytes);
    struct part *t = find(p, size, line);
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
    struct line line = line_of(context, stream);
    for (int again = 1; again >= 0; again--) {
        pthread_mutex_lock(&pools_mutex);
        struct pool *p = known(pool, device);
        int servable = p && p->device == device;
        CUdeviceptr taken = servable ? take(p, &request, &line) : 0;
        spares_look_for_excess();
        pthread_mutex_unlock(&pools_mutex);
        if (taken) return *address = taken, 1;
        if (!servable || !pools_give_up(device)) return 0;
    }
    return 0;
}

/* Memory of pools outlives contexts. */
static void left_of_pool(CUdeviceptr address, size_t bytes) {
    struct left left = {.bytes = bytes};
    count_left(bytes);
    if (park_on() && !driver()->cuCtxGetDevice(&left.device)) left_add(address, left);
}

#define MEMORY_CALL(call, provided_) \
    const struct driver *d = driver(); \
    CUresult result = CUDA_SUCCESS; \
    if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
    struct giving *giving = order_enter_memory(); \
    if (!(provided_)) { \
        result = WITH_MEMORY(d->call); \
        if (!result) left_of_pool(*address, bytes); \
    } \
    order_leave_memory(giving); \
    return result

#define ALLOCATE(name, standard) EXPORT CUresult name(CUdeviceptr *address, size_t bytes, CUstream stream) { \
        MEMORY_CALL(name(address, bytes, stream), provided(address, bytes, NULL, stream ? stream : standard)); }
#define ALLOCATE_FROM(name, standard) EXPORT CUresult name(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream) { \
        MEMORY_CALL(name(address, bytes, pool, stream), pool && provided(address, bytes, pool, stream ? stream : standard)); }
ALLOCATE(cuMemAllocAsync, CU_STREAM_LEGACY)
ALLOCATE(cuMemAllocAsync_ptsz, CU_STREAM_PER_THREAD)
ALLOCATE_FROM(cuMemAllocFromPoolAsync, CU_STREAM_LEGACY)
ALLOCATE_FROM(cuMemAllocFromPoolAsync_ptsz, CU_STREAM_PER_THREAD)

/* With the mutex. Takes the part from the program; memory that is of no pool becomes one. NULL: there is no such allocation, or there is no
 * memory for the records, and it goes when the gate opens next, as what is freed while it is closed. */
static struct part *take_from_program(CUdeviceptr address, int *found) {
    struct mapping *mapping;
    struct part *part;
    pthread_rwlock_wrlock(&blocks_lock);
    struct request *request = request_at(address, &mapping, &part);
    *found = request != NULL;
    if (request && part) request->bytes = 0;
    else if (request) {
        struct pool *nobodys = pool_of_nobody(mapping->block->prop.location.id);
        part = nobodys ? chunk_adopt(nobodys, mapping) : NULL;
        if (!part) request->freed = 1;
    }
    pthread_rwlock_unlock(&blocks_lock);
    return *found ? part : NULL;
}

static void free_at_next_opening(struct part *part) {
    pthread_rwlock_wrlock(&blocks_lock);
    part->request.freed = 1;
    pthread_rwlock_unlock(&blocks_lock);
}

int pool_free(CUdeviceptr address, const struct line *line) {
    int found;
    pthread_mutex_lock(&pools_mutex);
    struct part *part = take_from_program(address, &found);
    struct mark *mark = part && line ? mark_new(line) : NULL;
    if (part && line && !mark) free_at_next_opening(part), part = NULL;
    pthread_mutex_unlock(&pools_mutex);
    if (!part) return found;
    if (mark) mark_record(mark);
    pthread_mutex_lock(&pools_mutex);
    part_free(part, mark);
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    return 1;
}

/* What is the driver's own need not wait for the mutex. */
static int is_ours(CUdeviceptr address, CUdevice *device) {
    struct mapping *mapping;
    pthread_rwlock_rdlock(&blocks_lock);
    int found = request_at(address, &mapping, NULL) != NULL;
    if (found) *device = mapping->block->prop.location.id;
    pthread_rwlock_unlock(&blocks_lock);
    return found;
}

/* A stream of its own may be of another context than the current one, or there may be no current one; the default ones are of the current.
 * 0: there is no such stream. */
static int find_line(CUstream stream, CUdevice device, struct line *line) {
    const struct driver *d = driver();
    CUcontext current = NULL, its = NULL, any = NULL;
    int standard = stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD;
    d->cuCtxGetCurrent(&current);
    if (!current && (standard || !(any = context_on(device)) || d->cuCtxPushCurrent_v2(any))) return 0;
    CUresult result = standard || !d->cuStreamGetCtx ? CUDA_ERROR_NOT_SUPPORTED : d->cuStreamGetCtx(stream, &its);
    if (result == CUDA_ERROR_NOT_SUPPORTED) its = current; /* or a green context's */
    if (any) d->cuCtxPopCurrent_v2(&any);
    if (its) *line = line_of(its, stream);
    return its != NULL;
}

/* 0: the driver is to answer. Whether it frees without a current context, it is asked with an address that no allocation has. */
static int freed(CUdeviceptr address, CUstream stream, CUresult (*ask)(CUdeviceptr address, CUstream stream)) {
    CUcontext current = NULL;
    CUdevice device;
    struct line line;
    if (!address || in_capture(stream) || !is_ours(address, &device)) return 0;
    if ((driver()->cuCtxGetCurrent(&current) || !current) && ask(0, stream)) return 0;
    return find_line(stream, device, &line) && pool_free(address, &line);
}

#define FREE(name, standard) \
    EXPORT CUresult name(CUdeviceptr address, CUstream stream) { \
        const struct driver *d = driver(); \
        CUresult result = CUDA_SUCCESS; \
        int put_off; \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct giving *giving = free_enter(address, &put_off); \
        if (put_off) return CUDA_SUCCESS; \
        if (!giving || !freed(address, stream ? stream : standard, d->name)) { \
            struct left left = left_remove(address); \
            if ((result = d->name(address, stream))) left_add(address, left); \
        } \
        if (giving) order_leave_memory(giving); \
        return result; \
    }
FREE(cuMemFreeAsync, CU_STREAM_LEGACY)
FREE(cuMemFreeAsync_ptsz, CU_STREAM_PER_THREAD)
