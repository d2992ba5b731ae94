/* Where memory was freed: until the GPU has come so far, only the same stream may use it. One mark may stand for several parts.
 * With the pools' mutex, but for mark_record. */
#ifndef TORPOR_MARKS_H
#define TORPOR_MARKS_H

#include "driver.h"

struct mark {
    struct mark *next; /* while nothing is marked by it: its event is there for the next */
    int references;
    int done;
    CUevent event;
    CUcontext context; /* of the event and the stream */
    CUstream stream;   /* whose next work comes after; NULL: no stream's does */
    uint64_t thread;   /* whose own stream it is */
    uint64_t number;   /* the later one of a stream stands for the earlier one too */
};

struct mark *mark_new(CUcontext context, CUstream stream); /* NULL: out of memory */
void mark_record(struct mark *mark); /* without the mutex, by who has made it. What cannot be recorded is waited for */
void mark_drop(struct mark *mark);   /* one reference; NULL: none */

int mark_is_done(struct mark *mark, int ask); /* ask: whether the driver may be asked. NULL: it is */
void mark_await(struct mark *mark);
int mark_is_before(const struct mark *mark, CUcontext context, CUstream stream); /* the calling thread's next work in that stream comes after */
int marks_are_of_one_stream(const struct mark *one, const struct mark *other);

void mark_context_gone(struct mark *mark); /* of what was in that context */
void marks_context_gone(CUcontext context);
void marks_after_fork(void);

#endif
