/* How many cores this process may use. */
#ifndef TORPOR_CORES_H
#define TORPOR_CORES_H

#include <stdint.h>

/* By its affinity, and by its CPU quota: whoever starts more threads than that has all of them stopped together. */
uint64_t cores(void);

/* What the control groups allow, of parts of a core the whole: `groups` and `mounts` as for groups_least(). UINT64_MAX: there is no quota,
 * or none is seen. */
uint64_t cores_by_quota(const char *groups, const char *mounts);

#endif
