/* Keeps the program from device memory, and the GPU without work of it. By one thread at a time. */
#ifndef TORPOR_GATE_H
#define TORPOR_GATE_H

#include "driver.h"

enum drained { GATE_CLOSED, GATE_CAPTURE, GATE_BUSY, GATE_FAILED, GATE_NO_THREAD, GATE_CALLED_OFF };

/* Closed: nobody is in a call that uses device memory, none can begin, and every context is idle. Otherwise all is open again:
 * a capture is going on, work did not end in time, a context answers `error`, the thread that waits cannot be
 * started, or nobody wants it any more. While it waits for long, it opens
 * the gate now and then, so that other work is not held up all the time. */
enum drained gate_close(uint64_t nanoseconds, CUresult *error);
int gate_close_at_once(uint64_t nanoseconds); /* contexts are not waited for. 0: a call did not end in time, and all is open again */
void gate_open(void);
void gate_call_off(int off); /* 1: a gate_close() that goes on, or comes next, ends soon; 0: from here on they do not. Any thread */
void gate_after_fork(void);

#endif
