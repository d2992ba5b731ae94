/* Streams that are being captured, in the whole process. */
#ifndef TORPOR_CAPTURE_H
#define TORPOR_CAPTURE_H

#include "../abi/cuda_types.h"

int capturing(void);

/* What waits for a context, or asks its NULL stream, spoils a capture that begins meanwhile. From here to the release none begins.
 * 0: one is going on. */
int capture_hold_off(void);
void capture_release(void);
void capture_after_fork(void);

void capture_context_gone(CUcontext context); /* and its captures with it. NULL: none is */

#endif
