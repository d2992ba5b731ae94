/* The process's end of the mailbox: a thread that serves one request after the other. */
#define _GNU_SOURCE
#include "driver.h"
#include "futex.h"

#include <sys/prctl.h>

enum { LOOK_AFTER_MS = 20 }; /* how often one that sleeps looks whether it is still who it was */

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

/* A process that CRIU has dumped and made anew has lost its slot with its death. Only a checkpointed one can be dumped. */
static struct slot *own_slot(struct slot *slot, uint64_t *generation) {
    while (!slot || !slot_is_own(slot, *generation)) {
        slot = slot_claim(gettid(), CU_PROCESS_STATE_CHECKPOINTED);
        if (slot) *generation = atomic_load(&slot->generation);
        else usleep(LOOK_AFTER_MS * 1000);
        driver.slot = slot;
    }
    return slot;
}

static void *restore_thread(void *unused) {
    (void)unused;
    prctl(PR_SET_NAME, RESTORE_THREAD); /* first: from another pid namespace the slot is known by it */
    struct slot *slot = driver.slot = slot_claim(gettid(), CU_PROCESS_STATE_RUNNING);
    announce();
    if (!slot) return NULL;
    uint64_t generation = atomic_load(&slot->generation);
    for (int asleep = 0;;) {
        if (asleep) slot = own_slot(slot, &generation);
        uint32_t posted = atomic_load(&slot->posted);
        if (posted == atomic_load(&slot->done)) futex_wait(&slot->posted, posted, asleep ? LOOK_AFTER_MS : 0);
        else {
            answer(slot, generation);
            asleep = atomic_load(&slot->state) == CU_PROCESS_STATE_CHECKPOINTED;
        }
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
