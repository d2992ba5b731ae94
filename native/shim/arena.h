/* Host memory for what is parked: anonymous, or a file that somebody has named. By one thread at a time. */
#ifndef TORPOR_ARENA_H
#define TORPOR_ARENA_H

#include <stddef.h>

enum arena_answer { ARENA_READY, ARENA_SHORT /* of host memory */, ARENA_NO_FILE, ARENA_DISK_FULL };

/* At least so many bytes. path: NULL for anonymous memory. The errno of a failure is left in errno. */
enum arena_answer arena_reserve(size_t bytes, const char *path);
/* What of it is new is touched by threads meanwhile. */
void arena_touch_begin(void);
void arena_touch_end(void);
char *arena_base(void);
size_t arena_size(void);   /* 0: there is none */
size_t arena_release(void); /* how much it was */
void arena_done(void);     /* what was in it is needed no more */
void arena_after_fork(void);

#endif
