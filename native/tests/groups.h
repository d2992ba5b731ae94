/* Control groups that a test makes up, in a folder of its own. */
#ifndef TORPOR_TESTS_GROUPS_H
#define TORPOR_TESTS_GROUPS_H

#include "harness.h"

#include <sys/stat.h>

#include <stdarg.h>

static char folder[4096];

static inline const char *path(const char *name) {
    static char text[2][8192];
    static int turn;
    snprintf(text[turn ^= 1], sizeof text[0], "%s/%s", folder, name);
    return text[turn];
}

static inline void put(const char *name, const char *text) {
    char *whole = strdup(path(name));
    for (char *slash = whole + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        mkdir(whole, 0700);
    }
    FILE *file = fopen(whole, "w");
    fputs(text, file);
    fclose(file);
    free(whole);
}

static inline void begin(const char *groups) {
    snprintf(folder, sizeof folder, "/tmp/torpor groups-XXXXXX");
    if (!mkdtemp(folder)) abort();
    put("groups", groups);
    put("mounts", "");
}

static inline void append(const char *name, const char *format, ...) {
    va_list args;
    FILE *file = fopen(path(name), "a");
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fclose(file);
}

/* A hierarchy is mounted at a directory of the test's own, with the blank in its name as the kernel writes it. */
static inline void mounted(const char *root, const char *point, const char *type, const char *options) {
    const char *blank = strchr(folder, ' ');
    append("mounts", "%d 31 0:32 %s %.*s\\040%s%s%s ro,relatime shared:9 master:1 - %s a-source %s\n", 35, root, (int)(blank - folder), folder, blank + 1, *point ? "/" : "", point, type, options);
}

static inline void end(void) {
    char command[8192];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    OK(system(command));
}

#define NONE ((long long)UINT64_MAX)

#endif
