/* Stream-ordered allocations, of parts of blocks that can be parked. A part that is freed waits in its pool for the next who wants
 * so much: the same stream at once, others when the GPU has come so far. Thread-safe. */
#ifndef TORPOR_POOL_H
#define TORPOR_POOL_H

#include "virtual_memory.h"

int pool_free(CUdeviceptr address, CUstream stream); /* in the stream's order. 0: it is no allocation of the shim's */

int pools_give_up(CUdevice device); /* waits, then drops what is unused; how much was gained, in chunks and parts */
void pools_empty(void);             /* of everything unused, after the GPU has done all */
void pools_trim(void);  /* to their thresholds */
void pools_sweep(void); /* of what was freed while the gate was closed */
void pools_stream_gone(CUstream stream);
void pools_context_gone(CUcontext context);
void pools_after_fork(void);

#endif
