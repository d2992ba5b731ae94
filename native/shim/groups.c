#define _GNU_SOURCE
#include "groups.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A container may see its own group as the root, and under /proc a name of the host's: what is not there allows anything. */
static uint64_t least(const char *controller, allowance *of, const char *root, const char *group) {
    char folder[PATH_MAX];
    uint64_t most = UINT64_MAX;
    int length = snprintf(folder, sizeof folder, "%s%s%s%s", root, controller ? "/" : "", controller ? controller : "", group);
    size_t shortest = strlen(root) + (controller ? 1 + strlen(controller) : 0);
    if (length < 0 || (size_t)length >= sizeof folder) return UINT64_MAX;
    for (char *end = folder + length; end && end >= folder + shortest; end = strrchr(folder, '/')) {
        *end = 0;
        uint64_t here = of(folder, !controller);
        if (here < most) most = here;
    }
    return most;
}

static int names(char *controllers, const char *controller) {
    for (char *name; (name = strsep(&controllers, ","));)
        if (!strcmp(name, controller)) return 1;
    return 0;
}

/* Like "4:cpu,cpuacct:/docker/0123", or without controllers "0::/user.slice" in the unified hierarchy. */
static uint64_t of_line(char *line, const char *controller, allowance *of, const char *root) {
    char *rest = line;
    line[strcspn(line, "\n")] = 0;
    strsep(&rest, ":");
    char *controllers = strsep(&rest, ":");
    if (!rest) return UINT64_MAX;
    if (!*controllers) return least(NULL, of, root, rest);
    return names(controllers, controller) ? least(controller, of, root, rest) : UINT64_MAX;
}

uint64_t groups_least(const char *controller, allowance *of, const char *groups, const char *root) {
    FILE *file = fopen(groups, "re");
    char *line = NULL;
    size_t room = 0;
    uint64_t most = UINT64_MAX;
    while (file && getline(&line, &room, file) > 0) {
        uint64_t here = of_line(line, controller, of, root);
        if (here < most) most = here;
    }
    if (file) fclose(file);
    free(line);
    return most;
}
