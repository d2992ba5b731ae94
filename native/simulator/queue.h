#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "driver.h"

struct CUstream_st {
    struct CUstream_st *next; /* never freed: a closed one is used again */
    CUcontext context;
    unsigned flags;
    int alive, standard, started;
    const void *owner; /* the thread whose default stream it is */
    struct capture *capture;   /* NULL: it works */
    uint64_t recorded, joined; /* the last that a captured stream was given, and what others wait for of it */
    struct op *head, *tail; /* the head stays in the queue while it runs */
    pthread_cond_t changed;
};

extern pthread_mutex_t queue_mutex;

/* With queue_mutex held. */
extern CUstream streams;
int stream_blocks(CUstream stream);
void capture_take(CUstream stream, struct op *op);
void capture_leave(CUstream stream);

CUstream stream_owned(CUcontext context, const void *owner); /* NULL: there is none */
void stream_close(CUstream stream);
void streams_disown(const void *owner);                       /* closes all that it owns */
CUstream stream_own(CUcontext context); /* of the calling thread; NULL: no memory */

#endif
