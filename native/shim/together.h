/* One copy of memory by many threads. */
#ifndef TORPOR_TOGETHER_H
#define TORPOR_TOGETHER_H

#include <stddef.h>

typedef void piece_mover(char *to, const char *from, size_t bytes);

/* By the caller and by helpers, as many as TORPOR_BUFFER_THREADS says, which stay for the next copy until the end.
 * 0: somebody else is copying; nothing was done. */
int together_move(char *to, const char *from, size_t bytes, piece_mover *move);
void together_end(void);
void together_after_fork(void);

#endif
