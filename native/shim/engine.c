#define _GNU_SOURCE
#include "engine.h"
#include "contexts.h"
#include "pages.h"
#include "threads.h"

#include <stdlib.h>

enum { MAX_RINGS = 64 };
enum { BUFFER = 4 << 20 };   /* for what the driver copies out of files, or into them */
enum { GAIN = 5 };           /* how many times as fast the engine is as the driver, about */
static const uint64_t EXIT_NS = 2000000000; /* how long the end of the process waits for copies */

static struct ring rings[MAX_RINGS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of which ring is whose; taken after a turn */
static _Atomic int aside; /* for good */
static _Atomic int ring_count; /* so many have been used, and are initialised; grows with the mutex */

/* With the mutex, as the next. */
static struct ring *find(CUcontext context) {
    for (int i = 0; i < atomic_load(&ring_count); i++)
        if (rings[i].context == context) return &rings[i];
    return NULL;
}

/* Each takes some pages, which are not touched before they are needed. */
static struct ring *unused(void) {
    int count = atomic_load(&ring_count);
    struct ring *ring = find(NULL);
    if (ring || count == MAX_RINGS) return ring;
    ring_init(&rings[count]);
    atomic_store(&ring_count, count + 1);
    return &rings[count];
}

static struct ring *find_known(CUcontext context) {
    pthread_mutex_lock(&mutex);
    struct ring *ring = find(context);
    pthread_mutex_unlock(&mutex);
    return ring;
}

static struct ring *find_or_add(CUcontext context) {
    pthread_mutex_lock(&mutex);
    struct ring *ring = find(context);
    if (!ring && (ring = unused())) ring->context = context;
    pthread_mutex_unlock(&mutex);
    return ring;
}

/* With the turn. */
static void disown(struct ring *ring) {
    pthread_mutex_lock(&mutex);
    ring->context = NULL;
    atomic_store(&ring->refused, 0);
    pthread_mutex_unlock(&mutex);
}

static enum reason reluctance(struct ring *ring, size_t bytes) {
    if (!ring || atomic_load(&ring->refused)) return PASSED_OTHER;
    if (bytes < atomic_load(&ring->queued) / GAIN) return PASSED_BUSY;
    if (atomic_load(&ring->running)) return NOT_PASSED;
    return atomic_fetch_add(&ring->seen, bytes) + bytes < settings()->copy_start ? PASSED_COLD : NOT_PASSED;
}

struct ring *engine_ring(CUcontext context, size_t bytes, enum reason *why) {
    if (!settings()->copy) return *why = PASSED_OFF, NULL;
    if (!settings()->copy_streams && !atomic_exchange(&aside, 1)) say(LOG_INFO, "copies are left to the driver: too few cores. TORPOR_COPY_STREAMS overrules this.");
    if (atomic_load(&aside)) return *why = PASSED_ASIDE, NULL;
    struct ring *ring = find_or_add(context);
    *why = reluctance(ring, bytes);
    return *why == NOT_PASSED ? ring : NULL;
}

/* Copies end before the driver does, and none begins afterwards. The turns are given back: a program may destroy contexts and
 * wait for its threads in what runs after this. The threads go, so that none of them calls the driver while it ends. */
static void at_exit(void) {
    uint64_t until = clock_ns() + EXIT_NS;
    atomic_store(&aside, 1);
    for (int i = 0; i < atomic_load(&ring_count); i++) {
        uint64_t now = clock_ns();
        if (!thread_lock_within(&rings[i].turn, until > now ? until - now : 0)) continue;
        atomic_store(&rings[i].refused, 1);
        if (atomic_load(&rings[i].running)) ring_forget(&rings[i]);
        pthread_mutex_unlock(&rings[i].turn);
    }
}

static void watch_exit(void) { atexit(at_exit); }

static int is_primary(CUcontext context, CUdevice device) {
    CUcontext primary = NULL;
    unsigned flags;
    int active = 0;
    if (driver()->cuDevicePrimaryCtxGetState(device, &flags, &active) || !active) return 0;
    if (driver()->cuDevicePrimaryCtxRetain(&primary, device)) return 0;
    driver()->cuDevicePrimaryCtxRelease_v2(device);
    return primary == context;
}

static CUresult start(struct ring *ring) {
    static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
    CUresult result = driver()->cuCtxGetDevice(&ring->device);
    if (result) return result;
    ring->primary = is_primary(ring->context, ring->device);
    result = ring_start(ring);
    if (!result) pthread_once(&exit_once, watch_exit); /* after the driver's own handlers, so that it comes before them */
    else if (!context_has_failed(result) && !atomic_exchange(&aside, 1)) say(LOG_WARN, "copies are left to the driver: its pinned memory, streams or threads cannot be had (CUDA error %d).", (int)result);
    return result;
}

/* With the turn. */
static int may_copy(struct ring *ring, CUcontext context, enum reason *why) {
    *why = PASSED_OTHER;
    if (ring->context != context || atomic_load(&ring->refused)) return 0; /* it was destroyed meanwhile, or the process ends */
    *why = PASSED_ASIDE;
    return atomic_load(&ring->running) || !start(ring);
}

int engine_copy(struct ring *ring, CUcontext context, enum direction direction, const struct piece *pieces, size_t count,
                const CUstream *stream, CUresult *result, enum reason *why) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += pieces[i].bytes;
    atomic_fetch_add(&ring->queued, bytes);
    pthread_mutex_lock(&ring->turn);
    int copied = may_copy(ring, context, why);
    if (copied) {
        uint64_t begun = clock_ns();
        *result = ring_copy(ring, direction, pieces, count, !stream);
        if (!*result && stream) *result = ring_join(ring, *stream);
        count_copy(direction, bytes, clock_ns() - begun);
    }
    pthread_mutex_unlock(&ring->turn);
    atomic_fetch_sub(&ring->queued, bytes);
    return copied;
}

static CUresult from_file(const struct piece *piece, char *buffer, size_t done, size_t bytes) {
    if (!stored_read(piece->file, buffer, piece->offset + done, bytes)) return CUDA_ERROR_OPERATING_SYSTEM;
    return driver()->cuMemcpyHtoD_v2(piece->device + done, buffer, bytes);
}

static CUresult to_file(const struct piece *piece, char *buffer, size_t done, size_t bytes) {
    CUresult result = driver()->cuMemcpyDtoH_v2(buffer, piece->device + done, bytes);
    return result || stored_write(piece->file, buffer, piece->offset + done, bytes) ? result : CUDA_ERROR_OPERATING_SYSTEM;
}

/* What no ring can move, through a little of the process's own memory. */
static CUresult through_buffer(enum direction direction, const struct piece *piece) {
    size_t part = BUFFER;
    CUresult result = CUDA_SUCCESS;
    char *buffer = pages_map(BUFFER);
    if (!buffer) return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t done = 0; done < piece->bytes && !result; done += part) {
        if (part > piece->bytes - done) part = piece->bytes - done;
        result = (direction == TO_DEVICE ? from_file : to_file)(piece, buffer, done, part);
    }
    real_munmap(buffer, BUFFER);
    return result;
}

static CUresult by_driver(enum direction direction, const struct piece *pieces, size_t count) {
    const struct driver *d = driver();
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < count && !result; i++)
        if (pieces[i].file) result = through_buffer(direction, &pieces[i]);
        else if (direction == TO_DEVICE) result = d->cuMemcpyHtoD_v2(pieces[i].device, pieces[i].host, pieces[i].bytes);
        else result = d->cuMemcpyDtoH_v2(pieces[i].host, pieces[i].device, pieces[i].bytes);
    return result;
}

CUresult engine_move(CUcontext context, enum direction direction, const struct piece *pieces, size_t count) {
    struct ring *ring = atomic_load(&aside) ? NULL : find_or_add(context);
    if (!ring) return by_driver(direction, pieces, count);
    pthread_mutex_lock(&ring->turn);
    enum reason why;
    int can = may_copy(ring, context, &why);
    CUresult result = can ? ring_copy(ring, direction, pieces, count, 1) : by_driver(direction, pieces, count);
    pthread_mutex_unlock(&ring->turn);
    return result;
}

void engine_close(CUcontext context) {
    struct ring *ring = context ? find_known(context) : NULL;
    struct quiet quiet;
    if (!ring) return;
    thread_quiet(&quiet);
    pthread_mutex_lock(&ring->turn);
    if (ring->context == context) {
        ring_stop(ring);
        disown(ring);
    }
    pthread_mutex_unlock(&ring->turn);
    thread_unquiet(&quiet);
}

void engine_refuse(CUcontext context) {
    struct ring *ring = find_or_add(context);
    if (ring) atomic_store(&ring->refused, 1);
}

struct ring *engine_hold_primary(CUdevice device) {
    for (int i = 0; i < atomic_load(&ring_count); i++) {
        struct ring *ring = &rings[i];
        pthread_mutex_lock(&ring->turn);
        if (ring->context && ring->primary && ring->device == device) ring_await_given_up(ring);
        if (atomic_load(&ring->running) && ring->primary && ring->device == device) return ring;
        pthread_mutex_unlock(&ring->turn);
    }
    return NULL;
}

void engine_release_primary(struct ring *ring) {
    unsigned flags;
    int active = 1;
    if (!ring) return;
    if (!driver()->cuDevicePrimaryCtxGetState(ring->device, &flags, &active) && !active) {
        ring_forget(ring);
        disown(ring);
    }
    pthread_mutex_unlock(&ring->turn);
}

/* The threads are gone, and so is the driver; a program that initialises CUDA in a child of a process without it finds all as new. */
void engine_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    atomic_store(&ring_count, 0);
}
