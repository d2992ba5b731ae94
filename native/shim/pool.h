/* Stream-ordered allocations, of parts of blocks that can be parked. A part that is freed waits in its pool for the next who wants
 * so much: the same stream at once, others when the GPU has come so far. Thread-safe. */
#ifndef TORPOR_POOL_H
#define TORPOR_POOL_H

#include "virtual_memory.h"

struct line;
int pool_free(CUdeviceptr address, const struct line *line); /* in its order; NULL: the GPU has done with it. 0: it is no allocation of the shim's */

int pools_give_up(CUdevice device); /* waits, then drops what is unused; how much was gained, in chunks and parts */
int pools_give_up_now(CUdevice device); /* the same without waiting */
void pools_empty(void);             /* of everything unused, after the GPU has done all */
void pools_trim(void);  /* to their thresholds */
void pools_sweep(void); /* of what was freed while the gate was closed */
void pools_stream_gone(CUstream stream);
void pools_context_leaves(CUcontext context); /* before its end, of which one of these tells: */
void pools_context_stays(CUcontext context);
void pools_context_gone(CUcontext context);
void pools_after_fork(void);

#endif
