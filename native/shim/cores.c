#define _GNU_SOURCE
#include "cores.h"
#include "groups.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One that is not there, or "max", is 0. */
static long long number_of(const char *folder, const char *name, int which) {
    char path[PATH_MAX + 32];
    long long numbers[2] = {0, 0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    int found = file ? fscanf(file, "%lld %lld", &numbers[0], &numbers[1]) : 0;
    if (file) fclose(file);
    return which < found ? numbers[which] : 0;
}

static uint64_t quota_of(const char *folder, int unified) {
    long long quota = number_of(folder, unified ? "cpu.max" : "cpu.cfs_quota_us", 0);
    long long period = unified ? number_of(folder, "cpu.max", 1) : number_of(folder, "cpu.cfs_period_us", 0);
    return quota > 0 && period > 0 ? (uint64_t)((quota - 1) / period + 1) : UINT64_MAX;
}

uint64_t cores_by_quota(const char *groups, const char *mounts) { return groups_least("cpu", quota_of, groups, mounts); }

static cpu_set_t at_start; /* no core: they are not known */

__attribute__((constructor)) static void look_at_start(void) {
    if (sched_getaffinity(0, sizeof at_start, &at_start)) CPU_ZERO(&at_start);
}

static int is_pinned(const cpu_set_t *set) { return CPU_COUNT(set) == 1 && CPU_COUNT(&at_start) > 1; }

void cores_unpin(void) {
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set) && is_pinned(&set)) sched_setaffinity(0, sizeof at_start, &at_start);
}

static uint64_t cores_by_affinity(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    return (uint64_t)CPU_COUNT(is_pinned(&set) ? &at_start : &set);
}

uint64_t cores(void) {
    uint64_t affinity = cores_by_affinity(), quota = cores_by_quota("/proc/self/cgroup", "/proc/self/mountinfo");
    return quota < affinity ? quota : affinity;
}
