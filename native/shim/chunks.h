/* What a pool consists of: chunks, blocks of memory that are divided among allocations, and their parts, used or free. With the
 * pools' mutex; what queries and parking look at changes with the blocks' lock too, and may be read with that alone. */
#ifndef TORPOR_CHUNKS_H
#define TORPOR_CHUNKS_H

#include "marks.h"
#include "virtual_memory.h"

struct part {
    struct part *next, *previous; /* by address, without gaps */
    struct part *next_free, *previous_free; /* of the same frees: what was freed last comes first */
    struct frees *frees;                    /* NULL: it is used, or on its way to be free */
    struct chunk *chunk;
    CUdeviceptr base;
    size_t size;
    struct request request; /* no bytes: nobody uses it, or it is on its way to be free */
    struct mark *mark;      /* of a free one. NULL: the GPU has done with it, and it is among the pool's ready ones */
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

/* Free parts of a pool: those that one line has freed, and that the GPU may still use for it. */
struct frees {
    struct frees *next;
    struct line line;
    int leaving; /* its context is about to go: the driver is not asked */
    struct part *first, *last; /* what was freed first is last, and is reached first */
};

struct pool {
    struct pool *next;
    CUmemoryPool handle; /* NULL: of what was allocated without a pool, and freed in a stream */
    CUdevice device;
    int leaving; /* it was destroyed */
    int patient; /* what another line has freed is used when somebody has waited for it, not as soon as it is reached */
    uint64_t readers, writers; /* devices */
    uint64_t threshold;
    uint64_t used, used_high, reserved, reserved_high;
    uint64_t idle; /* bytes of chunks of which nothing is used */
    struct chunk *chunks;
    struct frees ready;    /* anybody's */
    struct frees *pending; /* by line; the one that was used last comes first */
};

/* Of so many bytes or, where the memory allows, more. One part, which is free. NULL: there is no memory */
struct part *chunk_make(struct pool *pool, size_t size);
struct part *chunk_adopt(struct pool *pool, struct mapping *allocation); /* one part, which is taken. With the blocks' lock. NULL: out of host memory */
int chunk_is_done(const struct chunk *chunk); /* nobody uses it, nor, by what is known, does the GPU */
void chunk_drop(struct chunk *chunk); /* nothing of it is used */

/* The smallest that the line may use now. NULL: none fits. */
struct part *part_find(struct pool *pool, size_t size, const struct line *line);
void parts_gather(struct pool *pool, const struct line *line); /* makes one of neighbours that the line may use */
void parts_settle(struct pool *pool); /* asks how far the GPU has come */
void part_use(struct part *part, size_t size, const struct request *request); /* what is more than the size stays free */
void part_free(struct part *part, struct mark *mark); /* takes the mark. NULL: the GPU has done with it */

/* The latest of those that were made up to a number and are waited for by somebody still. NULL: there is none. */
struct mark *frees_latest(const struct pool *pool, uint64_t up_to);
void frees_reached(struct pool *pool, const struct mark *mark); /* the GPU has come as far as that */
void frees_stream_gone(struct pool *pool, CUstream stream);
void frees_context_leaves(struct pool *pool, CUcontext context, int leaves); /* before its end; 0: it did not end */
void frees_context_gone(struct pool *pool, CUcontext context);

/* With the blocks' lock. */
struct part *part_holding(const struct chunk *chunk, CUdeviceptr address);
struct request *request_at(CUdeviceptr base, struct mapping **mapping, struct part **part); /* of the allocation that begins there. NULL: there is none; part: NULL where it is no part */

#endif
