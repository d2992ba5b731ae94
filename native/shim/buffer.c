/* The driver maps one buffer for a checkpoint, in pages of 4 KiB that one thread touches, and unmaps it after the restore.
 * Here it gets huge pages, touched by many threads, and may be kept for the next time. */
#define _GNU_SOURCE
#include "buffer.h"
#include "driver.h"
#include "driver_copies.h"
#include "pages.h"
#include "settings.h"
#include "statistics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BUFFER_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, LEAST = 4 << 20 };

static _Atomic int restore_thread; /* 0: CUDA is not initialised, or this driver has no checkpoints */

/* The one buffer that was handed out or is kept. Changed with the mutex. */
static _Atomic uintptr_t base;
static _Atomic size_t mapped;
static size_t given; /* 0 while it is kept */
static _Atomic uint64_t takings;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

uint64_t buffer_takings(void) { return atomic_load(&takings); }

void buffer_watch(void) {
    const struct driver *d = driver();
    int thread = 0;
    if (!settings()->buffer_huge && !settings()->buffer_keep) return;
    if (!d->cuCheckpointProcessGetRestoreThreadId || d->cuCheckpointProcessGetRestoreThreadId(getpid(), &thread)) return;
    driver_copies_watch();
    atomic_store(&restore_thread, thread);
}

/* The child has the mapping, but not the thread that knows it. */
void buffer_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    atomic_store(&restore_thread, 0);
    atomic_store(&base, 0);
    mutex = unlocked;
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
    if (kept && mapped < bytes && !(at = pages_grow(kept, mapped, bytes))) drop_kept();
    if (!at) {
        *again = 0;
        mapped = 0;
        at = pages_map(bytes);
    }
    if (at && mapped < bytes) {
        pages_populate(at + mapped, bytes - mapped);
        mapped = bytes;
    }
    return at;
}

static char *take(size_t asked) {
    uint64_t begun = clock_ns();
    int again;
    pthread_mutex_lock(&mutex);
    char *at = provide(pages_round(asked), &again);
    if (at) {
        given = asked;
        driver_copies_begin(at, asked);
        atomic_store(&base, (uintptr_t)at);
    }
    pthread_mutex_unlock(&mutex);
    if (at) atomic_fetch_add(&takings, 1);
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
    int whole = atomic_load(&base) == address && given && pages_round(bytes) == pages_round(given);
    if (given && touches_buffer(address, bytes)) driver_copies_end();
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
