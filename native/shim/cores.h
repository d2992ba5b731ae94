/* How many cores this process may use. */
#ifndef TORPOR_CORES_H
#define TORPOR_CORES_H

#include <stdint.h>

/* By its affinity, and by its CPU quota: whoever starts more threads than that has all of them stopped together. */
uint64_t cores(void);

/* A thread that is pinned to one core starts threads that are pinned to it, too. Those get the cores that the process had when it started;
 * a choice of several cores is left as it is. By the new thread. */
void cores_unpin(void);

/* What the control groups allow, of parts of a core the whole: `groups` and `mounts` as for groups_least(). UINT64_MAX: there is no quota,
 * or none is seen. */
uint64_t cores_by_quota(const char *groups, const char *mounts);

#endif
