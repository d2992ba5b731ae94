/* Parked bytes in files of a folder that somebody has named. The process has them open only while it moves them. */
#ifndef TORPOR_STORED_H
#define TORPOR_STORED_H

#include "stripe.h"

#include <stddef.h>

/* Many threads read, or write, at once. */
struct stored {
    size_t bytes;
    int folder;
    int files;                /* that are open */
    int fd[MOST_STRIPES];
    int direct[MOST_STRIPES]; /* -1: the file system has no direct reads */
    int file;                 /* of which an answer speaks; -1: of the folder */
    _Atomic int error;        /* the first errno; ENODATA: a file ends too soon. 0: none */
};

enum stored_answer { STORED_READY, STORED_NOT_THERE /* errno says why, here and for the next */, STORED_DISK_FULL, STORED_OTHER /* no file, or not of the size that was parked */ };

enum { STORED_NAME = 24 };
void stored_name(int file, char name[STORED_NAME]); /* /memory-07; empty for the folder */

/* New files, with room for all of it. What fails leaves nothing, and nothing open. */
enum stored_answer stored_make(struct stored *stored, const char *folder, size_t bytes);
enum stored_answer stored_open(struct stored *stored, const char *folder, size_t bytes);
/* 0: it cannot be done, and `error` says why. */
int stored_write(struct stored *stored, const char *from, size_t offset, size_t bytes);
int stored_read(struct stored *stored, char *to, size_t offset, size_t bytes);
void stored_end(struct stored *stored, int keep); /* closes them, or removes them and has them closed */

#endif
