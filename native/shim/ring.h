/* The pinned buffers, streams and threads that copy in one context. */
#ifndef TORPOR_RING_H
#define TORPOR_RING_H

#include "driver.h"
#include "settings.h"
#include "statistics.h"
#include "stored.h"

#include <pthread.h>
#include <stdatomic.h>

/* Host memory is at the other end, or files are. */
struct piece {
    CUdeviceptr device;
    char *host;
    size_t bytes;
    struct stored *file; /* NULL: there are none */
    size_t offset;       /* in them */
};

/* Half of a lane's pinned memory: one is filled while the other is on its way. */
struct half {
    char *at;
    CUevent event;
    int pending;       /* what was recorded last may not have happened */
    struct piece part; /* what is under way to the host */
};

struct lane {
    struct ring *ring;
    CUstream stream;
    struct half half[2];
    unsigned next; /* which half */
    int wanted;    /* with the ring's mutex */
    pthread_cond_t wake;
};

struct job {
    enum direction direction;
    int complete; /* wait until the device has got everything */
    const struct piece *pieces;
    size_t count, at, inside, chunk;
    CUresult result;
};

struct ring {
    pthread_mutex_t turn; /* of whoever copies, starts or stops. Taken before the mutex. */
    CUcontext context;    /* with the turn and the engine's mutex; NULL: unused */
    CUdevice device;
    int primary;
    _Atomic int refused; /* the engine does not serve this context, or no longer */
    _Atomic int running;
    _Atomic uint64_t seen;   /* bytes of large copies since it last stopped */
    _Atomic uint64_t queued; /* bytes that are being copied or wait for their turn */
    char *pinned;
    struct lane lane[MAX_STREAMS];
    int lanes;
    uint64_t calls; /* how many the program had made when the first lane last looked whether it is idle */

    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t changed;
    struct job job;
    int alive, working, quit;
    int giving_up; /* the first lane frees what the ring had, without the turn, as that may wait for the GPU */
};

void ring_init(struct ring *ring);

/* All with the turn. The context is the current one, except for ring_stop. */
CUresult ring_start(struct ring *ring);
CUresult ring_copy(struct ring *ring, enum direction direction, const struct piece *pieces, size_t count, int complete);
CUresult ring_join(struct ring *ring, CUstream stream); /* the stream waits for what was copied last */
void ring_stop(struct ring *ring);
void ring_await_given_up(struct ring *ring); /* its context is about to end */
void ring_forget(struct ring *ring); /* its context is gone, and everything with it but the threads */

#endif
