/* The program's copies: which of them the engine makes, and in which order with everything else. */
#include "allocate.h"
#include "capture.h"
#include "engine.h"
#include "kind.h"
#include "order.h"
#include "threads.h"
#include "torpor.h"

#include <sched.h>
#include <stdint.h>

struct copy {
    CUdeviceptr to, from;
    size_t bytes;
    CUstream stream;
    int later; /* may return before the device has got everything */
};

/* NOT_PASSED: from pageable memory to the current device, or the other way. Memory of another device the lanes need not reach. */
static enum reason sort(const struct copy *copy, enum direction *direction) {
    CUdevice current = 0, to_device = 0, from_device = 0;
    enum kind to = kind_of(copy->to, copy->bytes, &to_device), from = kind_of(copy->from, copy->bytes, &from_device);
    driver()->cuCtxGetDevice(&current);
    if (to == MANAGED_MEMORY || from == MANAGED_MEMORY) return PASSED_MANAGED;
    if (to == DEVICE_MEMORY && from == DEVICE_MEMORY) return PASSED_DEVICE;
    if (to == PINNED_HOST || from == PINNED_HOST) return PASSED_PINNED;
    if (to == PAGEABLE && from == PAGEABLE) return PASSED_HOST;
    if (to == UNKNOWN || from == UNKNOWN || (to == DEVICE_MEMORY ? to_device : from_device) != current) return PASSED_OTHER;
    *direction = to == DEVICE_MEMORY ? TO_DEVICE : TO_HOST;
    return NOT_PASSED;
}

static struct piece piece_of(const struct copy *copy, enum direction direction) {
    CUdeviceptr device = direction == TO_DEVICE ? copy->to : copy->from, host = direction == TO_DEVICE ? copy->from : copy->to;
    return (struct piece){.device = device, .host = (char *)(uintptr_t)host, .bytes = copy->bytes};
}

static int in_capture(const struct copy *copy) {
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    return capturing() || driver()->cuStreamIsCapturing(copy->stream, &status) || status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* An upload that the driver takes without waiting for its stream must not wait here either: 4 MiB of its staging memory were seen. */
enum { DRIVER_STAGES = 8 << 20 };

enum moment { IDLE, BUSY, FAILED };

/* Whether the stream has done what it was given, after waiting so long; less than 0: as long as it takes. */
static enum moment await(CUstream stream, int64_t nanoseconds) {
    CUevent event;
    const struct driver *d = driver();
    uint64_t until = clock_ns() + (uint64_t)nanoseconds;
    CUresult result = d->cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
    if (result) return FAILED;
    result = d->cuEventRecord(event, stream);
    if (!result && nanoseconds < 0) result = d->cuEventSynchronize(event);
    if (!result && nanoseconds >= 0) result = d->cuEventQuery(event);
    for (; result == CUDA_ERROR_NOT_READY && clock_ns() < until; result = d->cuEventQuery(event)) sched_yield();
    d->cuEventDestroy_v2(event);
    return result == CUDA_SUCCESS ? IDLE : result == CUDA_ERROR_NOT_READY ? BUSY : FAILED;
}

static const enum reason reasons[] = {[BUSY] = PASSED_BUSY, [FAILED] = PASSED_OTHER}; /* of a failure the driver's own copy says what is wrong */

/* With no hold, as the stream's work may need another thread to go on. 0: it is not idle. */
static int await_idle(const struct copy *copy, enum direction direction, enum reason *why) {
    static const int64_t at_once = 5000000;
    int no_wait = copy->later && direction == TO_DEVICE && copy->bytes < DRIVER_STAGES;
    if (no_wait && driver()->cuStreamQuery(copy->stream)) return *why = PASSED_BUSY, 0;
    enum moment moment = await(copy->stream, no_wait ? at_once : -1);
    *why = reasons[moment];
    return moment == IDLE;
}

/* Nonzero: the stream is idle, and held. */
static int hold_idle(CUcontext context, const struct copy *copy, enum reason *why) {
    static const int64_t soon = 100000000;
    if (!order_hold(context, copy->stream)) return *why = PASSED_BUSY, 0;
    enum moment moment = await(copy->stream, soon);
    if (moment != IDLE) order_release(context, copy->stream);
    *why = reasons[moment];
    return moment == IDLE;
}

static int copy_held(struct ring *ring, CUcontext context, enum direction direction, const struct copy *copy, CUresult *result, enum reason *why) {
    struct piece piece = piece_of(copy, direction);
    struct quiet quiet;
    thread_quiet(&quiet);
    int done = hold_idle(context, copy, why);
    if (done) {
        done = engine_copy(ring, context, direction, &piece, 1, copy->later && direction == TO_DEVICE ? &copy->stream : NULL, result, why);
        order_release(context, copy->stream);
    }
    thread_unquiet(&quiet);
    return done;
}

static int copied(const struct copy *copy, CUresult *result, enum reason *why) {
    CUcontext context = NULL;
    enum direction direction;
    *why = PASSED_OTHER;
    if (driver()->cuCtxGetCurrent(&context) || !context) return 0;
    if (in_capture(copy)) return *why = PASSED_CAPTURE, 0;
    if ((*why = sort(copy, &direction)) != NOT_PASSED) return 0;
    struct ring *ring = engine_ring(context, copy->bytes, why);
    return ring && await_idle(copy, direction, why) && copy_held(ring, context, direction, copy, result, why);
}

/* 0: the driver is to make it. */
static int by_engine(const struct copy *copy, CUresult *result) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED; /* what is called here is no part of the program */
    enum reason why = PASSED_SMALL;
    int done = 0;
    if (copy->bytes >= settings()->copy_min) {
        why = PASSED_ASIDE;
        if (driver()->complete && !driver()->cuThreadExchangeStreamCaptureMode(&mode)) {
            struct giving *giving = order_enter_memory();
            done = copied(copy, result, &why);
            order_leave_memory(giving);
            driver()->cuThreadExchangeStreamCaptureMode(&mode);
        }
    }
    if (!done) count_passed(why, copy->bytes);
    return done;
}

static CUdeviceptr of(const void *host) { return (CUdeviceptr)(uintptr_t)host; }

/* Memory that the shim has made is asked for by a device that may not reach it, once. */
#define IN_REACH(to, from, stream, name, arguments) \
    struct giving *giving = order_enter(stream, GATE_ALL); \
    CUresult answer = d->name arguments; \
    if (answer == CUDA_ERROR_INVALID_VALUE && peers_let_reach(to, from)) answer = d->name arguments; \
    order_leave(giving); \
    return answer

#define MAKE(copy_, name, ...) \
    struct copy copy = copy_; \
    CUresult result; \
    const struct driver *d = driver(); \
    if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
    if (by_engine(&copy, &result)) return result; \
    IN_REACH(copy.to, copy.from, copy.stream, name, (__VA_ARGS__))
#define COPY(...) {__VA_ARGS__}

#define UP(name, standard) EXPORT CUresult name(CUdeviceptr to, const void *from, size_t bytes) { MAKE(COPY(to, of(from), bytes, standard, 0), name, to, from, bytes); }
#define DOWN(name, standard) EXPORT CUresult name(void *to, CUdeviceptr from, size_t bytes) { MAKE(COPY(of(to), from, bytes, standard, 0), name, to, from, bytes); }
#define EITHER(name, standard) EXPORT CUresult name(CUdeviceptr to, CUdeviceptr from, size_t bytes) { MAKE(COPY(to, from, bytes, standard, 0), name, to, from, bytes); }
#define UP_LATER(name, standard) EXPORT CUresult name(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) { MAKE(COPY(to, of(from), bytes, stream ? stream : standard, 1), name, to, from, bytes, stream); }
#define DOWN_LATER(name, standard) EXPORT CUresult name(void *to, CUdeviceptr from, size_t bytes, CUstream stream) { MAKE(COPY(of(to), from, bytes, stream ? stream : standard, 1), name, to, from, bytes, stream); }
#define EITHER_LATER(name, standard) EXPORT CUresult name(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) { MAKE(COPY(to, from, bytes, stream ? stream : standard, 1), name, to, from, bytes, stream); }

UP(cuMemcpyHtoD_v2, CU_STREAM_LEGACY)
UP(cuMemcpyHtoD_v2_ptds, CU_STREAM_PER_THREAD)
DOWN(cuMemcpyDtoH_v2, CU_STREAM_LEGACY)
DOWN(cuMemcpyDtoH_v2_ptds, CU_STREAM_PER_THREAD)
EITHER(cuMemcpy, CU_STREAM_LEGACY)
EITHER(cuMemcpy_ptds, CU_STREAM_PER_THREAD)
UP_LATER(cuMemcpyHtoDAsync_v2, CU_STREAM_LEGACY)
UP_LATER(cuMemcpyHtoDAsync_v2_ptsz, CU_STREAM_PER_THREAD)
DOWN_LATER(cuMemcpyDtoHAsync_v2, CU_STREAM_LEGACY)
DOWN_LATER(cuMemcpyDtoHAsync_v2_ptsz, CU_STREAM_PER_THREAD)
EITHER_LATER(cuMemcpyAsync, CU_STREAM_LEGACY)
EITHER_LATER(cuMemcpyAsync_ptsz, CU_STREAM_PER_THREAD)

#define PLAIN(name, stream, parameters, arguments) \
    EXPORT CUresult name parameters { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        IN_REACH(to, from, stream, name, arguments); \
    }
PLAIN_DEVICE_COPIES(PLAIN)

static CUdeviceptr end_of(CUmemorytype type, CUdeviceptr address) { return type == CU_MEMORYTYPE_DEVICE || type == CU_MEMORYTYPE_UNIFIED ? address : 0; }

static int flat_let_reach(const CUDA_MEMCPY2D *c) {
    return c && peers_let_reach(end_of(c->dstMemoryType, c->dstDevice), end_of(c->srcMemoryType, c->srcDevice));
}

/* CUDA_MEMCPY3D, as far as the addresses. */
struct deep_end { size_t x, y, z, level; CUmemorytype type; const void *host; CUdeviceptr device; void *array, *reserved; size_t pitch, height; };

static int deep_let_reach(const void *copy) {
    const struct deep_end *from = copy, *to = from + 1;
    return copy && peers_let_reach(end_of(to->type, to->device), end_of(from->type, from->device));
}

static int batch_let_reach(const CUdeviceptr *to, const CUdeviceptr *from, size_t count) {
    int reached = 0;
    for (size_t i = 0; to && from && i < count; i++) reached |= peers_let_reach(to[i], from[i]);
    return reached;
}

#define REACHING(name, stream, arguments, let_reach) \
    const struct driver *d = driver(); \
    if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
    struct giving *giving = order_enter(stream, GATE_ALL); \
    CUresult answer = d->name arguments; \
    if (answer == CUDA_ERROR_INVALID_VALUE && (let_reach)) answer = d->name arguments; \
    order_leave(giving); \
    return answer

#define FLAT(name, stream, parameters, arguments) \
    EXPORT CUresult name parameters { \
        count_passed(PASSED_SHAPED, 0); \
        REACHING(name, stream, arguments, flat_let_reach(copy)); \
    }
FLAT_COPIES(FLAT)

#define DEEP(name, stream, parameters, arguments) \
    EXPORT CUresult name parameters { \
        count_passed(PASSED_SHAPED, 0); \
        REACHING(name, stream, arguments, deep_let_reach(copy)); \
    }
DEEP_COPIES(DEEP)

#define BATCHED(name, stream, parameters, arguments) \
    EXPORT CUresult name parameters { REACHING(name, stream, arguments, batch_let_reach(to, from, count)); }
BATCHED_COPIES(BATCHED)

CUresult torpor_copy_to_device(CUdeviceptr to, const void *from, size_t bytes) { return cuMemcpyHtoD_v2(to, from, bytes); }
CUresult torpor_copy_to_host(void *to, CUdeviceptr from, size_t bytes) { return cuMemcpyDtoH_v2(to, from, bytes); }

CUresult torpor_copy_end(void) {
    CUcontext context = NULL;
    const struct driver *d = driver();
    if (!d || !d->complete) return CUDA_SUCCESS; /* then nothing was begun */
    CUresult result = d->cuCtxGetCurrent(&context);
    if (!result) engine_close(context);
    return result;
}
