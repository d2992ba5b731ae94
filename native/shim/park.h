/* Device memory goes into host memory and comes back. One command at a time: others are answered "busy". */
#ifndef TORPOR_PARK_H
#define TORPOR_PARK_H

#include <stddef.h>
#include <stdint.h>

enum park_state { RUNNING, PARKING, PARKED_STATE, UNPARKING };

/* The line that is answered: NAME=VALUE words, or a sentence and its code. */
struct answer {
    const char *error; /* NULL: all went well */
    char text[1024];
};

int park_on(void); /* whether memory is made so that it can be parked */
void park_status(struct answer *answer);
void park_prepare(struct answer *answer);
/* path: NULL for anonymous memory, or a new file; with keep a folder that is the caller's, and `path` of the unpark says where it is by then; NULL: where it was */
void park_park(uint64_t timeout_ms, const char *path, int keep, struct answer *answer);
void park_unpark(const char *path, struct answer *answer);
void park_release(struct answer *answer);
void park_end(void); /* lets a command end, and none begin */
void park_after_fork(void);

#endif
