/* The pitch that the driver chooses for rows of a width, and of elements of a size. Thread-safe. */
#ifndef TORPOR_PITCH_H
#define TORPOR_PITCH_H

#include "driver.h"

/* In the current context, which is on that device. 0: the driver does not say, or too many widths have been asked for. */
size_t pitch_for(CUdevice device, size_t width, unsigned element);

void pitches_free(void); /* what the questions have allocated. While the GPU is idle */
void pitches_context_gone(CUcontext context);
void pitches_after_fork(void);

#endif
