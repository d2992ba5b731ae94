/* How much host memory can be taken without the kernel killing a process for it: the rule of "Host memory" in docs/parking.md, which the
 * controller follows, too. */
#ifndef TORPOR_HOST_MEMORY_H
#define TORPOR_HOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

int host_memory_has(size_t bytes); /* unknown counts as yes */

/* What the memory groups of a process leave: `groups` and `mounts` as for groups_least(). UINT64_MAX: there is no limit, or none is seen. */
uint64_t host_memory_by_groups(const char *groups, const char *mounts);

#endif
