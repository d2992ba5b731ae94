#define _GNU_SOURCE
#include "arena.h"
#include "host_memory.h"
#include "pages.h"
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char *base;
static _Atomic size_t size;
static size_t touched;
static struct populating populating;
static char file[PATH_MAX]; /* empty: anonymous */
static struct stat made;    /* the file, so that no other is removed */

char *arena_base(void) { return base; }
size_t arena_size(void) { return atomic_load(&size); }

/* A child of fork would otherwise hold a copy of what the next park overwrites. */
static void keep_to_oneself(void) { madvise(base, size, MADV_DONTFORK); }

/* Somebody may have put another in its place. While it is open or mapped, no other has its number. */
static void remove_file(const char *path) {
    struct stat found;
    if (!syscall(SYS_lstat, path, &found) && found.st_dev == made.st_dev && found.st_ino == made.st_ino) unlink(path); /* glibc's own has got a new name lately */
}

size_t arena_release(void) {
    size_t was = size;
    if (!was) return 0;
    if (*file) remove_file(file);
    real_munmap(base, was);
    *file = 0;
    base = NULL;
    touched = 0;
    atomic_store(&size, 0);
    return was;
}

void arena_done(void) {
    if (*file || !settings()->arena_keep) arena_release();
}

static enum arena_answer of_anonymous(size_t bytes) {
    if (*file) arena_release();
    if (!host_memory_has(bytes - size)) return errno = ENOMEM, ARENA_SHORT;
    char *at = base ? pages_grow(base, size, bytes) : pages_map(bytes);
    if (!at) return ARENA_SHORT;
    base = at;
    atomic_store(&size, bytes);
    keep_to_oneself();
    return ARENA_READY;
}

/* All of it is there before the first byte is written: a disk that is full later would cost a signal. */
static enum arena_answer fill_file(int fd, size_t bytes) {
    if (syscall(SYS_fstat, fd, &made) || syscall(SYS_fallocate, fd, 0, 0L, (long)bytes)) return ARENA_DISK_FULL;
    char *at = real_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return ARENA_SHORT;
    base = at;
    atomic_store(&size, bytes);
    keep_to_oneself();
    return ARENA_READY;
}

static enum arena_answer of_file(size_t bytes, const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return ARENA_NO_FILE;
    enum arena_answer answer = fill_file(fd, bytes);
    int error = errno;
    if (answer == ARENA_READY) strcpy(file, path);
    else remove_file(path);
    close(fd);
    errno = error;
    return answer;
}

enum arena_answer arena_reserve(size_t bytes, const char *path) {
    bytes = pages_round(bytes);
    if (size >= bytes && size && (path ? !strcmp(path, file) : !*file)) return ARENA_READY;
    if (!bytes) return ARENA_READY;
    if (!path) return of_anonymous(bytes);
    arena_release();
    return of_file(bytes, path);
}

void arena_touch_begin(void) {
    pages_populate_begin(&populating, base + touched, size - touched);
}

void arena_touch_end(void) {
    pages_populate_end(&populating);
    touched = size;
}

/* The mapping is not the child's. */
void arena_after_fork(void) {
    base = NULL;
    touched = 0;
    atomic_store(&size, 0);
    *file = 0;
}
