#define _GNU_SOURCE
#include "stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IF_CACHED = 8 /* RWF_NOWAIT, preadv2(2) */, ALIGNMENT = 4096 };

/* Neither a link nor, for which it would wait, a pipe without a writer. */
enum { FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC };

/* glibc's own has got a new name lately. */
static int look_at(int fd, struct stat *found) { return (int)syscall(SYS_fstat, fd, found); }

enum stored_answer stored_open(struct stored *stored, const char *path, size_t bytes) {
    struct stat found;
    *stored = (struct stored){.fd = open(path, FLAGS), .direct = -1};
    if (stored->fd < 0) return STORED_NOT_THERE;
    if (look_at(stored->fd, &found) || !S_ISREG(found.st_mode) || (size_t)found.st_size != bytes) return close(stored->fd), STORED_OTHER;
    stored->direct = open(path, FLAGS | O_DIRECT);
    return STORED_OPEN;
}

void stored_close(struct stored *stored) {
    close(stored->fd);
    if (stored->direct >= 0) close(stored->direct);
}

/* As much as the page cache holds, without a wait for the disk. Older C libraries have no function for it. */
static ssize_t read_cached(const struct stored *stored, char *to, size_t offset, size_t bytes) {
    struct iovec room = {to, bytes};
    return syscall(SYS_preadv2, stored->fd, &room, 1UL, (long)offset, 0L, (long)IF_CACHED);
}

static int aligned(const char *to, size_t offset, size_t bytes) { return !(((uintptr_t)to | offset | bytes) % ALIGNMENT); }

/* Past the page cache what is not in it: a disk gives more that way, and all of it is read once. */
static ssize_t read_some(const struct stored *stored, char *to, size_t offset, size_t bytes) {
    ssize_t got = read_cached(stored, to, offset, bytes);
    if (got > 0 || (got < 0 && errno == EINTR)) return got;
    if ((!got || errno == EAGAIN) && stored->direct >= 0 && aligned(to, offset, bytes)) got = pread(stored->direct, to, bytes, (off_t)offset);
    return got > 0 ? got : pread(stored->fd, to, bytes, (off_t)offset);
}

int stored_read(struct stored *stored, char *to, size_t offset, size_t bytes) {
    int none = 0;
    for (size_t done = 0; done < bytes;) {
        ssize_t got = read_some(stored, to + done, offset + done, bytes - done);
        if (got > 0) done += (size_t)got;
        else if (got == 0 || errno != EINTR) return atomic_compare_exchange_strong(&stored->error, &none, got ? errno : ENODATA), 0;
    }
    return 1;
}
