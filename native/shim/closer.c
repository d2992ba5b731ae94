#include "closer.h"
#include "threads.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* so that a child has open just what it finds here */
static int waiting[MOST_STRIPES];                         /* one more than a descriptor; 0: none */
static _Atomic int at_work;

static void close_all(void) {
    for (int i = 0; i < MOST_STRIPES; i++) {
        pthread_mutex_lock(&mutex);
        if (waiting[i]) close(waiting[i] - 1);
        waiting[i] = 0;
        pthread_mutex_unlock(&mutex);
    }
    atomic_store(&at_work, 0);
}

static void *closer_main(void *nothing) {
    thread_name("torpor-close");
    close_all();
    return nothing;
}

void closer_take(const int *descriptors, int count) {
    closer_await();
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count; i++) waiting[i] = descriptors[i] + 1;
    atomic_store(&at_work, 1);
    pthread_mutex_unlock(&mutex);
    if (!thread_start(closer_main, NULL)) close_all();
}

void closer_await(void) {
    static const struct timespec nap = {0, 1000000};
    while (atomic_load(&at_work)) nanosleep(&nap, NULL);
}

void closer_before_fork(void) { pthread_mutex_lock(&mutex); }

void closer_after_fork(int in_child) {
    pthread_mutex_unlock(&mutex);
    if (in_child) close_all();
}
