/* The simulated machine: one file that all simulated processes of a user map. */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "../abi/cuda_types.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MAX_DEVICES = 16, MAX_SLOTS = 256, MAX_PAIRS = 64 };
enum operation { OP_STATE, OP_LOCK, OP_CHECKPOINT, OP_RESTORE, OP_UNLOCK };

struct request {
    uint64_t generation; /* whom it was meant for: slots are used again */
    int sender;
    enum operation operation;
    unsigned timeout_ms;
    unsigned pairs;
    CUcheckpointGpuPair pair[MAX_PAIRS];
    int result;
    int state;
};

/* One process. Every figure is a single store, so a process killed anywhere leaves nothing half written. */
struct slot {
    _Atomic int pid; /* 0: free. Written last when claimed. This and tid are of its own pid namespace: see slot_pid */
    _Atomic int tid;
    _Atomic uint64_t space; /* that namespace */
    _Atomic uint64_t start;
    _Atomic uint64_t generation;
    _Atomic int state;
    _Atomic int mps;
    _Atomic uint64_t used[MAX_DEVICES];
    _Atomic int contexts[MAX_DEVICES];

    pthread_mutex_t desk; /* held by the one controller that talks to the process; robust */
    _Atomic uint32_t posted, done; /* futex words */
    struct request request;
};

struct machine {
    uint64_t magic;
    int devices;
    uint64_t memory;
    pthread_mutex_t mutex; /* claims and accounting; robust; taken after a desk, never before */
    struct slot slots[MAX_SLOTS];
};

#define RESTORE_THREAD "sim-restore" /* its name */

struct machine *machine(void); /* NULL: no machine can be had */
int machine_mapped(int pid);    /* whether this process is on the caller's machine, with a slot or without */
int robust_lock(pthread_mutex_t *mutex);
int robust_trylock(pthread_mutex_t *mutex); /* EBUSY: somebody has it */

struct slot *slot_claim(int tid, int state);
int slot_is_own(struct slot *slot, uint64_t generation); /* not if CRIU has made the process anew: then it may be somebody's by now */
struct slot *slot_of(int pid);
int slot_pid(struct slot *slot); /* as the caller sees it; 0: not at all */
int slot_alive(struct slot *slot, uint64_t generation);

uint64_t device_used(int device);
/* Takes all of `want` (bytes per device, may shrink) or nothing: the caller's share of each device. */
CUresult account_set(struct slot *slot, const uint64_t *want);

void device_uuid(int device, CUuuid *uuid);
int device_by_uuid(const CUuuid *uuid);
void device_name(char *name, size_t length);

#endif
