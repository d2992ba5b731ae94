/* The driver maps one buffer for a checkpoint, in pages of 4 KiB that one thread touches, and unmaps it after the restore.
 * Here it gets huge pages, touched by many threads, and may be kept for the next time. */
#define _GNU_SOURCE
#include "buffer.h"
#include "driver.h"
#include "old_glibc.h"
#include "settings.h"
#include "statistics.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { BUFFER_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, LEAST = 4 << 20, MOST_THREADS = 64 };
static const size_t huge = 2 << 20, page = 4096, slice = 64 << 20;

static _Atomic int restore_thread; /* 0: CUDA is not initialised, or this driver has no checkpoints */

/* The one buffer that was handed out or is kept. Changed with the mutex. */
static _Atomic uintptr_t base;
static _Atomic size_t mapped;
static size_t given; /* 0 while it is kept */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

EARLY static void *real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}

EARLY static int real_munmap(void *address, size_t bytes) { return (int)syscall(SYS_munmap, address, bytes); }

void buffer_watch(void) {
    const struct driver *d = driver();
    int thread = 0;
    if (!settings()->buffer_huge && !settings()->buffer_keep) return;
    if (!d->cuCheckpointProcessGetRestoreThreadId || d->cuCheckpointProcessGetRestoreThreadId(getpid(), &thread)) return;
    atomic_store(&restore_thread, thread);
}

/* The child has the mapping, but not the thread that knows it. */
void buffer_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    atomic_store(&restore_thread, 0);
    atomic_store(&base, 0);
    mutex = unlocked;
}

static size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

struct populating { char *at; size_t bytes; _Atomic size_t next; };

/* As MAP_POPULATE does, this leaves what cannot be populated to the first access. */
static void populate_slice(char *at, size_t bytes) {
    if (!madvise(at, bytes, MADV_POPULATE_WRITE) || errno != EINVAL) return;
    for (size_t i = 0; i < bytes; i += page) *(volatile char *)(at + i) = 0; /* a kernel before 5.14 */
}

static void *populate_some(void *argument) {
    struct populating *p = argument;
    for (size_t at; (at = atomic_fetch_add(&p->next, slice)) < p->bytes;) populate_slice(p->at + at, p->bytes - at < slice ? p->bytes - at : slice);
    return NULL;
}

static void *populate_main(void *argument) {
    prctl(PR_SET_NAME, "torpor-buffer");
    return populate_some(argument);
}

static void populate(char *at, size_t bytes) {
    pthread_t threads[MOST_THREADS];
    struct populating p = {at, bytes, 0};
    sigset_t all, before;
    uint64_t wanted = settings()->buffer_threads, most = (bytes + slice - 1) / slice;
    int started = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint64_t i = 1; i < wanted && i < most; i++) started += !pthread_create(&threads[started], NULL, populate_main, &p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    populate_some(&p);
    while (started) pthread_join(threads[--started], NULL);
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
static char *map_new(size_t bytes) {
    char *at = reserve(bytes, PROT_NONE);
    if (!at) return NULL;
    if (real_mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) return real_munmap(at, bytes), NULL;
    if (settings()->buffer_huge) madvise(at, bytes, MADV_HUGEPAGE);
    populate(at, bytes);
    return at;
}

static char *grow(char *old, size_t from, size_t to) {
    char *at = reserve(to, PROT_NONE);
    if (!at) return NULL;
    if (mremap(old, from, to, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED) return real_munmap(at, to), NULL;
    populate(at + from, to - from);
    return at;
}

/* With the mutex. */
static void drop_kept(void) {
    real_munmap((void *)atomic_load(&base), mapped);
    atomic_store(&base, 0);
}

/* With the mutex; NULL: it must be as the driver asked for it. */
static char *provide(size_t bytes, int *again) {
    char *kept = (char *)atomic_load(&base), *at = kept;
    *again = kept != NULL;
    if (kept && given) return NULL; /* two at once */
    if (kept && mapped < bytes && !(at = grow(kept, mapped, bytes))) drop_kept();
    if (!at) *again = 0, at = map_new(bytes);
    if (at && (!*again || mapped < bytes)) mapped = bytes;
    return at;
}

static char *take(size_t asked) {
    uint64_t begun = clock_ns();
    int again;
    pthread_mutex_lock(&mutex);
    char *at = provide(round_up(asked, page), &again);
    if (at) {
        given = asked;
        atomic_store(&base, (uintptr_t)at);
    }
    pthread_mutex_unlock(&mutex);
    if (at) count_buffer(asked, clock_ns() - begun, again);
    return at;
}

EARLY static int touches_buffer(uintptr_t address, size_t bytes) {
    uintptr_t at = atomic_load(&base);
    return at && (address < at ? at - address < bytes : address - at < atomic_load(&mapped));
}

/* Just what was handed out is kept, or goes as a whole. Who unmaps anything else of it knows what became of the rest. */
static int unmap(uintptr_t address, size_t bytes) {
    int result = 0;
    pthread_mutex_lock(&mutex);
    int whole = atomic_load(&base) == address && given && round_up(bytes, page) == round_up(given, page);
    if (!whole) result = real_munmap((void *)address, bytes);
    if (whole && mapped <= settings()->buffer_keep) given = 0;
    else if (whole) drop_kept();
    else if (!result && touches_buffer(address, bytes)) atomic_store(&base, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

EARLY static int is_buffer(const void *address, size_t bytes, int protection, int flags, int fd) {
    if (flags != BUFFER_FLAGS || address || fd != -1 || bytes < LEAST || protection != (PROT_READ | PROT_WRITE)) return 0;
    int thread = atomic_load(&restore_thread);
    return thread && thread == (int)syscall(SYS_gettid);
}

EARLY EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    char *buffer = is_buffer(address, bytes, protection, flags, fd) ? take(bytes) : NULL;
    return buffer ? buffer : real_mmap(address, bytes, protection, flags, fd, offset);
}

EXPORT void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) __attribute__((alias("mmap")));

EARLY EXPORT int munmap(void *address, size_t bytes) {
    return touches_buffer((uintptr_t)address, bytes) ? unmap((uintptr_t)address, bytes) : real_munmap(address, bytes);
}
