/* The device memory that can be parked: blocks of physical memory, and where each is mapped. What the shim made for the program's
 * allocations and what the program makes with the driver's virtual memory management stand side by side. */
#ifndef TORPOR_BLOCKS_H
#define TORPOR_BLOCKS_H

#include "driver.h"

#include <pthread.h>

enum { MAX_DEVICES = 64 };

/* Why a block stays where it is. */
#define STAYS(X) \
    X(NOWHERE, nowhere)         /* it does not: it is parked */ \
    X(EXPORTED, exported)       /* another process or another device may reach it */ \
    X(UNRECORDED, unrecorded)   /* its accesses cannot be put back */
enum stays {
#define STAY(upper, lower) STAYS_##upper,
    STAYS(STAY)
#undef STAY
    STAYS_COUNT
};

struct block {
    struct block *next, *previous;
    CUmemGenericAllocationHandle handle; /* the driver's; means nothing while the block is parked */
    CUmemAllocationProp prop;
    size_t size;
    unsigned index;    /* in the table of handles that the program knows; 0: it knows none */
    int references;    /* of the program's, to that handle */
    int mappings;
    enum stays stays;
    struct chunk *chunk; /* by which a pool divides it among allocations, while its mapping's request is of all of it. NULL: nobody does */
    _Atomic int parked; /* its bytes are in the arena, at `place`; set by a park that has the lock to read alone */
    int lost;          /* parked, and given up: nothing of it comes back */
    size_t place;

    /* Of whoever parks: it is in the parcel; where it is copied from and to; whether it is mapped there for that alone. */
    int moving;
    CUdeviceptr at;
    int windowed;
};

/* What the program asked for, where the shim has made it: all zero for the program's own mapping. */
struct request {
    size_t bytes;
    uint64_t number;   /* request_number() */
    CUcontext context; /* with which it goes; NULL: with none */
    CUmemoryPool pool;
    int freed;         /* while the gate was closed */
};

struct mapping {
    CUdeviceptr base;
    size_t size;
    struct block *block;
    uint64_t readers, writers; /* devices */
    struct request request;
};

/* Of all that follows, and of the fields above; taken after the order's, before nothing. */
extern pthread_rwlock_t blocks_lock;

/* The program's handles are ours: the driver's change when a block comes back. */
CUmemGenericAllocationHandle block_handle(struct block *block);
struct block *block_of_handle(CUmemGenericAllocationHandle handle); /* NULL: it is none of ours, or no longer */
int handle_looks_ours(CUmemGenericAllocationHandle handle); /* the driver must not see it, even if it stands for nothing any more */

/* With the lock, to write. */
struct block *block_add(CUmemGenericAllocationHandle handle, const CUmemAllocationProp *prop, size_t size); /* NULL: out of memory */
int block_name(struct block *block); /* gives it a handle for the program; 0: out of memory */
void block_remove(struct block *block);
struct mapping *mapping_add(CUdeviceptr base, struct block *block); /* NULL: out of memory */
void mapping_remove(struct mapping *mapping);

/* With the lock. */
struct block *block_first(void);
struct mapping *mapping_at(CUdeviceptr address); /* the one that holds the address */
struct mapping *mapping_next(CUdeviceptr address); /* the first that ends after it */

uint64_t request_number(void); /* another one each time */

/* How often blocks have come back: whoever remembers memory by its identity must not take what came back for what went. */
extern _Atomic uint64_t blocks_returned;

void blocks_after_fork(void);

#endif
