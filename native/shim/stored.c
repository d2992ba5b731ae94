#define _GNU_SOURCE
#include "stored.h"
#include "closer.h"
#include "host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
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

/* The last page of each file. Numbers are little-endian, as all of x86-64 is. */
struct footer {
    char magic[8];
    uint32_t version, page;
    unsigned char nonce[STORED_NONCE];
    uint32_t file, files;
    uint64_t bytes, here;            /* of device memory: in all files, in this one */
    uint64_t table_bytes, table_sum; /* of the first file */
    uint64_t sum;                    /* FNV-1a over what is before it */
};
enum { FOOTER_VERSION = 1 };
static const char footer_magic[8] = {'T', 'O', 'R', 'P', 'O', 'R', 'P', 'M'};

static uint64_t sum_of(const void *memory, size_t bytes) {
    const unsigned char *at = memory;
    uint64_t sum = 0xcbf29ce484222325;
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ at[i]) * 0x100000001b3;
    return sum;
}

static size_t table_in(const struct seal *seal, int file) { return file ? 0 : seal->table_bytes; }

static struct footer footer_of(const struct seal *seal, int file) {
    struct footer footer = {
        .version = FOOTER_VERSION, .page = PAGE, .file = (uint32_t)file, .files = (uint32_t)stripe_files(seal->bytes), .bytes = seal->bytes,
        .here = stripe_size(seal->bytes, file), .table_bytes = table_in(seal, file), .table_sum = table_in(seal, file) ? seal->table_sum : 0,
    };
    memcpy(footer.magic, footer_magic, sizeof footer_magic);
    memcpy(footer.nonce, seal->nonce, sizeof footer.nonce);
    footer.sum = sum_of(&footer, offsetof(struct footer, sum));
    return footer;
}

static size_t footer_at(const struct seal *seal, int file) { return stripe_size(seal->bytes, file) + table_in(seal, file); }

static int open_folder(struct stored *stored, const char *folder) {
    *stored = (struct stored){.file = -1};
    stored->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return stored->folder >= 0;
}

static int fail(struct stored *stored, int error) {
    int none = 0;
    atomic_compare_exchange_strong(&stored->error, &none, error);
    return 0;
}

/* On tmpfs and its like a file is memory, which the kernel would kill the process for. */
static int is_memory(const struct statfs *found) {
    enum { TMPFS = 0x01021994, RAMFS = (int)0x858458f6, HUGETLBFS = (int)0x958458f6 };
    int type = (int)found->f_type;
    return type == TMPFS || type == RAMFS || type == HUGETLBFS;
}

static int is_in_memory(int folder) {
    struct statfs found;
    return !syscall(SYS_fstatfs, folder, &found) && is_memory(&found);
}

/* By what a file system says that cannot reserve; one that does not tell its size has room. */
static int seems_to_have(int folder, size_t bytes) {
    struct statfs found;
    if (syscall(SYS_fstatfs, folder, &found) || !found.f_blocks) return 1;
    return (uint64_t)found.f_bavail >= bytes / (uint64_t)found.f_bsize || (errno = ENOSPC, 0);
}

/* Where the file system cannot reserve, a write that fails later is an answer as well. */
static int reserve(const struct stored *stored, int fd, size_t bytes) {
    if (!syscall(SYS_fallocate, fd, 0, 0L, (long)bytes)) return 1;
    if (errno != EOPNOTSUPP && errno != ENOSYS) return 0;
    return seems_to_have(stored->folder, stored->seal.bytes) && !ftruncate(fd, (off_t)bytes);
}

/* Room for it is there before the first byte is written: a full disk is an answer then, and costs nothing. */
static enum stored_answer make_one(struct stored *stored, const char *name, size_t bytes) {
    int fd = openat(stored->folder, name, TO_MAKE, 0600);
    if (fd < 0) return STORED_NOT_THERE;
    stored->fd[stored->files] = fd;
    stored->direct[stored->files++] = -1;
    return reserve(stored, fd, bytes + PAGE) ? STORED_READY : STORED_DISK_FULL;
}

/* A kernel before 3.17 has the device alone. */
static int draw_nonce(unsigned char nonce[STORED_NONCE]) {
    if (syscall(SYS_getrandom, nonce, (size_t)STORED_NONCE, 0) == STORED_NONCE) return 1;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t got = read(fd, nonce, STORED_NONCE);
    close(fd);
    if (got != STORED_NONCE) errno = EIO;
    return got == STORED_NONCE;
}

/* Nothing that an answer leaves behind is open, and errno is what it was. */
static enum stored_answer ended(struct stored *stored, int keep, enum stored_answer answer) {
    int error = errno;
    if (answer != STORED_READY) stored_end(stored, keep);
    errno = error;
    return answer;
}

enum stored_answer stored_make(struct stored *stored, const char *folder, size_t bytes) {
    if (!open_folder(stored, folder)) return STORED_NOT_THERE;
    stored->seal.bytes = bytes;
    enum stored_answer answer = draw_nonce(stored->seal.nonce) ? STORED_READY : STORED_NOT_THERE;
    if (answer == STORED_READY && is_in_memory(stored->folder) && !host_memory_has(bytes)) answer = STORED_NO_MEMORY;
    for (int i = 0; i < stripe_files(bytes) && answer == STORED_READY; i++) {
        char name[STORED_NAME];
        stored_name(stored->file = i, name);
        answer = make_one(stored, name + 1, stripe_size(bytes, i));
    }
    return ended(stored, 0, answer);
}

/* The rest of the page is not looked at: a later version may say more there. */
static enum stored_answer check_seal(int fd, const struct seal *seal, int file) {
    struct footer wanted = footer_of(seal, file), found;
    ssize_t got = pread(fd, &found, sizeof found, (off_t)footer_at(seal, file));
    if (got < 0) return STORED_NOT_THERE;
    return got == sizeof found && !memcmp(&found, &wanted, sizeof found) ? STORED_READY : STORED_FOREIGN;
}

static enum stored_answer check_table(int fd, const struct seal *seal) {
    char *table = malloc(seal->table_bytes + 1);
    if (!table) return errno = ENOMEM, STORED_NOT_THERE;
    ssize_t got = pread(fd, table, seal->table_bytes, (off_t)stripe_size(seal->bytes, 0));
    int same = got == (ssize_t)seal->table_bytes && sum_of(table, seal->table_bytes) == seal->table_sum;
    int error = errno;
    free(table);
    errno = error;
    return got < 0 ? STORED_NOT_THERE : same ? STORED_READY : STORED_FOREIGN;
}

static enum stored_answer open_one(struct stored *stored, const char *name, int file) {
    struct stat found;
    int fd = openat(stored->folder, name, TO_READ);
    if (fd < 0) return STORED_NOT_THERE;
    stored->fd[stored->files] = fd;
    stored->direct[stored->files++] = -1;
    if (look_at(fd, &found) || !S_ISREG(found.st_mode) || (size_t)found.st_size != footer_at(&stored->seal, file) + PAGE) return STORED_OTHER;
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* a page that is asked for brings no others along */
    enum stored_answer sealed = check_seal(fd, &stored->seal, file);
    if (sealed == STORED_READY && !file) sealed = check_table(fd, &stored->seal);
    if (sealed != STORED_READY) return sealed;
    stored->direct[stored->files - 1] = openat(stored->folder, name, TO_READ | O_DIRECT);
    return STORED_READY;
}

enum stored_answer stored_open(struct stored *stored, const char *folder, const struct seal *seal) {
    if (!open_folder(stored, folder)) return STORED_NOT_THERE;
    stored->seal = *seal;
    enum stored_answer answer = STORED_READY;
    for (int i = 0; i < MOST_STRIPES && answer == STORED_READY; i++) {
        char name[STORED_NAME];
        struct stat found;
        stored_name(stored->file = i, name);
        if (i < stripe_files(seal->bytes)) answer = open_one(stored, name + 1, i);
        else if (!look_for(stored->folder, name + 1, &found)) answer = STORED_OTHER; /* of more than was parked */
    }
    return ended(stored, 1, answer);
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

static int write_all(struct stored *stored, int fd, const void *from, size_t bytes, size_t offset) {
    for (size_t done = 0; done < bytes;) {
        ssize_t put = pwrite(fd, (const char *)from + done, bytes - done, (off_t)(offset + done));
        if (put > 0) done += (size_t)put;
        else if (put == 0 || errno != EINTR) return fail(stored, put ? errno : ENOSPC);
    }
    return 1;
}

static int write_table(struct stored *stored, const struct stored_block *table, size_t count) {
    size_t used = count * sizeof *table, bytes = (used + PAGE - 1) / PAGE * PAGE;
    char *whole = calloc(1, bytes + 1);
    if (!whole) return fail(stored, ENOMEM);
    memcpy(whole, table, used);
    stored->seal.table_bytes = bytes;
    stored->seal.table_sum = sum_of(whole, bytes);
    int written = write_all(stored, stored->fd[0], whole, bytes, stripe_size(stored->seal.bytes, 0));
    free(whole);
    return written;
}

int stored_seal(struct stored *stored, const struct stored_block *table, size_t count, int synced) {
    int good = write_table(stored, table, count);
    for (int i = 0; i < stored->files && good; i++) {
        char page[PAGE] = {0};
        struct footer footer = footer_of(&stored->seal, i);
        memcpy(page, &footer, sizeof footer);
        good = write_all(stored, stored->fd[i], page, sizeof page, footer_at(&stored->seal, i));
        if (good && synced && fdatasync(stored->fd[i])) good = fail(stored, errno);
    }
    return good;
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
