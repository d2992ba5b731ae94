/* The pools that the shim serves, and what they hold to spare. */
#ifndef TORPOR_SPARES_H
#define TORPOR_SPARES_H

#include "chunks.h"

extern pthread_mutex_t pools_mutex; /* of all that follows, of chunks and of marks; taken before the blocks' lock */

struct pool *pool_find(CUmemoryPool handle); /* NULL: the shim does not serve it */
struct pool *pool_add(CUmemoryPool handle, CUdevice device); /* NULL: out of memory */
CUresult pool_learn_access(struct pool *pool); /* what the driver's pool grants, for all that was taken from this one */
struct pool *pool_of_nobody(CUdevice device); /* what was allocated without a pool and freed in a stream. NULL: out of memory */

void spares_trim(struct pool *pool, uint64_t keep); /* chunks that nobody uses and the GPU has done with, as long as so much is left of the pool */
void spares_look_for_excess(void); /* after each change */

#endif
