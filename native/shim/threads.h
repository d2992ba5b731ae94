/* Threads of the shim: they take no signal that is not about their own access to memory. */
#ifndef TORPOR_THREADS_H
#define TORPOR_THREADS_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>

int thread_start(void *(*run)(void *), void *argument); /* 0: there can be none */
int thread_start_joinable(pthread_t *thread, void *(*run)(void *), void *argument);
/* Around waits with locks, or with others at work on what the calling thread has on its stack: it is not cancelled, and takes no signal
 * whose handler might jump out. */
struct quiet { int cancellation; sigset_t signals; };
void thread_quiet(struct quiet *quiet);
void thread_unquiet(const struct quiet *quiet);

int thread_lock_within(pthread_mutex_t *mutex, uint64_t nanoseconds); /* whatever becomes of the time of day. 0: it is not to be had */

void thread_name(const char *name); /* the calling thread's, which is one of the shim's, when it begins; for programs that list threads */

#endif
