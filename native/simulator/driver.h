/* What the files of the simulated driver share. Locks, outermost first: driver.mutex, memory, machine. The queue's is a leaf. */
#ifndef SIM_DRIVER_H
#define SIM_DRIVER_H

#include "../abi/cuda_functions.h"
#include "faults.h"
#include "machine.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SMALL_ALIGN = 512, PAGE_ALIGN = 2 << 20, MAX_PEERS = 32 };

struct CUctx_st {
    struct CUctx_st *next; /* never freed, so a stale handle is only stale */
    int device, alive, retained, primary;
    unsigned flags;
    CUstream standard; /* the NULL stream */
    _Atomic int sticky; /* the first error of an asynchronous operation */
    size_t limit[CU_LIMIT_MAX];
    uint64_t cost; /* in device memory */
    CUcontext peer[MAX_PEERS]; /* whose memory it reaches on other devices; under the lock of memory */
    int peers;
};

struct driver {
    pthread_mutex_t mutex;
    _Atomic int ready;
    _Atomic int forked; /* a child of a process with a driver: it has none */
    struct slot *_Atomic slot;
    struct machine *machine;
    _Atomic int restore_failed; /* for good */
    _Atomic int forced_state;   /* -1: none */
    _Atomic int physical[MAX_DEVICES];  /* which device of the machine each ordinal is; restore may permute it, and cuDeviceGetUuid asks at any time */
    struct CUctx_st *contexts;
    long delay_us;
};
extern struct driver driver;

/* gate.c: closed while the process is locked */
void gate_enter(void);
void gate_leave(void);
void gate_close(void);
void gate_open(void);
int gate_idle(void);

/* devices.c */
int device_known(CUdevice device);

/* thread.c */
int thread_start(void *(*run)(void *), void *argument); /* 0: it cannot */

/* context.c */
extern _Thread_local int in_host_function;
CUresult context_check(void); /* is a living context current */
CUcontext context_current(void);
int context_known(CUcontext context);

/* limits.c */
void limits_reset(CUcontext context);
uint64_t limits_cost(size_t stack); /* of a context whose threads have so large a stack */

/* peers.c, under the lock of memory */
int peer_reaches(CUcontext context, CUcontext owner);
void peers_forget(CUcontext context);

/* memory.c: device memory is a file, so that nothing but the driver reads it */
struct block { /* physical memory */
    struct block *next;
    uint64_t offset;
    size_t size;
    uint64_t charged;
    uint64_t id; /* of all that was ever allocated */
    int device, handles, mappings;
    int imports;          /* of those handles, that were taken from something shareable */
    enum maker { MADE_HERE, OPENED, IMPORTED } maker; /* what another process has made is where that keeps it */
    uint64_t source;      /* what it is in the other process */
    int opened;           /* how often, in the one context that may */
    CUmemAllocationProp prop;
};
struct range { /* addresses: one allocation, or a reservation of the virtual memory management */
    CUdeviceptr base;
    size_t size, extent;
    struct block *block; /* NULL: a reservation */
    CUcontext context;   /* NULL: of none */
    struct chunk *chunk; /* of a memory pool, which divides it; NULL: one allocation */
    int freed;           /* in the order of a stream */
    int sync_memops;
};
/* How memory is to be reached: */
enum {
    WRITES = 1,
    DIRECT = 2, /* by the device itself. Copies go through the host where they must */
    RUNNING = 4 /* its turn has come: what is to be freed later is still there */
};
extern pthread_rwlock_t memory;
CUresult memory_start(void);
struct block *block_create(size_t size, uint64_t charge, int device); /* NULL: not enough memory */
struct block *block_foreign(enum maker maker, uint64_t offset, size_t size, int device); /* memory of another process, which pays for it */
void block_drop(struct block *block);
CUresult blocks_lost(void); /* what a restore answers because of memory that others have made; 0: there is none */
uint64_t memory_id(void);
struct block *block_first(void);
struct range *range_at(CUdeviceptr address);
struct range *range_from(CUdeviceptr address); /* the first that ends after it */
struct range *range_reserve(size_t size, size_t alignment, CUdeviceptr hint);
void range_release(struct range *range);
int range_address_taken(CUdeviceptr address);
CUresult charge_context(CUcontext context, uint64_t cost, int more); /* more: of its device's contexts */
size_t contexts_bytes(void);
void devices_now(int *physical); /* a copy of driver.physical */
void charges_by_device(const int *physical, uint64_t *want);
void contexts_publish(void); /* writes how many contexts there are into the slot, which is new after CRIU has restored the process */
void memory_drop_context(CUcontext context);
CUresult memory_check(CUdeviceptr at, size_t bytes, unsigned how, CUcontext by);
CUresult memory_read(CUdeviceptr at, void *to, size_t bytes);
CUresult memory_write(CUdeviceptr at, const void *from, size_t bytes);
void store_read(uint64_t offset, void *to, size_t bytes);
void store_write(uint64_t offset, const void *from, size_t bytes);
void store_empty(void);
int store_file(void);

/* foreign.c: where other processes keep their memory. Their places are known by the upper bits of an offset. */
int foreign_open(int pid, int file, uint64_t *offset); /* 0: it cannot be reached */
int foreign_file(uint64_t *offset);                     /* -1: the place is of this process */
void foreign_close(uint64_t offset);

/* mapping.c: address -> block, for ranges without a block of their own */
struct mapping {
    CUdeviceptr base;
    size_t size;
    struct block *block;
    uint64_t id; /* its own, however often the block is mapped */
    unsigned char access[MAX_DEVICES];
};
struct mapping *mapping_at(CUdeviceptr address);
struct mapping *mapping_from(CUdeviceptr address); /* the first that ends after address */
struct block *block_of(CUmemGenericAllocationHandle handle);
int location_known(const CUmemLocation *location);
int access_known(const CUmemAccessDesc *description);

/* pool.c, parts.c */
void pools_settle(void);           /* somebody has waited: memory beyond the thresholds goes back */
void pools_give_back(int device); /* with the lock of memory held: all that is unused */

/* allocate.c, with the lock of memory held */
struct extent { CUdeviceptr base; size_t size; CUcontext context; int device; struct range *range; struct block *block; CUmemoryPool pool; uint64_t id; unsigned access; };
int extent_of(CUdeviceptr address, struct extent *extent);

/* share.c */
CUresult share_descriptor(void *descriptor, uint64_t block); /* a file that names a block of this process */

/* host.c */
int host_managed_free(CUdeviceptr address); /* 0: it is no managed memory */
int host_pinned(const void *address, size_t bytes); /* or managed: what device and host alike reach */
CUresult host_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address);

/* stream.c, queue.c */
struct op {
    struct op *next;
    uint64_t number; /* order of submission over all streams */
    CUcontext context;
    void (*run)(struct op *);
    int prompt; /* somebody waits: no artificial delay */
    CUstream wait_stream;
    uint64_t wait_number;
    CUdeviceptr to, from;
    size_t bytes;
    void *staged;
    uint64_t word[5];
    void *pointer;
    CUstreamCallback callback;
    CUhostFn function;
    CUstream stream;
};
extern _Thread_local int null_is_per_thread; /* in the call that is being made */
CUresult stream_resolve(CUstream handle, CUstream *stream);
CUresult stream_find(CUstream handle, CUstream *stream); /* to be given work: refused where a capture forbids it */
int stream_is_handle(CUstream handle); /* and not one of the names of a default stream */
CUstream stream_open(CUcontext context, unsigned flags);
void stream_make_standard(CUstream stream);
void streams_close(CUcontext context);
void events_close(CUcontext context); /* event.c: they go with it */
struct op *op_new(CUstream stream, void (*run)(struct op *));
uint64_t op_submit(struct op *op, CUstream stream); /* takes the op; its number, 0: captured */
CUresult op_perform(struct op *op, CUstream stream); /* submits and waits */
CUresult op_check(const struct op *op); /* may a graph be made of it now? */
int op_done(CUstream stream, uint64_t number);
uint64_t stream_last(CUstream stream); /* the number of what it was given last */
void op_wait(CUstream stream, uint64_t number);
void streams_wait(CUcontext context); /* NULL: of every context */
uint64_t streams_last(void); /* the number of what any was given last */
int streams_done(CUcontext context, uint64_t number);
void streams_wait_until(CUcontext context, uint64_t number);
int streams_idle(void);
void op_failed(struct op *op, CUresult error);

/* graph.c: what captures make of calls. What they refuse makes them invalid. */
CUresult capture_check(CUstream stream);                           /* may it be given work? */
CUresult capture_forbids(void);                                    /* may this thread do what no graph can hold? */
CUresult capture_forbids_wait(CUcontext context, CUstream stream); /* may anybody wait for the stream, or for all: NULL? */
int capture_active(CUstream stream);
uint64_t capture_of(CUstream stream, uint64_t *number); /* 0: none; the number of what it recorded last */
CUresult capture_join(CUstream stream, uint64_t id, CUstream from, uint64_t number); /* by waiting for an event */

/* checkpoint.c and restore.c: the two ends of the mailbox */
void restore_thread_start(void);
CUresult serve(struct request *request);

#endif
