#define _GNU_SOURCE
#include "lifecycle.h"
#include "buffer.h"
#include "engine.h"
#include "order.h"
#include "torpor.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic pid_t owner; /* a child of fork says nothing of its parent's copies */

static void report(void) {
    char line[4096];
    if (getpid() != owner) return;
    torpor_statistics(line, sizeof line);
    say(LOG_INFO, "%s", line);
}

static void after_fork(void) {
    order_after_fork();
    engine_after_fork();
    buffer_after_fork();
}

void lifecycle_own(void) { owner = getpid(); }

void lifecycle_begin(void) {
    lifecycle_own();
    settings();
    pthread_atfork(NULL, NULL, after_fork);
    atexit(report);
}
