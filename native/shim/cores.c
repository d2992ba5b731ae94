#define _GNU_SOURCE
#include "cores.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* A container may see its own group as the root, and under /proc a name of the host's: what is not there allows anything. */
static uint64_t least_quota(const char *root, const char *group, int unified) {
    char folder[PATH_MAX];
    uint64_t least = UINT64_MAX;
    int length = snprintf(folder, sizeof folder, "%s%s%s", root, unified ? "" : "/cpu", group);
    size_t shortest = strlen(root) + (unified ? 0 : strlen("/cpu"));
    if (length < 0 || (size_t)length >= sizeof folder) return UINT64_MAX;
    for (char *end = folder + length; end && end >= folder + shortest; end = strrchr(folder, '/')) {
        *end = 0;
        uint64_t quota = quota_of(folder, unified);
        if (quota < least) least = quota;
    }
    return least;
}

static int names_cpu(char *controllers) {
    for (char *name; (name = strsep(&controllers, ","));)
        if (!strcmp(name, "cpu")) return 1;
    return 0;
}

/* Like "4:cpu,cpuacct:/docker/0123", or without controllers "0::/user.slice" in the unified hierarchy. */
static uint64_t quota_of_line(char *line, const char *root) {
    char *rest = line;
    line[strcspn(line, "\n")] = 0;
    strsep(&rest, ":");
    char *controllers = strsep(&rest, ":");
    if (!rest) return UINT64_MAX;
    int unified = !*controllers;
    return unified || names_cpu(controllers) ? least_quota(root, rest, unified) : UINT64_MAX;
}

uint64_t cores_by_quota(const char *groups, const char *root) {
    FILE *file = fopen(groups, "re");
    char *line = NULL;
    size_t room = 0;
    uint64_t least = UINT64_MAX;
    while (file && getline(&line, &room, file) > 0) {
        uint64_t quota = quota_of_line(line, root);
        if (quota < least) least = quota;
    }
    if (file) fclose(file);
    free(line);
    return least;
}

static uint64_t cores_by_affinity(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) : (uint64_t)CPU_COUNT(&set);
}

uint64_t cores(void) {
    uint64_t affinity = cores_by_affinity(), quota = cores_by_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota < affinity ? quota : affinity;
}
