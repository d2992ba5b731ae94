#define _GNU_SOURCE
#include "arena.h"
#include "host_memory.h"
#include "pages.h"
#include "settings.h"

#include <errno.h>
#include <stdatomic.h>

static char *base;
static _Atomic size_t size;
static size_t touched;
static struct populating populating;

char *arena_base(void) { return base; }
size_t arena_size(void) { return atomic_load(&size); }

static void forget(void) {
    base = NULL;
    touched = 0;
    atomic_store(&size, 0);
}

size_t arena_release(void) {
    size_t was = size;
    if (was) real_munmap(base, was);
    forget();
    return was;
}

void arena_done(void) {
    if (!settings()->arena_keep) arena_release();
}

int arena_reserve(size_t bytes) {
    bytes = pages_round(bytes);
    if (bytes <= size) return 1;
    if (!host_memory_has(bytes - size)) return errno = ENOMEM, 0;
    char *at = base ? pages_grow(base, size, bytes) : pages_map(bytes);
    if (!at) return 0;
    base = at;
    atomic_store(&size, bytes);
    madvise(base, size, MADV_DONTFORK); /* a child would otherwise hold a copy of what the next park overwrites */
    madvise(base, size, MADV_DONTDUMP); /* no core dump is wanted for what was in device memory */
    return 1;
}

void arena_touch_begin(void) {
    pages_populate_begin(&populating, base + touched, size - touched);
}

void arena_touch_end(void) {
    pages_populate_end(&populating);
    touched = size;
}

/* The mapping is not the child's. */
void arena_after_fork(void) { forget(); }
