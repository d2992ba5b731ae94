/* Host memory for what is parked. By one thread at a time. */
#ifndef TORPOR_ARENA_H
#define TORPOR_ARENA_H

#include <stddef.h>

int arena_reserve(size_t bytes); /* at least so many. 0: there is not enough, and errno says why */
/* What of it is new is touched by threads meanwhile. */
void arena_touch_begin(void);
void arena_touch_end(void);
char *arena_base(void);
size_t arena_size(void);   /* 0: there is none */
size_t arena_release(void); /* how much it was */
void arena_done(void);     /* what was in it is needed no more */
void arena_after_fork(void);

#endif
