/* The copy engine: a ring of pinned buffers for each context that copies much. Thread-safe. */
#ifndef TORPOR_ENGINE_H
#define TORPOR_ENGINE_H

#include "ring.h"

/* The ring of a context, or NULL and why it does not copy now. Takes nothing. */
struct ring *engine_ring(CUcontext context, size_t bytes, enum reason *why);

/* Copies in the current context, which must be the ring's: one at a time, the others wait. With a stream the device may get
 * the last bytes later, but before the stream goes on; without, when this returns all is done. 0: nothing was done, and why.
 * For a thread that is quiet: the lanes are at work on its pieces until this returns. */
int engine_copy(struct ring *ring, CUcontext context, enum direction direction, const struct piece *pieces, size_t count,
                const CUstream *stream, CUresult *result, enum reason *why);

/* For whoever parks, in the current context: whatever the settings for the program's copies, and by the driver where there can be no ring. */
CUresult engine_move(CUcontext context, enum direction direction, const struct piece *pieces, size_t count);

void engine_close(CUcontext context);  /* before it is destroyed */
void engine_refuse(CUcontext context); /* it is not served */
/* Around what may destroy a primary context: meanwhile nobody uses what dies with it. NULL: nothing does. */
struct ring *engine_hold_primary(CUdevice device);
void engine_release_primary(struct ring *ring);

void engine_after_fork(void);

#endif
