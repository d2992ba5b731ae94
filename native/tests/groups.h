/* Control groups that a test makes up, in a folder of its own. */
#ifndef TORPOR_TESTS_GROUPS_H
#define TORPOR_TESTS_GROUPS_H

#include "harness.h"

#include <sys/stat.h>

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
    snprintf(folder, sizeof folder, "/tmp/torpor-groups-XXXXXX");
    if (!mkdtemp(folder)) abort();
    put("groups", groups);
}

static inline void end(void) {
    char command[8192];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    OK(system(command));
}

#define NONE ((long long)UINT64_MAX)

#endif
