/* What a pool consists of: chunks, blocks of memory that are divided among allocations, and their parts, used or free. With the
 * pools' mutex; what queries and parking look at changes with the blocks' lock too, and may be read with that alone. */
#ifndef TORPOR_CHUNKS_H
#define TORPOR_CHUNKS_H

#include "marks.h"
#include "virtual_memory.h"

struct part {
    struct part *next, *previous; /* by address, without gaps */
    struct part *next_free, *previous_free; /* of the pool: what was freed last comes first */
    struct chunk *chunk;
    CUdeviceptr base;
    size_t size;
    int is_free;
    struct request request; /* no bytes: nobody uses it, or it is on its way to be free */
    struct mark *mark;      /* of a free one. NULL: the GPU has done with it */
};

struct chunk {
    struct chunk *next, *previous; /* of the pool */
    struct pool *pool;
    CUdeviceptr base;
    size_t size;
    size_t taken; /* so many parts are not free */
    struct part *first;
    struct part *starts[]; /* by granule: what begins there */
};

struct pool {
    struct pool *next;
    CUmemoryPool handle; /* NULL: of what was allocated without a pool, and freed in a stream */
    CUdevice device;
    int leaving; /* it was destroyed */
    uint64_t accessors, threshold;
    uint64_t used, used_high, reserved, reserved_high;
    uint64_t idle; /* bytes of chunks of which nothing is used */
    struct chunk *chunks;
    struct part *frees;
};

/* Of so many bytes or, where the memory allows, more. One part, which is free. NULL: there is no memory */
struct part *chunk_make(struct pool *pool, size_t size);
struct part *chunk_adopt(struct pool *pool, struct mapping *allocation); /* one part, which is taken. With the blocks' lock. NULL: out of host memory */
int chunk_is_done(struct chunk *chunk); /* nobody uses it, nor does the GPU */
void chunk_await(struct chunk *chunk);
void chunk_drop(struct chunk *chunk); /* nothing of it is used */

/* The best that the stream may use now, by what is known or by asking the driver. NULL: none fits. */
struct part *part_find(struct pool *pool, size_t size, CUcontext context, CUstream stream, int ask);
void parts_gather(struct pool *pool, CUcontext context, CUstream stream); /* makes one of neighbours that the stream may use */
void part_use(struct part *part, size_t size, const struct request *request); /* what is more than the size stays free */
void part_free(struct part *part, struct mark *mark); /* takes the mark */

/* With the blocks' lock. */
struct part *part_holding(const struct chunk *chunk, CUdeviceptr address);
struct request *request_at(CUdeviceptr base, struct mapping **mapping, struct part **part); /* of the allocation that begins there. NULL: there is none; part: NULL where it is no part */

#endif
