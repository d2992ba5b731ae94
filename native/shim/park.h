/* Device memory goes into host memory and comes back. One command at a time: others are answered "busy". */
#ifndef TORPOR_PARK_H
#define TORPOR_PARK_H

#include <stddef.h>
#include <stdint.h>

enum park_state { RUNNING, PARKING, PARKED_STATE, UNPARKING };

/* The line that is answered: NAME=VALUE words, or a sentence and its code. */
struct answer {
    const char *error; /* NULL: all went well */
    char text[8192];
};

int park_on(void); /* whether memory is made so that it can be parked */
void park_status(int pending, struct answer *answer); /* pending: commands under way or waiting. By one thread; waits for nothing */
void park_prepare(struct answer *answer);
enum { CONTROLLER_NAME = 65 }; /* of who parks: with the NUL */
struct park_options {
    uint64_t timeout_ms;
    const char *folder; /* for files; NULL: into memory */
    int keep;           /* the unpark does not remove them */
    int synced;         /* the disk has them before device memory is released */
    const char *by;     /* who parks, for the status; NULL: not said */
    uint64_t lease_ms;  /* after which it is to be unparked unless the lease is renewed; 0: no lease */
};
void park_park(const struct park_options *options, struct answer *answer);
enum keeping { AS_PARKED, REMOVE_FILES, KEEP_FILES };
/* folder: where those files are by now; NULL: where they were made. by: only what this controller has parked; NULL: any controller's.
 * give_up: what devices have lost whose contexts have failed */
void park_unpark(const char *folder, enum keeping keeping, const char *by, int give_up, struct answer *answer);
/* For how long it may stay parked from now on; NULL: as long again as was said last. Any thread. */
void park_renew_lease(const uint64_t *milliseconds, struct answer *answer);
uint64_t park_lease_end(void);    /* in clock_ns(); 0: there is none */
void park_call_off(int off);      /* 1: nobody wants the park that goes on or comes next; 0: from here on they are wanted. Any thread */
void park_release(struct answer *answer);
int park_hold(void); /* keeps the process parked, as no command begins until it is let go. 0: it is not parked, or a command is at work */
void park_let_go(void);
void park_end(void); /* lets a command end, and none begin */
void park_after_fork(void);

#endif
