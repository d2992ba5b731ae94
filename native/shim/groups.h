/* What the control groups of a process allow it. */
#ifndef TORPOR_GROUPS_H
#define TORPOR_GROUPS_H

#include <stdint.h>

/* By a group's folder, in the unified hierarchy (version 2) or the controller's own; UINT64_MAX: anything. */
typedef uint64_t allowance(const char *folder, int unified);

/* The least of all groups that a file like /proc/self/cgroup names, and those that they are in, below a folder like /sys/fs/cgroup. */
uint64_t groups_least(const char *controller, allowance *of, const char *groups, const char *root);

#endif
