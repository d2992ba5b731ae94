#define _GNU_SOURCE
#include "bindings.h"
#include "driver.h"
#include "imports.h"
#include "statistics.h"
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int looking; /* a thread is at it */

static void init(void) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
}

static void *bind_main(void *nothing) {
    thread_name("torpor-bind");
    driver_bind_libraries();
    pthread_mutex_lock(&mutex);
    looking = 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return nothing;
}

/* 0: the thread still looks. */
static int look(uint64_t until) {
    struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    pthread_once(&once, init);
    pthread_mutex_lock(&mutex);
    if (!looking) looking = thread_start(bind_main, NULL);
    int started = looking;
    while (looking && pthread_cond_timedwait(&changed, &mutex, &at) != ETIMEDOUT) {}
    int done = !looking;
    pthread_mutex_unlock(&mutex);
    if (!started) driver_bind_libraries();
    return done;
}

const char *bindings_culprit(void) { return imports_stubborn(); }

enum bound bindings_settle(uint64_t until) {
    if (imports_have_new() && !look(until)) return BOUND_LOADING;
    return bindings_culprit() ? BOUND_PAST : BOUND;
}

/* The thread is the parent's. */
void bindings_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    looking = 0;
    init();
}
