#include "driver.h"

/* A caller counts itself first and tests after; closing sets first and counts after. The other order loses callers. */
static _Atomic int inflight, closed;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;

static void wait_until_open(void) {
    pthread_mutex_lock(&mutex);
    while (atomic_load(&closed)) pthread_cond_wait(&opened, &mutex);
    pthread_mutex_unlock(&mutex);
}

void gate_enter(void) {
    for (;;) {
        atomic_fetch_add(&inflight, 1);
        if (!atomic_load(&closed)) return;
        atomic_fetch_sub(&inflight, 1);
        wait_until_open();
    }
}

void gate_leave(void) { atomic_fetch_sub(&inflight, 1); }
void gate_close(void) { atomic_store(&closed, 1); }
int gate_idle(void) { return atomic_load(&inflight) == 0; }

void gate_open(void) {
    pthread_mutex_lock(&mutex);
    atomic_store(&closed, 0);
    pthread_cond_broadcast(&opened);
    pthread_mutex_unlock(&mutex);
}
