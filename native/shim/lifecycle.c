#define _GNU_SOURCE
#include "lifecycle.h"
#include "allocate.h"
#include "arena.h"
#include "attributes.h"
#include "bindings.h"
#include "blocks.h"
#include "buffer.h"
#include "capture.h"
#include "closer.h"
#include "contexts.h"
#include "devices.h"
#include "control.h"
#include "engine.h"
#include "gate.h"
#include "kept.h"
#include "left.h"
#include "limits.h"
#include "order.h"
#include "park.h"
#include "pitch.h"
#include "pool.h"
#include "shared.h"
#include "together.h"
#include "torpor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic pid_t owner; /* a child of fork says nothing of its parent's copies */

static void report(void) {
    char line[4096];
    if (getpid() != owner) return;
    torpor_statistics(line, sizeof line);
    say(LOG_INFO, "%s", line);
}

/* What runs at the end of the process may free memory or destroy contexts: a parked process must not wait there for ever. */
static void at_exit(void) {
    static _Atomic pid_t ended; /* by which process: it may be registered twice */
    if (getpid() != owner || atomic_exchange(&ended, owner) == owner) return;
    control_end();
    park_end();
    order_let_through();
}

static void after_fork_in_parent(void) { closer_after_fork(0); }

static void after_fork(void) {
    order_after_fork();
    capture_after_fork();
    engine_after_fork();
    together_after_fork();
    buffer_after_fork();
    devices_after_fork();
    blocks_after_fork();
    peers_after_fork();
    attributes_after_fork();
    left_after_fork();
    pools_after_fork();
    kept_after_fork();
    contexts_after_fork();
    limits_after_fork();
    pitches_after_fork();
    gate_after_fork();
    bindings_after_fork();
    arena_after_fork();
    closer_after_fork(1);
    park_after_fork();
    shared_after_fork();
    control_after_fork();
}

void lifecycle_own(void) { owner = getpid(); }

void lifecycle_begin(void) {
    lifecycle_own();
    settings();
    pthread_atfork(closer_before_fork, after_fork_in_parent, after_fork);
    atexit(report);
}

void lifecycle_watch_exit(void) { atexit(at_exit); }
