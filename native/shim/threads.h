/* Threads of the shim: they take no signal that is not about their own access to memory. */
#ifndef TORPOR_THREADS_H
#define TORPOR_THREADS_H

#include <pthread.h>

int thread_start(void *(*run)(void *), void *argument); /* 0: there can be none */
int thread_start_joinable(pthread_t *thread, void *(*run)(void *), void *argument);
void thread_name(const char *name); /* the calling thread's, for whoever lists threads */

#endif
