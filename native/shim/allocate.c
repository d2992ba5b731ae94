#include "allocate.h"
#include "capture.h"
#include "chunks.h"
#include "kept.h"
#include "left.h"
#include "order.h"
#include "park.h"
#include "pitch.h"
#include "pool.h"
#include "settings.h"
#include "statistics.h"

#include <string.h>
#include <time.h>

static int deferring; /* with the lock: frees are put off */

/* The driver's answer is asked for in front of the first allocation only. */
static int has_virtual_memory(CUdevice device) {
    static _Atomic char known[MAX_DEVICES]; /* 1: it has not, 2: it has */
    int has = 0;
    if (device < 0 || device >= MAX_DEVICES) return 0;
    if (!atomic_load(&known[device])) {
        driver()->cuDeviceGetAttribute(&has, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device);
        atomic_store(&known[device], (char)(1 + (has != 0)));
    }
    return atomic_load(&known[device]) == 2;
}

int context_is_sound(void) {
    CUresult result = CUDA_SUCCESS;
    if (capture_hold_off()) {
        result = driver()->cuStreamQuery(CU_STREAM_LEGACY);
        capture_release();
    }
    return result == CUDA_SUCCESS || result == CUDA_ERROR_NOT_READY;
}

int allocation_wanted(size_t bytes, CUcontext *context, CUdevice *device) {
    const struct driver *d = driver();
    if (!park_on() || bytes < settings()->park_min || bytes > SIZE_MAX - GRANULE) return 0;
    return !d->cuCtxGetCurrent(context) && *context && !d->cuCtxGetDevice(device) && has_virtual_memory(*device);
}

void allocation_left(CUdeviceptr address, size_t bytes) {
    struct left left = {.bytes = bytes};
    count_left(bytes);
    if (park_on() && !driver()->cuCtxGetCurrent(&left.context) && !driver()->cuCtxGetDevice(&left.device)) left_add(address, left);
}

int memory_found(CUresult result) {
    CUdevice device;
    return result == CUDA_ERROR_OUT_OF_MEMORY && driver()->can_park && !driver()->cuCtxGetDevice(&device) && device >= 0 && device < MAX_DEVICES && pools_give_up_now(device);
}

CUresult capture_permits(void) {
    const struct driver *d = driver();
    CUevent event;
    if (!capturing()) return CUDA_SUCCESS;
    CUresult result = d->cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
    if (result) return result;
    result = d->cuEventQuery(event);
    d->cuEventDestroy_v2(event);
    return result;
}

static CUresult make(CUcontext context, CUdevice device, size_t bytes, struct piece_of_device *piece) {
    size_t size = granules(bytes);
    uint64_t accessors = peers_of(context, device);
    if (kept_take(device, size, accessors, piece)) return CUDA_SUCCESS;
    CUresult result = piece_make(piece, device, size, accessors, accessors, BY_ANY_DEVICE);
    return result == CUDA_ERROR_OUT_OF_MEMORY && pools_give_up(device) ? piece_make(piece, device, size, accessors, accessors, BY_ANY_DEVICE) : result;
}

/* 0: the driver's own allocation is to be made, and its answer counts. */
static int provided(CUdeviceptr *address, size_t bytes, CUresult *result) {
    struct piece_of_device piece;
    struct request request = {.bytes = bytes, .number = request_number()};
    CUdevice device;
    if (!address || !allocation_wanted(bytes, &request.context, &device)) return 0;
    if ((*result = capture_permits())) return 1;
    if (!context_is_sound() || make(request.context, device, bytes, &piece)) return 0;
    if (!piece_register(&piece, &request, NULL)) return piece_drop(&piece), 0;
    *address = piece.base;
    return 1;
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    const struct driver *d = driver();
    CUresult result;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    if (!provided(address, bytes, &result)) {
        result = WITH_MEMORY(d->cuMemAlloc_v2(address, bytes));
        if (!result) allocation_left(*address, bytes);
    }
    order_leave_memory(giving);
    return result;
}

/* 0: as above. */
static int provided_pitched(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element, CUresult *result) {
    CUcontext context;
    CUdevice device;
    if (!address || !pitch || !width || !height || width > SIZE_MAX / 2 / height || !allocation_wanted(width * height, &context, &device) || capturing()) return 0;
    size_t chosen = pitch_for(device, width, element);
    if (!chosen || height > SIZE_MAX / chosen || !provided(address, chosen * height, result)) return 0;
    *pitch = chosen;
    return 1;
}

EXPORT CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element) {
    const struct driver *d = driver();
    CUresult result;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    if (!provided_pitched(address, pitch, width, height, element, &result)) {
        result = WITH_MEMORY(d->cuMemAllocPitch_v2(address, pitch, width, height, element));
        if (!result) allocation_left(*address, (pitch ? *pitch : width) * height);
    }
    order_leave_memory(giving);
    return result;
}

EXPORT CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = WITH_MEMORY(d->cuMemAllocManaged(address, bytes, flags));
    if (!result) allocation_left(*address, bytes);
    order_leave_memory(giving);
    return result;
}

#define MAKE(name, parameters, arguments) \
    EXPORT CUresult name parameters { \
        const struct driver *d = driver(); \
        return d ? WITH_MEMORY(d->name arguments) : CUDA_ERROR_NOT_INITIALIZED; \
    }
MAKES(MAKE)

/* While a stream is captured a wait of the shim's own would spoil that: the driver's own memory is freed, which waits, or is refused. */
static CUresult await_by_free(void) {
    CUdeviceptr tiny;
    CUresult result = driver()->cuMemAlloc_v2(&tiny, 1);
    return result ? result : driver()->cuMemFree_v2(tiny);
}

/* As the driver does before it frees: all that the memory's context was given is done. */
static CUresult await(CUcontext context) {
    const struct driver *d = driver();
    CUcontext popped;
    CUresult result = d->cuCtxPushCurrent_v2(context);
    if (result) return result;
    if (capture_hold_off()) result = d->cuCtxSynchronize(), capture_release();
    else result = await_by_free();
    d->cuCtxPopCurrent_v2(&popped);
    return result;
}

/* Out of the register. What is lost has nothing left but its addresses. 0: another thread was faster. */
static int take(CUdeviceptr address, struct piece_of_device *piece, int *lost) {
    struct mapping *mapping;
    struct part *part;
    pthread_rwlock_wrlock(&blocks_lock);
    int found = request_at(address, &mapping, &part) && !part;
    if (found) *lost = mapping->block->parked, piece_unregister(mapping, piece);
    pthread_rwlock_unlock(&blocks_lock);
    return found;
}

/* 0: it is none of the shim's. What is of a pool goes there: the program has waited for whatever used it. */
static int freed(CUdeviceptr address, CUresult *result) {
    struct piece_of_device piece;
    struct part *part;
    pthread_rwlock_rdlock(&blocks_lock);
    struct request *request = address ? request_at(address, NULL, &part) : NULL;
    CUcontext context = request ? request->context : NULL;
    int pooled = request && part;
    pthread_rwlock_unlock(&blocks_lock);
    if (!request) return 0;
    *result = CUDA_SUCCESS;
    if (context && (*result = await(context))) return 1; /* the driver does not wait for what a pool has given either */
    int lost = 0, found = pooled ? pool_free(address, NULL) : take(address, &piece, &lost);
    if (!found) *result = CUDA_ERROR_INVALID_VALUE;
    else if (lost) piece_free_address(&piece);
    else if (!pooled) kept_put(&piece);
    return 1;
}

enum owner { DRIVERS, OURS, OURS_AND_FREED };

static enum owner free_later(CUdeviceptr address) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct request *request = address ? request_at(address, NULL, NULL) : NULL;
    enum owner owner = !request ? DRIVERS : deferring ? OURS_AND_FREED : OURS;
    if (owner == OURS_AND_FREED) request->freed = 1;
    pthread_rwlock_unlock(&blocks_lock);
    return owner;
}

/* Until the GPU is idle it is not known whether the gate stays closed; that takes no longer than its work. */
struct giving *free_enter(CUdeviceptr address, int *put_off) {
    static const struct timespec nap = {0, 200000};
    for (;;) {
        struct giving *giving = order_enter_memory_now();
        enum owner owner = giving ? OURS : free_later(address);
        *put_off = owner == OURS_AND_FREED;
        if (giving || owner != OURS) return giving;
        nanosleep(&nap, NULL);
    }
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr address) {
    const struct driver *d = driver();
    CUresult result;
    int put_off;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = free_enter(address, &put_off);
    if (put_off) return CUDA_SUCCESS;
    if (!giving || !freed(address, &result)) {
        struct left left = left_remove(address);
        if ((result = d->cuMemFree_v2(address))) left_add(address, left);
    }
    if (giving) order_leave_memory(giving);
    return result;
}

void allocations_defer(int defer) {
    pthread_rwlock_wrlock(&blocks_lock);
    deferring = defer;
    pthread_rwlock_unlock(&blocks_lock);
}

struct dropped { struct piece_of_device piece; int parked; };

/* The next from an address on that matches, out of the register. */
static int take_next(CUdeviceptr *from, int (*matches)(const struct mapping *, const void *), const void *argument, struct dropped *dropped) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct mapping *m = mapping_next(*from);
    while (m && !matches(m, argument)) m = mapping_next(m->base + m->size);
    if (m) {
        *from = m->base + m->size;
        dropped->parked = m->block->parked;
        piece_unregister(m, &dropped->piece);
    }
    pthread_rwlock_unlock(&blocks_lock);
    return m != NULL;
}

/* What is parked has nothing left but its addresses. Chunks of pools are no context's. */
static void drop_all(int (*matches)(const struct mapping *, const void *), const void *argument) {
    struct dropped one;
    CUdeviceptr from = 0;
    while (take_next(&from, matches, argument, &one)) {
        if (one.parked) piece_free_address(&one.piece);
        else piece_drop(&one.piece);
    }
}

static int was_freed(const struct mapping *m, const void *nothing) { (void)nothing; return m->request.freed; }
static int is_of(const struct mapping *m, const void *context) { return m->request.bytes && m->request.context == context; }
void allocations_sweep(void) {
    drop_all(was_freed, NULL);
    pools_sweep();
}
void allocations_context_gone(CUcontext context) { if (context) drop_all(is_of, context); }
