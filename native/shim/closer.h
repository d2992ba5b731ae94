/* Closes files that have lost their names, in a thread of its own: the last close gives their page cache back, which takes longer than to
 * read them. For one thread at a time. */
#ifndef TORPOR_CLOSER_H
#define TORPOR_CLOSER_H

#include "stripe.h"

void closer_take(const int *descriptors, int count); /* MOST_STRIPES at most */
void closer_await(void);                             /* until all are closed */
void closer_before_fork(void); /* waits for one of them */
void closer_after_fork(int in_child);

#endif
