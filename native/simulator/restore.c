/* What the restore thread does with a request: the states and the moving of device memory. */
#define _GNU_SOURCE
#include "driver.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { STEP = 2 << 20, POLL_US = 50 };

static char *buffer; /* where device memory is while checkpointed; NULL: there was none */
static size_t buffer_size;

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static CUresult need(int state) { return atomic_load(&driver.slot->state) == state ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_STATE; }

static int drained(void) { return gate_idle() && streams_idle(); }

static CUresult lock(unsigned timeout_ms) {
    if (atomic_load(&driver.slot->mps)) return CUDA_ERROR_NOT_SUPPORTED;
    if (need(CU_PROCESS_STATE_RUNNING)) return CUDA_ERROR_ILLEGAL_STATE;
    uint64_t until = now_us() + timeout_ms * 1000ULL;
    gate_close();
    while (!drained()) {
        if (timeout_ms && now_us() >= until) {
            gate_open();
            return CUDA_ERROR_NOT_READY;
        }
        usleep(POLL_US);
    }
    atomic_store(&driver.slot->state, CU_PROCESS_STATE_LOCKED);
    return CUDA_SUCCESS;
}

static CUresult unlock(void) {
    if (need(CU_PROCESS_STATE_LOCKED)) return CUDA_ERROR_ILLEGAL_STATE;
    atomic_store(&driver.slot->state, CU_PROCESS_STATE_RUNNING);
    gate_open();
    return CUDA_SUCCESS;
}

/* Moves in steps, so that a fault can slow it down or end the process half-way. */
struct mover {
    const struct fault *fault;
    size_t total, moved;
    uint64_t start;
};

static void moved(struct mover *mover, size_t bytes) {
    mover->moved += bytes;
    if (mover->fault->die && !mover->fault->after && mover->moved * 2 >= mover->total) raise(SIGKILL);
    if (!mover->fault->slow) return;
    uint64_t due = mover->start + mover->moved / mover->fault->slow; /* MB/s are bytes per microsecond */
    uint64_t now = now_us();
    if (due > now) usleep((useconds_t)(due - now));
}

static int all_zero(const char *bytes, size_t count) { return !bytes[0] && !memcmp(bytes, bytes + 1, count - 1); }

/* The driver moves so much at a time through pinned memory, with libc's memcpy: another thing that a preloaded library may stand in for. */
static char pinned[STEP];

static void move_step(uint64_t offset, char *at, size_t bytes, int out) {
    if (out) {
        store_read(offset, pinned, bytes);
        memcpy(at, pinned, bytes);
        return;
    }
    memcpy(pinned, at, bytes);
    if (!all_zero(pinned, bytes)) store_write(offset, pinned, bytes);
}

static void move_block(struct mover *mover, struct block *block, char *at, int out) {
    for (size_t done = 0; done < block->size; done += STEP) {
        size_t part = block->size - done < STEP ? block->size - done : STEP;
        move_step(block->offset + done, at + done, part, out);
        moved(mover, part);
    }
}

static size_t block_bytes(void) {
    size_t sum = 0;
    for (struct block *b = block_first(); b; b = b->next) sum += b->maker == MADE_HERE ? b->size : 0;
    return sum;
}

/* The blocks follow the contexts in the buffer, in the order of their list. */
static void move_all(const struct fault *fault, int out) {
    size_t blocks = block_bytes();
    struct mover mover = {.fault = fault, .total = buffer_size, .start = now_us()};
    char *at = buffer + (buffer_size - blocks);
    moved(&mover, buffer_size - blocks);
    for (struct block *b = block_first(); b; b = b->next) {
        if (b->maker != MADE_HERE) continue;
        move_block(&mover, b, at, out);
        at += b->size;
    }
}

/* Reached through libc's symbol and with these flags, as the driver does: a preloaded library may stand in between. */
static CUresult take_buffer(size_t size) {
    if (size) {
        void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (at == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
        buffer = at;
    }
    buffer_size = size;
    return CUDA_SUCCESS;
}

static CUresult checkpoint(const struct fault *fault) {
    static const uint64_t nothing[MAX_DEVICES];
    if (need(CU_PROCESS_STATE_LOCKED)) return CUDA_ERROR_ILLEGAL_STATE;
    CUresult result = take_buffer(contexts_bytes() + block_bytes());
    if (result) return result;
    move_all(fault, 1);
    store_empty();
    account_set(driver.slot, nothing);
    atomic_store(&driver.slot->state, CU_PROCESS_STATE_CHECKPOINTED);
    return CUDA_SUCCESS;
}

/* Every device of the machine must be named once as old and once as new. */
static CUresult pairs_to_map(const struct request *request, int *physical) {
    unsigned old = 0, new = 0, all = (1u << driver.machine->devices) - 1;
    devices_now(physical);
    if (!request->pairs) return CUDA_SUCCESS;
    for (unsigned i = 0; i < request->pairs; i++) {
        int from = device_by_uuid(&request->pair[i].oldUuid), to = device_by_uuid(&request->pair[i].newUuid);
        if (from < 0 || to < 0 || old & 1u << from || new & 1u << to) return CUDA_ERROR_INVALID_VALUE;
        old |= 1u << from;
        new |= 1u << to;
        for (int d = 0; d < MAX_DEVICES; d++)
            if (driver.physical[d] == from) physical[d] = to;
    }
    return old == all && new == all ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static void move_to_devices(const int *physical) {
    for (int d = 0; d < MAX_DEVICES; d++) driver.physical[d] = physical[d];
    contexts_publish();
}

static CUresult restore(const struct request *request, const struct fault *fault) {
    int physical[MAX_DEVICES];
    uint64_t want[MAX_DEVICES];
    if (need(CU_PROCESS_STATE_CHECKPOINTED)) return CUDA_ERROR_ILLEGAL_STATE;
    if (atomic_load(&driver.restore_failed)) return CUDA_ERROR_OPERATING_SYSTEM;
    CUresult result = pairs_to_map(request, physical);
    if (!result) result = blocks_lost(); /* and so it will be at every try */
    if (result) return result;
    charges_by_device(physical, want);
    if (account_set(driver.slot, want)) { /* final, as with the real driver */
        atomic_store(&driver.restore_failed, 1);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    move_to_devices(physical);
    move_all(fault, 0);
    if (buffer) munmap(buffer, buffer_size);
    buffer = NULL;
    atomic_store(&driver.slot->state, CU_PROCESS_STATE_LOCKED);
    return CUDA_SUCCESS;
}

static int reported_state(void) {
    int forced = atomic_load(&driver.forced_state);
    return forced >= 0 ? forced : atomic_load(&driver.slot->state);
}

static CUresult perform(struct request *request, const struct fault *fault) {
    switch (request->operation) {
    case OP_STATE: request->state = reported_state(); return CUDA_SUCCESS;
    case OP_LOCK: return lock(request->timeout_ms);
    case OP_CHECKPOINT: return checkpoint(fault);
    case OP_RESTORE: return restore(request, fault);
    case OP_UNLOCK: return unlock();
    }
    return CUDA_ERROR_INVALID_VALUE;
}

static const char *const names[] = {
    [OP_STATE] = "cuCheckpointProcessGetState", [OP_LOCK] = "cuCheckpointProcessLock",
    [OP_CHECKPOINT] = "cuCheckpointProcessCheckpoint", [OP_RESTORE] = "cuCheckpointProcessRestore",
    [OP_UNLOCK] = "cuCheckpointProcessUnlock",
};

static int moves(const struct request *request) { return request->operation == OP_CHECKPOINT || request->operation == OP_RESTORE; }

CUresult serve(struct request *request) {
    struct fault fault = {.code = -1, .state = -1};
    if (request->sender != getpid()) fault_next(names[request->operation], &fault); /* its own call has been counted */
    if (fault.state >= 0) atomic_store(&driver.forced_state, fault.state);
    struct fault before = fault;
    if (moves(request) && fault.code < 0) before.die = 0; /* it dies half-way */
    if (!fault.after) fault_suffer(&before);
    if (fault.code >= 0 && !fault.after) return (CUresult)fault.code;
    CUresult result = perform(request, &fault);
    if (fault.after) fault_suffer(&fault);
    return fault.code >= 0 ? (CUresult)fault.code : result;
}
