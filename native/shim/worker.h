/*
 * worker.h - carries out the commands that may take long, one at a time, on a thread of its own.
 *
 * The control thread hands a line over and goes on to serve other connections; worker_signal() becomes readable when the
 * answer is there. Every function but worker_after_fork() is the control thread's.
 *
 * Locks: the worker's mutex. Nothing is called with it held.
 */
#ifndef TORPOR_WORKER_H
#define TORPOR_WORKER_H

#include "command.h"

#include <stddef.h>

int worker_begin(void); /* 0: there can be no thread, or no descriptor, for it */
int worker_signal(void); /* a descriptor to poll for input */
int worker_is_idle(void); /* it has no line, and no answer that has not been taken */
void worker_run(const char *line); /* only while it is idle; the line is copied */
size_t worker_answer(char *text); /* after its signal: copies the answer, of up to LONGEST_ANSWER bytes, and returns its length; 0: there is none yet */
void worker_after_fork(void);

#endif
