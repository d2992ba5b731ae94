/* The contexts of the program. Thread-safe. */
#ifndef TORPOR_CONTEXTS_H
#define TORPOR_CONTEXTS_H

#include "driver.h"

enum { MAX_CONTEXTS = 256 };

int contexts_list(CUcontext *list); /* up to MAX_CONTEXTS; how many */
int contexts_missed(void);          /* there were more */
int contexts_knows(CUcontext context); /* its end will be seen */
CUcontext context_on(CUdevice device); /* any; NULL: there is none */
int contexts_on(CUdevice device, CUcontext *list); /* up to MAX_CONTEXTS; how many */
int context_has_failed(CUresult result); /* for good: nothing can be done in the context that has answered this, or it is gone */
void contexts_after_fork(void);

#endif
