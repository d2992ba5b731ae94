#define _GNU_SOURCE
#include "pages.h"
#include "driver.h"
#include "settings.h"
#include "threads.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static const size_t huge = 2 << 20, page = 4096, slice = 64 << 20;

EARLY void *real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

EARLY int real_munmap(void *address, size_t bytes) { return (int)syscall(SYS_munmap, address, bytes); }

static size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }
size_t pages_round(size_t bytes) { return round_up(bytes, page); }

/* As MAP_POPULATE does, this leaves what cannot be populated to the first access. Before Linux 5.14 the pages are written to, but not changed: a copy may have been there already. */
static void populate_slice(char *at, size_t bytes) {
    if (!madvise(at, bytes, MADV_POPULATE_WRITE) || errno != EINVAL) return;
    for (size_t i = 0; i < bytes; i += page) __asm__ volatile("lock; orb $0, %0" : "+m"(at[i]));
}

static void populate_slices(struct populating *p) {
    for (size_t at; (at = atomic_fetch_add(&p->next, slice)) < p->bytes;) populate_slice(p->at + at, p->bytes - at < slice ? p->bytes - at : slice);
}

static void *populate_some(void *populating) {
    thread_name("torpor-pages");
    populate_slices(populating);
    return NULL;
}

void pages_populate_begin(struct populating *p, char *at, size_t bytes) {
    uint64_t wanted = settings()->buffer_threads, most = (bytes + slice - 1) / slice;
    p->at = at;
    p->bytes = bytes;
    p->started = 0;
    atomic_store(&p->next, 0);
    for (uint64_t i = 1; i < wanted && i < most; i++) p->started += thread_start_joinable(&p->threads[p->started], populate_some, p);
}

void pages_populate_end(struct populating *p) {
    populate_slices(p);
    while (p->started) pthread_join(p->threads[--p->started], NULL);
}

void pages_populate(char *at, size_t bytes) {
    struct populating p;
    pages_populate_begin(&p, at, bytes);
    pages_populate_end(&p);
}

/* Aligned, so that it can have huge pages from its first byte on. */
static char *reserve(size_t bytes, int protection) {
    char *at = real_mmap(NULL, bytes + huge, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return NULL;
    size_t before = round_up((uintptr_t)at, huge) - (uintptr_t)at;
    if (before) real_munmap(at, before);
    real_munmap(at + before + bytes, huge - before);
    return at + before;
}

/* Not MAP_NORESERVE: where the kernel counts what it promises, this is counted like the driver's own mapping. */
char *pages_map(size_t bytes) {
    char *at = reserve(bytes, PROT_NONE);
    if (!at) return NULL;
    if (real_mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) return real_munmap(at, bytes), NULL;
    if (settings()->buffer_huge) madvise(at, bytes, MADV_HUGEPAGE);
    return at;
}

char *pages_grow(char *old, size_t from, size_t to) {
    char *at = reserve(to, PROT_NONE);
    if (!at) return NULL;
    if (mremap(old, from, to, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED) return real_munmap(at, to), NULL;
    return at;
}
