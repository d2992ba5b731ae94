/* Parked bytes in a file that the process holds neither open nor mapped meanwhile. */
#ifndef TORPOR_STORED_H
#define TORPOR_STORED_H

#include <stddef.h>

/* Many threads read at once. */
struct stored {
    int fd, direct;    /* -1: the file system has no direct reads */
    _Atomic int error; /* the first errno; ENODATA: it ends too soon. 0: none */
};

enum stored_answer { STORED_OPEN, STORED_NOT_THERE /* errno says why */, STORED_OTHER /* no file, or one of another size */ };
enum stored_answer stored_open(struct stored *stored, const char *path, size_t bytes);
int stored_read(struct stored *stored, char *to, size_t offset, size_t bytes);
void stored_close(struct stored *stored);

#endif
