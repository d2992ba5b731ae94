/* Streams that are being captured, in the whole process. */
#ifndef TORPOR_CAPTURE_H
#define TORPOR_CAPTURE_H

#include "../abi/cuda_types.h"

int capturing(void);
void capture_context_gone(CUcontext context); /* and its captures with it. NULL: none is */

#endif
