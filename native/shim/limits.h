/* An idle context holds local memory for every thread that could run: given up while parked, by its stack limit. */
#ifndef TORPOR_LIMITS_H
#define TORPOR_LIMITS_H

#include "driver.h"

/* By whoever has closed the gate. */
void limits_lower(void);
CUresult limits_restore(void); /* all or nothing */
void limits_context_gone(CUcontext context);
void limits_after_fork(void);

#endif
