/* Memory pools. All of it is under the lock of memory: to be written where nothing else is said. */
#ifndef SIM_POOL_H
#define SIM_POOL_H

#include "driver.h"

struct part { /* of a chunk: an allocation, or what is left between two */
    struct part *next; /* the neighbour; together they are the chunk */
    size_t at, extent, size; /* size: as asked for */
    int live;
    CUstream stream; /* whose free has perhaps not been reached yet; NULL: it is anybody's */
    uint64_t number;
    uint64_t id;
};

struct chunk { /* what a pool takes from the device at a time: a range with a block */
    struct chunk *next;
    CUmemoryPool pool;
    struct range *range;
    struct part *parts;
};

struct CUmemPoolHandle_st {
    struct CUmemPoolHandle_st *next; /* never freed, so a stale handle is only stale, or another's */
    int alive, standard;
    CUmemPoolProps props;
    int reuse[CU_MEMPOOL_ATTR_RELEASE_THRESHOLD];
    uint64_t threshold, reserved, reserved_high, used, used_high;
    unsigned char access[MAX_DEVICES];
    struct chunk *chunks;
};

/* parts.c */
int part_take(CUmemoryPool pool, size_t bytes, CUstream stream, CUdeviceptr *address); /* 0: not enough memory */
struct part *part_at(const struct range *range, CUdeviceptr address); /* an allocation; for reading. NULL: none there */
size_t part_reach(const struct range *range, CUdeviceptr at, size_t bytes, unsigned how, CUcontext by); /* for reading; 0: no access */
void part_free(const struct range *range, struct part *part, CUstream stream, uint64_t number); /* stream NULL: nobody uses it any more */
void part_free_counted(const struct range *range, struct part *part); /* by cuMemFree */
void parts_freed(CUmemoryPool pool, CUstream stream, uint64_t number); /* the free has been reached */
void parts_settle(CUmemoryPool pool); /* frees that have been reached */
void chunks_trim(CUmemoryPool pool, uint64_t keep);
int chunks_any(void); /* without the lock */

/* pool.c */
CUmemoryPool pool_of(const struct range *range); /* NULL: it is no pool's */

#endif
