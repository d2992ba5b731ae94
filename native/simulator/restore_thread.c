/* The process's end of the mailbox: a thread that serves one request after the other. */
#define _GNU_SOURCE
#include "driver.h"
#include "futex.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t started = PTHREAD_COND_INITIALIZER;
static int running;

static void announce(void) {
    pthread_mutex_lock(&mutex);
    running = 1;
    pthread_cond_signal(&started);
    pthread_mutex_unlock(&mutex);
}

static void answer(struct slot *slot, uint64_t generation) {
    struct request *request = &slot->request;
    int meant = request->generation == generation;
    request->result = (int)(meant ? serve(request) : CUDA_ERROR_NOT_INITIALIZED);
    atomic_store(&slot->done, atomic_load(&slot->posted));
    futex_wake(&slot->done);
}

static void *restore_thread(void *unused) {
    (void)unused;
    struct slot *slot = driver.slot = slot_claim(gettid());
    announce();
    if (!slot) return NULL;
    uint64_t generation = atomic_load(&slot->generation);
    for (;;) {
        uint32_t posted = atomic_load(&slot->posted);
        if (posted == atomic_load(&slot->done)) futex_wait(&slot->posted, posted, 0);
        else answer(slot, generation);
    }
    return NULL;
}

void restore_thread_start(void) {
    running = 0; /* an earlier cuInit may have failed */
    if (!thread_start(restore_thread, NULL)) return;
    pthread_mutex_lock(&mutex);
    while (!running) pthread_cond_wait(&started, &mutex);
    pthread_mutex_unlock(&mutex);
}
