/* The pools that the shim serves, and in each the blocks that nobody uses. */
#ifndef TORPOR_SPARES_H
#define TORPOR_SPARES_H

#include "virtual_memory.h"

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
    CUmemoryPool handle; /* NULL: of what was allocated without a pool, and freed in a stream */
    CUdevice device;
    int leaving; /* it was destroyed */
    uint64_t accessors, threshold, used, used_high, spare_bytes, high;
    struct spare *spares;
};

extern pthread_mutex_t pools_mutex; /* of all that follows; taken before the blocks' lock */

struct pool *pool_find(CUmemoryPool handle); /* NULL: the shim does not serve it */
struct pool *pool_add(CUmemoryPool handle, CUdevice device); /* NULL: out of memory */
struct pool *pool_first(void);
struct pool *pool_of_nobody(CUdevice device); /* what was allocated without a pool and freed in a stream. NULL: out of memory */

uint64_t spare_thread(void); /* the calling thread's number; no other ever has it, as one would have its place in memory */
struct spare *spare_take(struct pool *pool, size_t size, CUcontext context, CUstream stream); /* out of the pool; NULL: none fits */
void spare_put(struct pool *pool, struct spare *spare);
void spare_drop(struct spare *spare); /* taken out before */
void spares_trim(struct pool *pool, uint64_t keep); /* what the GPU has done with, as far as there is more */
void spares_look_for_excess(void); /* after each change */

#endif
