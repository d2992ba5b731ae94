#define _GNU_SOURCE
#include "host_memory.h"
#include "groups.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const size_t margin = 256 << 20; /* what the driver and the rest of the process may need meanwhile */
static const uint64_t no_limit = 1ULL << 62;

/* The whole of a small file; 0: it cannot be read. */
static int read_file(const char *path, char *text, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, room - 1);
    if (fd >= 0) close(fd);
    if (got < 0) return 0;
    text[got] = 0;
    return 1;
}

/* The number behind a word at the start of a line. */
static uint64_t number_after(const char *text, const char *word, uint64_t otherwise) {
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (!strncmp(line, word, strlen(word))) return strtoull(line + strlen(word), NULL, 10);
    return otherwise;
}

static uint64_t of_machine(void) {
    char text[8192];
    if (!read_file("/proc/meminfo", text, sizeof text)) return UINT64_MAX;
    uint64_t kib = number_after(text, "MemAvailable:", UINT64_MAX / 1024);
    return kib * 1024;
}

static uint64_t least(uint64_t one, uint64_t other) { return one < other ? one : other; }

static uint64_t number_in(const char *directory, const char *name, uint64_t otherwise) {
    char path[PATH_MAX + 64], text[64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return read_file(path, text, sizeof text) && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : otherwise;
}

static void read_statistics(const char *directory, char *text, size_t room) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/memory.stat", directory);
    if (!read_file(path, text, room)) *text = 0;
}

/* Of what is used, the kernel drops some before it refuses memory. A group without a limit says so by "max", or by a number near 2^63. */
static uint64_t left_of(uint64_t limit, uint64_t used, uint64_t dropped) {
    if (limit >= no_limit) return UINT64_MAX;
    used -= least(used, dropped);
    return used < limit ? limit - used : 0;
}

static uint64_t left_in_unified(const char *directory) {
    char stat[16384];
    uint64_t limit = least(number_in(directory, "memory.max", UINT64_MAX), number_in(directory, "memory.high", UINT64_MAX));
    if (limit >= no_limit) return UINT64_MAX; /* without the statistics, which the kernel has to add up */
    read_statistics(directory, stat, sizeof stat);
    uint64_t dropped = number_after(stat, "active_file ", 0) + number_after(stat, "inactive_file ", 0) + number_after(stat, "slab_reclaimable ", 0);
    return left_of(limit, number_in(directory, "memory.current", 0), dropped);
}

/* Version 1 limits memory and, together with swap, once more; its statistics tell the limits of ancestors that are not mounted here, too. */
static uint64_t left_in_own(const char *directory) {
    char stat[16384];
    uint64_t limit = number_in(directory, "memory.limit_in_bytes", UINT64_MAX);
    if (limit == UINT64_MAX) return limit; /* no group of memory */
    read_statistics(directory, stat, sizeof stat);
    uint64_t dropped = number_after(stat, "total_active_file ", 0) + number_after(stat, "total_inactive_file ", 0);
    limit = least(limit, number_after(stat, "hierarchical_memory_limit ", UINT64_MAX));
    uint64_t both = least(number_in(directory, "memory.memsw.limit_in_bytes", UINT64_MAX), number_after(stat, "hierarchical_memsw_limit ", UINT64_MAX));
    return least(left_of(limit, number_in(directory, "memory.usage_in_bytes", 0), dropped), left_of(both, number_in(directory, "memory.memsw.usage_in_bytes", 0), dropped));
}

static uint64_t left_in(const char *directory, int unified) { return unified ? left_in_unified(directory) : left_in_own(directory); }

uint64_t host_memory_by_groups(const char *groups, const char *mounts) { return groups_least("memory", left_in, groups, mounts); }

int host_memory_has(size_t bytes) {
    uint64_t available = least(of_machine(), host_memory_by_groups("/proc/self/cgroup", "/proc/self/mountinfo"));
    return bytes + margin <= available;
}
