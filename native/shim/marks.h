/* Where memory was freed: until the GPU has come so far, only the same stream may use it. One mark may stand for several parts.
 * With the pools' mutex, but for mark_record and mark_await. */
#ifndef TORPOR_MARKS_H
#define TORPOR_MARKS_H

#include "driver.h"

/* What CUDA orders: the work of one stream in one context. The stream CU_STREAM_PER_THREAD is another one for each thread. */
struct line {
    CUcontext context;
    CUstream stream; /* NULL: it was destroyed, and no stream's next work comes after */
    uint64_t thread; /* whose own stream it is; 0: it is no thread's own */
};

struct mark {
    struct mark *next; /* while nothing is marked by it: its event is there for the next */
    int references;
    int done;
    CUevent event;     /* NULL: none could be recorded, and the stream itself has to be asked */
    struct line line;
    uint64_t number;   /* the later one of a stream stands for the earlier one too */
};

struct line line_of(CUcontext context, CUstream stream); /* for the calling thread */
int lines_equal(const struct line *one, const struct line *other);

struct mark *mark_new(const struct line *line); /* NULL: out of memory */
void mark_record(struct mark *mark); /* without the mutex, by the thread that has made it. Never waits */
void mark_drop(struct mark *mark);   /* one reference; NULL: none */
uint64_t marks_latest(void);         /* the number that was given last */

int mark_is_done(struct mark *mark, int ask); /* ask: whether the driver may be asked. NULL: it is */
int mark_await(const struct mark *mark); /* without the mutex, with a reference. 0: it cannot be waited for now */

void marks_context_leaves(CUcontext context); /* before it is destroyed, and its events with it */
void marks_after_fork(void);

#endif
