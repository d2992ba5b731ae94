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

static uint64_t number_in(const char *folder, const char *name, uint64_t otherwise) {
    char path[PATH_MAX + 64], text[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_file(path, text, sizeof text) && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : otherwise;
}

/* Files that nobody has touched lately are given up for it. */
static uint64_t reclaimable(const char *folder, int unified) {
    char path[PATH_MAX + 64], text[8192];
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    return read_file(path, text, sizeof text) ? number_after(text, unified ? "inactive_file " : "total_inactive_file ", 0) : 0;
}

static uint64_t left_in(const char *folder, int unified) {
    uint64_t most = number_in(folder, unified ? "memory.max" : "memory.limit_in_bytes", UINT64_MAX);
    if (most == UINT64_MAX) return most;
    uint64_t used = number_in(folder, unified ? "memory.current" : "memory.usage_in_bytes", 0), given_up = reclaimable(folder, unified);
    used -= given_up < used ? given_up : used;
    return used < most ? most - used : 0;
}

uint64_t host_memory_by_groups(const char *groups, const char *root) { return groups_least("memory", left_in, groups, root); }

int host_memory_has(size_t bytes) {
    uint64_t machine = of_machine(), groups = host_memory_by_groups("/proc/self/cgroup", "/sys/fs/cgroup"), available = machine < groups ? machine : groups;
    return bytes + margin <= available;
}
