/* Keeps the program from device memory, and the GPU without work of it. By one thread at a time. */
#ifndef TORPOR_GATE_H
#define TORPOR_GATE_H

#include "driver.h"

enum drained { GATE_CLOSED, GATE_CAPTURE, GATE_BUSY, GATE_FAILED, GATE_NO_THREAD };

/* Closed: nobody is in a call that uses device memory, none can begin, and every context is idle. Otherwise all is open again:
 * a capture is going on, work did not end in time, a context answers `error`, or the thread that waits cannot be started. */
enum drained gate_close(uint64_t nanoseconds, CUresult *error);
void gate_open(void);
void gate_after_fork(void);

#endif
