/* Stream-ordered allocations, of blocks that can be parked. A block that is freed waits in its pool for the next who wants one
 * like it: the same stream at once, others when the GPU has come so far. Thread-safe. */
#ifndef TORPOR_POOL_H
#define TORPOR_POOL_H

#include "virtual_memory.h"

/* Freed by a call that belongs to no stream. The program has waited for whatever used it. */
void pool_take_back(const struct piece_of_device *piece, const struct request *request);
void pool_forget(const struct piece_of_device *piece, const struct request *request); /* it goes, and not into the pool */

int pools_give_up(CUdevice device); /* waits, then drops what is unused; how many blocks */
void pools_empty(void);             /* of everything unused, after the GPU has done all */
void pools_trim(void); /* to their thresholds */
void pools_stream_gone(CUstream stream);
void pools_context_gone(CUcontext context);
void pools_after_fork(void);

#endif
