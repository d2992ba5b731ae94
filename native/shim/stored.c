#define _GNU_SOURCE
#include "stored.h"
#include "closer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IF_CACHED = 8 /* RWF_NOWAIT, preadv2(2) */, PAGE = 4096 };

/* Neither a link nor, for which it would wait, a pipe without a writer. */
enum { TO_READ = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, TO_MAKE = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC };

/* glibc's own have got new names lately. */
static int look_at(int fd, struct stat *found) { return (int)syscall(SYS_fstat, fd, found); }
static int look_for(int folder, const char *name, struct stat *found) { return (int)syscall(SYS_newfstatat, folder, name, found, (long)AT_SYMLINK_NOFOLLOW); }

void stored_name(int file, char name[STORED_NAME]) {
    if (file < 0) *name = 0;
    else snprintf(name, STORED_NAME, "/memory-%02d", file);
}

static int open_folder(struct stored *stored, const char *folder, size_t bytes) {
    *stored = (struct stored){.bytes = bytes, .file = -1};
    stored->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return stored->folder >= 0;
}

static int fail(struct stored *stored, int error) {
    int none = 0;
    atomic_compare_exchange_strong(&stored->error, &none, error);
    return 0;
}

/* Room for it is there before the first byte is written: a full disk is an answer then, and costs nothing. */
static enum stored_answer make_one(struct stored *stored, const char *name, size_t bytes) {
    int fd = openat(stored->folder, name, TO_MAKE, 0600);
    if (fd < 0) return STORED_NOT_THERE;
    stored->fd[stored->files] = fd;
    stored->direct[stored->files++] = -1;
    return syscall(SYS_fallocate, fd, 0, 0L, (long)bytes) ? STORED_DISK_FULL : STORED_READY;
}

enum stored_answer stored_make(struct stored *stored, const char *folder, size_t bytes) {
    if (!open_folder(stored, folder, bytes)) return STORED_NOT_THERE;
    enum stored_answer answer = STORED_READY;
    for (int i = 0; i < stripe_files(bytes) && answer == STORED_READY; i++) {
        char name[STORED_NAME];
        stored_name(stored->file = i, name);
        answer = make_one(stored, name + 1, stripe_size(bytes, i));
    }
    if (answer == STORED_READY) return answer;
    int error = errno;
    stored_end(stored, 0);
    errno = error;
    return answer;
}

static enum stored_answer open_one(struct stored *stored, const char *name, size_t bytes) {
    struct stat found;
    int fd = openat(stored->folder, name, TO_READ);
    if (fd < 0) return STORED_NOT_THERE;
    stored->fd[stored->files] = fd;
    stored->direct[stored->files++] = -1;
    if (look_at(fd, &found) || !S_ISREG(found.st_mode) || (size_t)found.st_size != bytes) return STORED_OTHER;
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* a page that is asked for brings no others along */
    stored->direct[stored->files - 1] = openat(stored->folder, name, TO_READ | O_DIRECT);
    return STORED_READY;
}

enum stored_answer stored_open(struct stored *stored, const char *folder, size_t bytes) {
    if (!open_folder(stored, folder, bytes)) return STORED_NOT_THERE;
    enum stored_answer answer = STORED_READY;
    for (int i = 0; i < MOST_STRIPES && answer == STORED_READY; i++) {
        char name[STORED_NAME];
        struct stat found;
        stored_name(stored->file = i, name);
        if (i < stripe_files(bytes)) answer = open_one(stored, name + 1, stripe_size(bytes, i));
        else if (!look_for(stored->folder, name + 1, &found)) answer = STORED_OTHER; /* of more than was parked */
    }
    if (answer == STORED_READY) return answer;
    int error = errno;
    stored_end(stored, 1);
    errno = error;
    return answer;
}

/* Somebody may have put another in its place. While it is open, no other has its number. */
static void remove_one(const struct stored *stored, int file) {
    char name[STORED_NAME];
    struct stat ours, found;
    stored_name(file, name);
    if (look_at(stored->fd[file], &ours) || look_for(stored->folder, name + 1, &found)) return;
    if (found.st_dev == ours.st_dev && found.st_ino == ours.st_ino) unlinkat(stored->folder, name + 1, 0);
}

static void close_here(const int *descriptors, int count) {
    for (int i = 0; i < count; i++)
        if (descriptors[i] >= 0) close(descriptors[i]);
}

void stored_end(struct stored *stored, int keep) {
    for (int i = 0; i < stored->files && !keep; i++) remove_one(stored, i);
    close_here(stored->direct, stored->files);
    if (keep) close_here(stored->fd, stored->files);
    else closer_take(stored->fd, stored->files);
    close(stored->folder);
    stored->files = 0;
}

int stored_write(struct stored *stored, const char *from, size_t offset, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        struct stripe to = stripe_at(offset + done, bytes - done);
        ssize_t put = pwrite(stored->fd[to.file], from + done, to.bytes, (off_t)to.offset);
        if (put > 0) done += (size_t)put;
        else if (put == 0 || errno != EINTR) return fail(stored, put ? errno : ENOSPC);
    }
    return 1;
}

/* Without a wait for the disk. Older C libraries have no function for it. */
static ssize_t read_now(int fd, char *to, size_t offset, size_t bytes) {
    struct iovec room = {to, bytes};
    return syscall(SYS_preadv2, fd, &room, 1UL, (long)offset, 0L, (long)IF_CACHED);
}

/* As much as the page cache holds. A page first, as the kernel begins to read what was asked for and is not there: the disk would read all of it twice. */
static ssize_t read_cached(int fd, char *to, const struct stripe *from) {
    size_t first = from->bytes < PAGE ? from->bytes : PAGE;
    ssize_t got = read_now(fd, to, from->offset, first);
    if (got < (ssize_t)first || first == from->bytes) return got;
    ssize_t more = read_now(fd, to + first, from->offset + first, from->bytes - first);
    return more > 0 ? got + more : got;
}

static int aligned(const char *to, const struct stripe *from) { return !(((uintptr_t)to | from->offset | from->bytes) % PAGE); }

/* Past the page cache what is not in it: a disk gives more that way, and all of it is read once. */
static ssize_t read_some(const struct stored *stored, char *to, const struct stripe *from) {
    int fd = stored->fd[from->file], direct = stored->direct[from->file];
    ssize_t got = read_cached(fd, to, from);
    if (got > 0 || (got < 0 && errno == EINTR)) return got;
    if ((!got || errno == EAGAIN) && direct >= 0 && aligned(to, from)) got = pread(direct, to, from->bytes, (off_t)from->offset);
    return got > 0 ? got : pread(fd, to, from->bytes, (off_t)from->offset);
}

int stored_read(struct stored *stored, char *to, size_t offset, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        struct stripe from = stripe_at(offset + done, bytes - done);
        ssize_t got = read_some(stored, to + done, &from);
        if (got > 0) done += (size_t)got;
        else if (got == 0 || errno != EINTR) return fail(stored, got ? errno : ENODATA);
    }
    return 1;
}
