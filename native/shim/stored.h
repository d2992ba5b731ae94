/*
 * stored.h - parked bytes in the files of a directory that the controller has named. The process has them open only while it moves them.
 *
 * Each file ends with a page, the seal, that names the park that wrote it. The process keeps the same seal in its memory and reads or
 * removes a file only if the two agree: pid and start time change when CRIU restores a process, and its memory does not. The first file
 * has a table of the blocks before its seal.
 */
#ifndef TORPOR_STORED_H
#define TORPOR_STORED_H

#include "stripe.h"

#include <stddef.h>
#include <stdint.h>

enum { STORED_NONCE = 16 };

/* Which park it was. */
struct seal {
    size_t bytes;                     /* of device memory, over all files; 0: none is in files */
    unsigned char nonce[STORED_NONCE]; /* random, of this park alone */
    size_t table_bytes;               /* before the seal of the first file, in whole pages */
    uint64_t table_sum;               /* FNV-1a over these */
};

/* One line of the table. */
struct stored_block {
    uint64_t place;   /* of its first byte among the parked bytes */
    uint64_t bytes;
    uint64_t address; /* in the process, where its own device could write it */
    uint64_t device;  /* ordinal, as the process counts */
};

/* Many threads read, or write, at once. */
struct stored {
    struct seal seal;
    int folder;
    int files;                /* that are open */
    int fd[MOST_STRIPES];
    int direct[MOST_STRIPES]; /* -1: the file system has no direct reads */
    int file;                 /* of which an answer speaks; -1: of the folder */
    _Atomic int error;        /* the first errno; ENODATA: a file ends too soon. 0: none */
};

enum stored_answer {
    STORED_READY,
    STORED_NOT_THERE, /* errno says why, here and for the next */
    STORED_DISK_FULL,
    STORED_NO_MEMORY, /* the directory is in memory, and there is too little of it */
    STORED_OTHER,     /* no file, or not of the size that was parked */
    STORED_FOREIGN    /* a file, but of another park or another process */
};

enum { STORED_NAME = 24 };
void stored_name(int file, char name[STORED_NAME]); /* /memory-07; empty for the folder */

/* New files, with room for all of it. What fails leaves nothing, and nothing open. */
enum stored_answer stored_make(struct stored *stored, const char *folder, size_t bytes);
/* The files of that park, and no others. */
enum stored_answer stored_open(struct stored *stored, const char *folder, const struct seal *seal);
/* 0: it cannot be done, and `error` says why. */
int stored_write(struct stored *stored, const char *from, size_t offset, size_t bytes);
int stored_read(struct stored *stored, char *to, size_t offset, size_t bytes);
/* When all bytes are written. synced: the disk has them, too. 0: it cannot be done, and `error` says why. */
int stored_seal(struct stored *stored, const struct stored_block *table, size_t count, int synced);
void stored_end(struct stored *stored, int keep); /* closes them, or removes them and has them closed */

#endif
