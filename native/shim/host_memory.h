/* How much host memory can be taken without the kernel killing somebody for it. */
#ifndef TORPOR_HOST_MEMORY_H
#define TORPOR_HOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

int host_memory_has(size_t bytes); /* unknown counts as yes */

/* What the control groups leave that a file like /proc/self/cgroup names, and those that they are in, below a folder like
 * /sys/fs/cgroup. UINT64_MAX: there is no limit, or none is seen. */
uint64_t host_memory_by_groups(const char *groups, const char *root);

#endif
