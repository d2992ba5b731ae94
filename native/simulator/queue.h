#ifndef SIM_QUEUE_H
#define SIM_QUEUE_H

#include "driver.h"

struct CUstream_st {
    struct CUstream_st *next; /* never freed: a closed one is used again */
    CUcontext context;
    unsigned flags;
    int alive, standard, started;
    struct op *head, *tail; /* the head stays in the queue while it runs */
    pthread_cond_t changed;
};

extern pthread_mutex_t queue_mutex;

#endif
