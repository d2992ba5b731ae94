/* While the engine copies for a stream, nothing else of that stream runs: neither the driver nor the GPU knows of the copy, so
 * whoever gives the stream work meanwhile waits before the driver. Thread-safe. */
#ifndef TORPOR_ORDER_H
#define TORPOR_ORDER_H

#include "driver.h"

#include <stdatomic.h>
#include <stdint.h>

/* What a thread is giving work to. Its own, so that a launch touches no memory that other threads write. */
struct giving {
    struct giving *next;
    _Atomic(CUstream) stream;
    _Atomic uint64_t calls;
    _Atomic int owned;
} __attribute__((aligned(128)));
#define GIVING_NOTHING ((CUstream)~(uintptr_t)0)

extern _Atomic int order_holds;
struct giving *order_mine(void);
void order_wait(struct giving *mine, CUstream stream);

/* Says first what it is about to do and looks after: who holds does it the other way round, so that one of the two sees the other. */
static inline struct giving *order_enter(CUstream stream) {
    struct giving *mine = order_mine();
    atomic_store(&mine->stream, stream);
    if (atomic_load(&order_holds)) order_wait(mine, stream);
    return mine;
}

static inline void order_leave(struct giving *mine) {
    uint64_t calls = atomic_load_explicit(&mine->calls, memory_order_relaxed);
    atomic_store_explicit(&mine->calls, calls + 1, memory_order_relaxed);
    atomic_store_explicit(&mine->stream, GIVING_NOTHING, memory_order_release);
}

/* The body of a wrapper that only keeps the order. */
#define IN_ORDER(stream, name, arguments) \
    const struct driver *d = driver(); \
    if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
    struct giving *giving = order_enter(stream); \
    CUresult answer = d->name arguments; \
    order_leave(giving); \
    return answer

/* From here to the release the stream of this context gets no work. 0: it cannot be had soon. Not to be nested. */
int order_hold(CUcontext context, CUstream stream);
void order_release(CUcontext context, CUstream stream);

uint64_t order_calls(void); /* so many have been given so far */
void order_after_fork(void);

#endif
