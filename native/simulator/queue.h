#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "driver.h"

struct CUstream_st {
    struct CUstream_st *next; /* never freed: a closed one is used again */
    CUcontext context;
    unsigned flags;
    int alive, standard, started;
    const void *owner; /* the thread whose default stream it is */
    struct op *head, *tail; /* the head stays in the queue while it runs */
    pthread_cond_t changed;
};

extern pthread_mutex_t queue_mutex;

CUstream stream_owned(CUcontext context, const void *owner); /* NULL: there is none */
void streams_disown(const void *owner);                       /* closes all that it owns */
CUstream stream_own(CUcontext context); /* of the calling thread; NULL: no memory */

#endif
