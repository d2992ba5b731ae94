#ifndef TORPOR_LIFECYCLE_H
#define TORPOR_LIFECYCLE_H

/* When the process turns out to use CUDA. Once. */
void lifecycle_begin(void);

#endif
