/* The driver moves a checkpoint between its buffer and pinned memory by one thread, with the C library's memcpy, 2 MiB at a time. */
#include "driver_copies.h"
#include "driver.h"
#include "imports.h"
#include "move.h"
#include "settings.h"
#include "statistics.h"
#include "together.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

enum { LEAST = 256 << 10 };

static struct imports memcpys; /* found once: cuInit may be called again while they are redirected */
static _Atomic uintptr_t base;
static _Atomic size_t size;

static void find(void) { memcpys = imports_find((const void *)driver()->cuCheckpointProcessGetRestoreThreadId, "memcpy"); }

void driver_copies_watch(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (settings()->buffer_threads > 1) pthread_once(&once, find);
}

static int is_in_buffer(const void *at, size_t bytes) {
    uintptr_t offset = (uintptr_t)at - atomic_load(&base);
    size_t all = atomic_load(&size);
    return offset < all && bytes <= all - offset;
}

static int move_together(void *to, const void *from, size_t bytes, piece_mover *move) {
    uint64_t begun = clock_ns();
    int done = together_move(to, from, bytes, move);
    if (done) count_driver_copy(bytes, clock_ns() - begun);
    return done;
}

static void *copy(void *to, const void *from, size_t bytes) {
    if (bytes >= LEAST && is_in_buffer(to, bytes) && move_together(to, from, bytes, move_out)) return to;
    if (bytes >= LEAST && is_in_buffer(from, bytes) && move_together(to, from, bytes, move_in)) return to;
    return memcpy(to, from, bytes);
}

void driver_copies_begin(const char *buffer, size_t bytes) {
    atomic_store(&base, (uintptr_t)buffer);
    atomic_store(&size, bytes);
    imports_redirect(&memcpys, (void *)copy);
}

void driver_copies_end(void) {
    imports_give_back(&memcpys);
    atomic_store(&size, 0);
    together_end();
}
