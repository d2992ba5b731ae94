#define _GNU_SOURCE
#include "together.h"
#include "settings.h"
#include "statistics.h"
#include "threads.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PIECE = 8 << 10, PAUSES = 1000 };
static const uint64_t watch_ns = 1000000; /* the next copy mostly comes sooner, and waking threads takes as long as a copy */

/* The copy at hand, for whoever has taken a piece of it. */
static struct { char *to; const char *from; size_t bytes; piece_mover *move; } copy;
#define ALONE __attribute__((aligned(128))) /* in its cache lines, as all threads look at them all the time */
static _Atomic uint64_t left ALONE;   /* its number << 32 | pieces that nobody has taken: in one word, so that who is late takes none of the copy after */
static _Atomic uint32_t moved ALONE;  /* pieces */
static _Atomic uint32_t number ALONE; /* of the copy, to sleep on */
static _Atomic int helpers ALONE, sleepers, busy, wanted;

static uint32_t pieces_of(size_t bytes) { return (uint32_t)((bytes + PIECE - 1) / PIECE); }

static void move_one(uint32_t piece) {
    size_t start = (size_t)piece * PIECE, most = copy.bytes - start;
    copy.move(copy.to + start, copy.from + start, most < PIECE ? most : PIECE);
    atomic_fetch_add(&moved, 1);
}

/* 0: there is none left. */
static int move_piece(void) {
    uint64_t before = atomic_load(&left);
    uint32_t pieces = (uint32_t)before;
    if (!pieces) return 0;
    if (atomic_compare_exchange_strong(&left, &before, before - 1)) move_one(pieces_of(copy.bytes) - pieces);
    return 1;
}

static void move_pieces(void) {
    while (move_piece()) continue;
}

static int watch(uint32_t seen) {
    uint64_t until = clock_ns() + watch_ns;
    do
        for (int i = 0; i < PAUSES; i++) {
            if (atomic_load_explicit(&number, memory_order_acquire) != seen) return 1;
            _mm_pause();
        }
    while (clock_ns() < until);
    return 0;
}

static void sleep_until_next(uint32_t seen) {
    atomic_fetch_add(&sleepers, 1);
    syscall(SYS_futex, &number, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_sub(&sleepers, 1);
}

static void *help(void *unused) {
    thread_name("torpor-buffer");
    for (uint32_t seen; seen = atomic_load(&number), atomic_load(&wanted);) {
        move_pieces();
        if (!watch(seen)) sleep_until_next(seen);
    }
    atomic_fetch_sub(&helpers, 1);
    return unused;
}

static void wake(void) {
    if (atomic_load(&sleepers)) syscall(SYS_futex, &number, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void call_helpers(void) {
    atomic_store(&wanted, (int)settings()->buffer_threads - 1);
    while (atomic_load(&helpers) < atomic_load(&wanted)) {
        atomic_fetch_add(&helpers, 1);
        if (thread_start(help, NULL)) continue;
        atomic_fetch_sub(&helpers, 1);
        break;
    }
    wake();
}

/* A helper that is not given a core may hold the last piece. */
static void await_pieces(uint32_t pieces) {
    for (int i = 0; atomic_load(&moved) != pieces; i++) {
        if (i < PAUSES) _mm_pause();
        else sched_yield();
    }
}

int together_move(char *to, const char *from, size_t bytes, piece_mover *move) {
    if (atomic_exchange(&busy, 1)) return 0;
    uint32_t now = atomic_load(&number) + 1, pieces = pieces_of(bytes);
    copy = (__typeof__(copy)){to, from, bytes, move};
    atomic_store(&moved, 0);
    atomic_store(&left, (uint64_t)now << 32 | pieces);
    atomic_store(&number, now);
    call_helpers();
    move_pieces();
    await_pieces(pieces);
    atomic_store(&busy, 0);
    return 1;
}

void together_end(void) {
    atomic_store(&wanted, 0);
    atomic_fetch_add(&number, 1);
    wake();
}

/* The helpers are the parent's. */
void together_after_fork(void) {
    atomic_store(&helpers, 0);
    atomic_store(&sleepers, 0);
    atomic_store(&busy, 0);
}
