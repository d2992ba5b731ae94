/* The controller's end: finds the process, puts the request into its mailbox and waits. Needs no cuInit. */
#define _GNU_SOURCE
#include "driver.h"
#include "futex.h"
#include "process.h"

#include <errno.h>
#include <string.h>

enum { LOOK_AFTER_MS = 20 }; /* how often a waiting controller looks whether the process still lives */
enum { SETTLES = 200, SETTLE_US = 5000 }; /* how long one that CRIU has made anew may take to have a slot again */
enum { QUEUE_US = 200 };     /* how often it tries again while another controller talks to the process */

static int zeros(const void *bytes, size_t count) {
    const char *at = bytes;
    while (count && !*at) at++, count--;
    return count == 0;
}

static CUresult find(int pid, struct slot **slot) {
    if (!pid) return CUDA_ERROR_OPERATING_SYSTEM;
    if (!machine()) return CUDA_ERROR_SYSTEM_NOT_READY;
    *slot = slot_of(pid);
    int elsewhere = !*slot && process_thread_named(pid, RESTORE_THREAD) && !machine_mapped(pid);
    for (int i = 0; i < SETTLES && !*slot && !elsewhere && process_thread_named(pid, RESTORE_THREAD); i++) {
        usleep(SETTLE_US);
        *slot = slot_of(pid);
    }
    return *slot ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
}

static CUresult gone(int pid) { return process_exists(pid) ? CUDA_ERROR_NOT_INITIALIZED : CUDA_ERROR_OPERATING_SYSTEM; }

/* Until the last request was answered. 0: the process died. */
static int wait_answer(struct slot *slot, uint64_t generation) {
    for (;;) {
        uint32_t posted = atomic_load(&slot->posted), done = atomic_load(&slot->done);
        if (posted == done) return atomic_load(&slot->generation) == generation; /* a new owner clears the box too */
        if (!slot_alive(slot, generation)) return 0;
        futex_wait(&slot->done, done, LOOK_AFTER_MS);
    }
}

static int take_desk(struct slot *slot, uint64_t generation) {
    int error;
    while ((error = robust_trylock(&slot->desk)) == EBUSY) {
        if (!slot_alive(slot, generation)) return 0;
        usleep(QUEUE_US);
    }
    return !error;
}

static CUresult converse(struct slot *slot, int pid, uint64_t generation, struct request *request) {
    if (!wait_answer(slot, generation)) return gone(pid); /* the controller before us may have died waiting */
    slot->request = *request;
    atomic_fetch_add(&slot->posted, 1);
    futex_wake(&slot->posted);
    if (!wait_answer(slot, generation)) return gone(pid);
    *request = slot->request;
    return (CUresult)request->result;
}

static CUresult ask(struct slot *slot, struct request *request) {
    int pid = slot_pid(slot);
    uint64_t generation = atomic_load(&slot->generation);
    request->generation = generation;
    request->sender = getpid();
    if (!pid || !take_desk(slot, generation)) return gone(pid);
    CUresult result = converse(slot, pid, generation, request);
    pthread_mutex_unlock(&slot->desk);
    return result;
}

static CUresult request(int tid, struct request *request) {
    struct slot *slot;
    int pid = process_of_thread(tid);
    if (!process_permitted(pid)) return CUDA_ERROR_OPERATING_SYSTEM;
    CUresult result = find(pid, &slot);
    return result ? result : ask(slot, request);
}

CUresult do_cuCheckpointProcessGetRestoreThreadId(int pid, int *tid) {
    struct slot *slot;
    if (!tid) return CUDA_ERROR_INVALID_VALUE;
    int process = process_of_thread(pid);
    CUresult result = find(process, &slot);
    if (result) return result;
    int is_here = process == atomic_load(&slot->pid);
    *tid = is_here ? atomic_load(&slot->tid) : process_thread_named(process, RESTORE_THREAD);
    return CUDA_SUCCESS;
}

CUresult do_cuCheckpointProcessGetState(int pid, CUprocessState *state) {
    struct request r = {.operation = OP_STATE};
    if (!state) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = request(pid, &r);
    if (result) return result;
    int forced = atomic_load(&driver.forced_state); /* of the one who asks; the one who was asked has put its own into r */
    *state = (CUprocessState)(forced >= 0 ? forced : r.state);
    return CUDA_SUCCESS;
}

CUresult do_cuCheckpointProcessLock(int pid, CUcheckpointLockArgs *args) {
    struct request r = {.operation = OP_LOCK, .timeout_ms = args ? args->timeoutMs : 0};
    if (args && (args->reserved0 || !zeros(args->reserved1, sizeof args->reserved1))) return CUDA_ERROR_INVALID_VALUE;
    return request(pid, &r);
}

CUresult do_cuCheckpointProcessCheckpoint(int pid, CUcheckpointCheckpointArgs *args) {
    struct request r = {.operation = OP_CHECKPOINT};
    if (args && !zeros(args, sizeof *args)) return CUDA_ERROR_INVALID_VALUE;
    return request(pid, &r);
}

static int valid_restore(const CUcheckpointRestoreArgs *args) {
    if (!zeros(args->reserved, sizeof args->reserved) || args->reserved1) return 0;
    return args->gpuPairsCount <= MAX_PAIRS && (args->gpuPairs || !args->gpuPairsCount);
}

CUresult do_cuCheckpointProcessRestore(int pid, CUcheckpointRestoreArgs *args) {
    struct request r = {.operation = OP_RESTORE};
    if (args && !valid_restore(args)) return CUDA_ERROR_INVALID_VALUE;
    if (args && args->gpuPairsCount) {
        r.pairs = args->gpuPairsCount;
        memcpy(r.pair, args->gpuPairs, r.pairs * sizeof r.pair[0]);
    }
    return request(pid, &r);
}

CUresult do_cuCheckpointProcessUnlock(int pid, CUcheckpointUnlockArgs *args) {
    struct request r = {.operation = OP_UNLOCK};
    if (args && !zeros(args, sizeof *args)) return CUDA_ERROR_INVALID_VALUE;
    return request(pid, &r);
}
