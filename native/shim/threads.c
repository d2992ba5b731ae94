#define _GNU_SOURCE
#include "threads.h"
#include "cores.h"
#include "statistics.h"

#include <stddef.h>
#include <sys/prctl.h>
#include <time.h>

/* A program that maps memory in its handler gets these for what a copy touches. */
static void block_most(sigset_t *before) {
    static const int of_memory[] = {SIGSEGV, SIGBUS};
    sigset_t most;
    sigfillset(&most);
    for (size_t i = 0; i < sizeof of_memory / sizeof of_memory[0]; i++) sigdelset(&most, of_memory[i]);
    pthread_sigmask(SIG_SETMASK, &most, before);
}

void thread_quiet(struct quiet *quiet) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &quiet->cancellation);
    block_most(&quiet->signals);
}

void thread_unquiet(const struct quiet *quiet) {
    pthread_sigmask(SIG_SETMASK, &quiet->signals, NULL);
    pthread_setcancelstate(quiet->cancellation, NULL);
}

int thread_lock_within(pthread_mutex_t *mutex, uint64_t nanoseconds) {
    static const struct timespec nap = {0, 200000};
    uint64_t until = clock_ns() + nanoseconds;
    while (pthread_mutex_trylock(mutex)) {
        if (clock_ns() >= until) return 0;
        nanosleep(&nap, NULL);
    }
    return 1;
}

void thread_name(const char *name) {
    prctl(PR_SET_NAME, name);
    cores_unpin();
}

int thread_start_joinable(pthread_t *thread, void *(*run)(void *), void *argument) {
    sigset_t before;
    block_most(&before);
    int failed = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}

int thread_start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    int started = thread_start_joinable(&thread, run, argument);
    if (started) pthread_detach(thread);
    return started;
}
