#define _GNU_SOURCE
#include "ring.h"
#include "capture.h"
#include "move.h"
#include "order.h"
#include "threads.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

enum { FEW_LANES = 2, LEAST_CHUNK = 256 << 10, PAGE = 4096, PORTABLE = 1 /* CU_MEMHOSTALLOC_PORTABLE */ };

void ring_init(struct ring *ring) {
    memset(ring, 0, sizeof *ring);
    pthread_mutex_init(&ring->turn, NULL);
    pthread_mutex_init(&ring->mutex, NULL);
    pthread_cond_init(&ring->changed, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    for (int i = 0; i < MAX_STREAMS; i++) {
        ring->lane[i].ring = ring;
        pthread_cond_init(&ring->lane[i].wake, &attributes);
    }
}

/* The next part of the job, of one chunk at most. 0: there is none, or somebody has failed. */
static int take(struct ring *ring, struct piece *part) {
    struct job *job = &ring->job;
    pthread_mutex_lock(&ring->mutex);
    int more = !job->result && job->at < job->count;
    if (more) {
        const struct piece *piece = &job->pieces[job->at];
        size_t left = piece->bytes - job->inside;
        *part = *piece;
        part->device += job->inside;
        part->bytes = left < job->chunk ? left : job->chunk;
        if (part->file) part->offset += job->inside;
        else part->host += job->inside;
        job->inside += part->bytes;
        if (job->inside == piece->bytes) job->at++, job->inside = 0;
    }
    pthread_mutex_unlock(&ring->mutex);
    return more;
}

static CUresult half_wait(struct half *half) {
    if (!half->pending) return CUDA_SUCCESS;
    CUresult result = driver()->cuEventSynchronize(half->event);
    half->pending = result != CUDA_SUCCESS;
    return result;
}

static struct half *next_half(struct lane *lane) { return &lane->half[lane->next ^= 1]; }

static CUresult mark(struct lane *lane, struct half *half) {
    half->pending = 1;
    return driver()->cuEventRecord(half->event, lane->stream);
}

static CUresult send(struct lane *lane, const struct piece *part) {
    struct half *half = next_half(lane);
    CUresult result = half_wait(half);
    if (result) return result;
    if (!part->file) move_in(half->at, part->host, part->bytes);
    else if (!stored_read(part->file, half->at, part->offset, part->bytes)) return CUDA_ERROR_OPERATING_SYSTEM;
    result = driver()->cuMemcpyHtoDAsync_v2(part->device, half->at, part->bytes, lane->stream);
    return result ? result : mark(lane, half);
}

static CUresult send_all(struct lane *lane) {
    struct piece part;
    CUresult result = CUDA_SUCCESS;
    while (!result && take(lane->ring, &part)) result = send(lane, &part);
    if (!result && lane->ring->job.complete) result = half_wait(&lane->half[0]);
    if (!result && lane->ring->job.complete) result = half_wait(&lane->half[1]);
    return result;
}

static CUresult fetch(struct lane *lane, struct half *half) {
    CUresult result = driver()->cuMemcpyDtoHAsync_v2(half->at, half->part.device, half->part.bytes, lane->stream);
    return result ? result : mark(lane, half);
}

static CUresult land(struct half *half) {
    CUresult result = half_wait(half);
    const struct piece *part = &half->part;
    if (result) return result;
    if (!part->file) move_out(part->host, half->at, part->bytes);
    else if (!stored_write(part->file, half->at, part->offset, part->bytes)) return CUDA_ERROR_OPERATING_SYSTEM;
    return CUDA_SUCCESS;
}

/* One part is under way while the one before it is moved out. */
static CUresult fetch_all(struct lane *lane) {
    struct half *under_way = NULL;
    CUresult result = CUDA_SUCCESS;
    while (!result) {
        struct half *half = next_half(lane);
        int more = take(lane->ring, &half->part);
        if (more) result = fetch(lane, half);
        if (under_way && !result) result = land(under_way);
        if (!more) break;
        under_way = half;
    }
    return result;
}

static void work(struct lane *lane) {
    struct ring *ring = lane->ring;
    CUresult result = ring->job.direction == TO_DEVICE ? send_all(lane) : fetch_all(lane);
    if (result) driver()->cuStreamSynchronize(lane->stream); /* what could not be marked may be under way: the next job takes its buffer */
    pthread_mutex_lock(&ring->mutex);
    if (result && !ring->job.result) ring->job.result = result;
    if (--ring->working == 0) pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->mutex);
}

/* 0: nothing was wanted for so long that the buffers are given up. With the mutex. */
static int await_work(struct lane *lane) {
    struct ring *ring = lane->ring;
    uint64_t idle_ms = lane == ring->lane ? settings()->copy_idle_ms : 0;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(idle_ms / 1000);
    until.tv_nsec += (long)(idle_ms % 1000 * 1000000);
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    while (!lane->wanted && !ring->quit) {
        if (!idle_ms) pthread_cond_wait(&lane->wake, &ring->mutex);
        else if (pthread_cond_timedwait(&lane->wake, &ring->mutex, &until) == ETIMEDOUT && !lane->wanted && !ring->quit) return 0;
    }
    return 1;
}

/* With the mutex, which is given back for a while. */
static void dismiss(struct ring *ring, int until_alive) {
    ring->quit = 1;
    for (int i = 0; i < ring->lanes; i++) pthread_cond_signal(&ring->lane[i].wake);
    while (ring->alive > until_alive) pthread_cond_wait(&ring->changed, &ring->mutex);
    ring->quit = 0;
}

/* What the driver has made for a ring. */
struct made {
    int lanes;
    char *pinned;
    struct { CUstream stream; CUevent events[2]; } lane[MAX_STREAMS];
};

/* The ring has nothing then. */
static void take_made(struct ring *ring, struct made *made) {
    made->lanes = ring->lanes;
    made->pinned = ring->pinned;
    for (int i = 0; i < ring->lanes; i++) {
        struct lane *lane = &ring->lane[i];
        made->lane[i].stream = lane->stream;
        for (int h = 0; h < 2; h++) made->lane[i].events[h] = lane->half[h].event;
        lane->stream = NULL;
        memset(lane->half, 0, sizeof lane->half);
    }
    ring->pinned = NULL;
    ring->lanes = 0;
    atomic_store(&ring->seen, 0);
    atomic_store(&ring->running, 0);
}

static void release(const struct made *made) {
    const struct driver *d = driver();
    for (int i = 0; i < made->lanes; i++) {
        CUstream stream = made->lane[i].stream;
        if (stream) d->cuStreamSynchronize(stream);
        for (int h = 0; h < 2; h++)
            if (made->lane[i].events[h]) d->cuEventDestroy_v2(made->lane[i].events[h]);
        if (stream) d->cuStreamDestroy_v2(stream);
    }
    if (made->pinned) d->cuMemFreeHost(made->pinned);
}

static void release_all(struct ring *ring) {
    struct made made;
    take_made(ring, &made);
    release(&made);
}

/* Of the current context, while no capture begins, which would be spoiled. The event stands for all its streams, where the driver has such. */
static CUresult record_all(CUcontext context, CUevent event) {
    const struct driver *d = driver();
    if (!capture_hold_off()) return CUDA_ERROR_NOT_READY;
    CUresult result = d->cuCtxRecordEvent ? d->cuCtxRecordEvent(context, event) : d->cuStreamQuery(CU_STREAM_LEGACY);
    capture_release();
    return result;
}

/* Whether the current context has nothing to do: then an event is reached at once. It is not waited for. */
static int is_idle(void) {
    static const uint64_t at_once = 5000000;
    const struct driver *d = driver();
    CUcontext context = NULL;
    CUevent event = NULL;
    uint64_t until = clock_ns() + at_once;
    if (d->cuCtxGetCurrent(&context) || d->cuEventCreate(&event, CU_EVENT_DISABLE_TIMING)) return 0;
    int idle = 0, recorded = !record_all(context, event);
    while (recorded && !(idle = !d->cuEventQuery(event)) && clock_ns() < until) sched_yield();
    d->cuEventDestroy_v2(event);
    return idle;
}

/* By the first lane, without the mutex. 0: the program or the GPU is at work. Then the driver would wait for the GPU before it frees
 * pinned memory, and let nobody launch anything meanwhile. */
static int give_up(struct ring *ring) {
    uint64_t calls = order_calls(), before = ring->calls;
    struct made made;
    ring->calls = calls;
    if (calls != before || !is_idle() || pthread_mutex_trylock(&ring->turn)) return 0;
    pthread_mutex_lock(&ring->mutex);
    int idle = !ring->lane[0].wanted && !ring->quit && !atomic_load(&ring->refused);
    if (idle) dismiss(ring, 1), ring->alive = 0, ring->giving_up = 1;
    pthread_mutex_unlock(&ring->mutex);
    if (idle) take_made(ring, &made);
    pthread_mutex_unlock(&ring->turn);
    if (!idle) return 0;
    release(&made);
    pthread_mutex_lock(&ring->mutex);
    ring->giving_up = 0;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->mutex);
    return 1;
}

void ring_await_given_up(struct ring *ring) {
    pthread_mutex_lock(&ring->mutex);
    while (ring->giving_up) pthread_cond_wait(&ring->changed, &ring->mutex);
    pthread_mutex_unlock(&ring->mutex);
}

static void leave(struct ring *ring) {
    ring->alive--;
    pthread_cond_broadcast(&ring->changed);
    pthread_mutex_unlock(&ring->mutex);
}

static void *lane_main(void *argument) {
    struct lane *lane = argument;
    struct ring *ring = lane->ring;
    CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED; /* what happens here concerns nobody's capture */
    thread_name("torpor-copy");
    driver()->cuCtxSetCurrent(ring->context);
    driver()->cuThreadExchangeStreamCaptureMode(&relaxed);
    pthread_mutex_lock(&ring->mutex);
    for (;;) {
        int waited_in_vain = !await_work(lane);
        if (ring->quit) return leave(ring), NULL;
        lane->wanted = 0;
        pthread_mutex_unlock(&ring->mutex);
        if (!waited_in_vain) work(lane);
        else if (give_up(ring)) return NULL;
        pthread_mutex_lock(&ring->mutex);
    }
}

static CUresult make_lane(struct lane *lane, char *pinned, size_t chunk) {
    const struct driver *d = driver();
    CUresult result = d->cuStreamCreate(&lane->stream, CU_STREAM_NON_BLOCKING);
    for (int h = 0; h < 2 && !result; h++) {
        lane->half[h].at = pinned + (size_t)h * chunk;
        result = d->cuEventCreate(&lane->half[h].event, CU_EVENT_DISABLE_TIMING);
    }
    return result;
}

/* As many lanes as there are buffers for. */
static CUresult make_lanes(struct ring *ring) {
    const struct settings *s = settings();
    int lanes = s->copy_streams ? (int)s->copy_streams : FEW_LANES, least = lanes < 2 ? lanes : 2;
    void *pinned = NULL;
    CUresult result;
    while ((result = driver()->cuMemHostAlloc(&pinned, (size_t)lanes * 2 * s->copy_chunk, PORTABLE)) && lanes / 2 >= least) lanes /= 2;
    if (result) return result;
    ring->pinned = pinned;
    ring->lanes = lanes;
    for (int i = 0; i < lanes && !result; i++) result = make_lane(&ring->lane[i], ring->pinned + (size_t)i * 2 * s->copy_chunk, s->copy_chunk);
    return result;
}

static CUresult start_threads(struct ring *ring) {
    pthread_mutex_lock(&ring->mutex);
    int good = 1;
    for (int i = 0; i < ring->lanes && good; i++) {
        ring->lane[i].wanted = 0;
        good = thread_start(lane_main, &ring->lane[i]);
        ring->alive += good;
    }
    if (!good) dismiss(ring, 0);
    pthread_mutex_unlock(&ring->mutex);
    return good ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

CUresult ring_start(struct ring *ring) {
    CUresult result = make_lanes(ring);
    if (!result) result = start_threads(ring);
    if (result) release_all(ring);
    else atomic_store(&ring->running, 1);
    return result;
}

void ring_forget(struct ring *ring) {
    pthread_mutex_lock(&ring->mutex);
    dismiss(ring, 0);
    pthread_mutex_unlock(&ring->mutex);
    struct made gone;
    take_made(ring, &gone);
}

void ring_stop(struct ring *ring) {
    CUcontext popped;
    struct made made;
    ring_await_given_up(ring);
    if (!atomic_load(&ring->running)) return;
    pthread_mutex_lock(&ring->mutex);
    dismiss(ring, 0);
    pthread_mutex_unlock(&ring->mutex);
    take_made(ring, &made);
    if (driver()->cuCtxPushCurrent_v2(ring->context)) return;
    release(&made);
    driver()->cuCtxPopCurrent_v2(&popped);
}

static size_t sum(const struct piece *pieces, size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += pieces[i].bytes;
    return bytes;
}

/* Small enough that every lane gets something for both of its halves. */
static size_t chunk_for(const struct ring *ring, size_t bytes) {
    size_t share = (bytes / (2 * (size_t)ring->lanes) + PAGE) / PAGE * PAGE, most = settings()->copy_chunk;
    if (share < LEAST_CHUNK) share = LEAST_CHUNK;
    return share < most ? share : most;
}

CUresult ring_copy(struct ring *ring, enum direction direction, const struct piece *pieces, size_t count, int complete) {
    size_t bytes = sum(pieces, count), chunk = chunk_for(ring, bytes), parts = bytes / chunk + count;
    int lanes = parts < (size_t)ring->lanes ? (int)parts : ring->lanes;
    pthread_mutex_lock(&ring->mutex);
    ring->job = (struct job){.direction = direction, .complete = complete, .pieces = pieces, .count = count, .chunk = chunk};
    ring->working = lanes;
    for (int i = 0; i < lanes; i++) {
        ring->lane[i].wanted = 1;
        pthread_cond_signal(&ring->lane[i].wake);
    }
    while (ring->working) pthread_cond_wait(&ring->changed, &ring->mutex);
    CUresult result = ring->job.result;
    pthread_mutex_unlock(&ring->mutex);
    return result;
}

CUresult ring_join(struct ring *ring, CUstream stream) {
    CUresult result = CUDA_SUCCESS;
    for (int i = 0; i < ring->lanes; i++)
        for (int h = 0; h < 2; h++) {
            struct half *half = &ring->lane[i].half[h];
            if (half->pending && !result) result = driver()->cuStreamWaitEvent(stream, half->event, 0);
        }
    return result;
}
