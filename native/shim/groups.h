/* What the control groups of a process allow it. */
#ifndef TORPOR_GROUPS_H
#define TORPOR_GROUPS_H

#include <stdint.h>

/* By a group's directory, in the unified hierarchy (version 2) or the controller's own; UINT64_MAX: anything. */
typedef uint64_t allowance(const char *directory, int unified);

/* The least of all groups that a process is in, their ancestors among them, as far as they are mounted. `groups` is a file like
 * /proc/self/cgroup, `mounts` one like /proc/self/mountinfo: a group is looked for where its hierarchy is mounted, since hosts differ
 * in that and a container sees a part of it. UINT64_MAX: anything is allowed, or nothing is seen. */
uint64_t groups_least(const char *controller, allowance *of, const char *groups, const char *mounts);

#endif
