/* What /proc says of memory. */
#ifndef TORPOR_TESTS_MAPPING_H
#define TORPOR_TESTS_MAPPING_H

#include "harness.h"

#include <sys/mman.h>

enum { MB = 1 << 20, HUGE = 2 * MB };

/* Of the one that holds an address, or of the largest one for NULL. */
struct mapping { unsigned long start, end; long resident, huge; int advised, writable; };

static inline struct mapping mapping_of(int pid, const void *address) {
    char path[64], line[512];
    struct mapping now = {0}, found = {0};
    unsigned long at = (unsigned long)address, start, end, inode = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char permissions[8];
        if (sscanf(line, "%lx-%lx %7s %*x %*s %lu", &start, &end, permissions, &inode) == 4) now = (struct mapping){.start = start, .end = end, .writable = permissions[1] == 'w'};
        sscanf(line, "Rss: %ld kB", &now.resident);
        sscanf(line, "AnonHugePages: %ld kB", &now.huge);
        if (strncmp(line, "VmFlags:", 8)) continue;
        now.advised = strstr(line, " hg") != NULL;
        if (at ? at >= now.start && at < now.end : now.writable && !inode && now.resident > found.resident) found = now;
    }
    if (file) fclose(file);
    return found;
}

/* Memory may be in too small pieces for them. Neighbours of other rights keep the mapping apart. */
static inline int huge_pages_are_short(void) {
    enum { PROBE = 40 * MB };
    char *around = mmap(NULL, PROBE + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at = around + HUGE;
    if (around == MAP_FAILED || mprotect(at, PROBE, PROT_READ | PROT_WRITE)) return 1;
    madvise(at, PROBE, MADV_HUGEPAGE);
    for (int i = 0; i < PROBE; i += 4096) *(volatile char *)(at + i) = 1;
    long huge = mapping_of(getpid(), at).huge;
    munmap(around, PROBE + 2 * HUGE);
    return huge < PROBE / 2 / 1024;
}

static inline int no_huge_pages(void) {
    char text[64] = "[never]";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file && !fgets(text, sizeof text, file)) *text = 0;
    if (file) fclose(file);
    return strstr(text, "[never]") || huge_pages_are_short();
}

#endif
