#define _GNU_SOURCE
#include "groups.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A group as a line of /proc/PID/cgroup has it: "4:cpu,cpuacct:/docker/0123", or without controllers "0::/user.slice" in the unified hierarchy. */
struct group { int unified; char *controllers, *path; };

/* A mount as a line of mountinfo has it (proc_pid_mountinfo(5)): ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE OPTIONS. */
struct mount { char *root, *point, *type, *options; };

static int names(char *list, const char *wanted) {
    for (char *name; (name = strsep(&list, ","));)
        if (!strcmp(name, wanted)) return 1;
    return 0;
}

static int parse_group(char *line, const char *controller, struct group *group) {
    char *rest = line;
    line[strcspn(line, "\n")] = 0;
    strsep(&rest, ":");
    group->controllers = strsep(&rest, ":");
    group->path = rest;
    if (!rest || *rest != '/') return 0;
    group->unified = !*group->controllers;
    return group->unified || names(group->controllers, controller);
}

/* The kernel writes blanks and their like as a backslash and three octal digits. */
static void unescape(char *text) {
    char *to = text;
    for (char *from = text; *from; to++) {
        int octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' && from[3] <= '7';
        *to = octal ? (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0')) : *from;
        from += octal ? 4 : 1;
    }
    *to = 0;
}

static int parse_mount(char *line, struct mount *mount) {
    char *rest = line, *word = NULL;
    *mount = (struct mount){0};
    line[strcspn(line, "\n")] = 0;
    for (int field = 0; (word = strsep(&rest, " ")); field++) {
        if (field == 3) mount->root = word;
        if (field == 4) mount->point = word;
        if (field > 5 && !strcmp(word, "-")) break;
    }
    mount->type = word ? strsep(&rest, " ") : NULL;
    strsep(&rest, " ");
    mount->options = rest;
    if (!rest) return 0;
    unescape(mount->root);
    unescape(mount->point);
    return 1;
}

static int shows(const struct mount *mount, const struct group *group, const char *controller) {
    return group->unified ? !strcmp(mount->type, "cgroup2") : !strcmp(mount->type, "cgroup") && names(mount->options, controller);
}

static int goes_up(const char *path) { return !strncmp(path, "/..", 3) && (path[3] == '/' || !path[3]); }

/* Both paths begin with the same "..", as the reader's cgroup namespace shows them. */
static void skip_common_way_up(const char **one, const char **other) {
    while (goes_up(*one) && goes_up(*other)) *one += 3, *other += 3;
}

/* The path of a group below a mount of its hierarchy; "" where the mount shows ancestors alone, by a name that is not known; NULL: it shows none. */
static const char *path_below(const char *group, const char *root) {
    skip_common_way_up(&group, &root);
    if (goes_up(group)) return NULL;
    if (goes_up(root)) return "";
    size_t length = strcmp(root, "/") ? strlen(root) : 0;
    if (strncmp(group, root, length) || (group[length] && group[length] != '/')) return NULL;
    return group + length;
}

/* What is not there, since the group is gone or has no such controller, allows anything. */
static uint64_t least_below(allowance *of, const struct group *group, const struct mount *mount) {
    char directory[PATH_MAX];
    const char *below = path_below(group->path, mount->root);
    uint64_t most = UINT64_MAX;
    if (!below) return most;
    size_t shortest = strlen(mount->point);
    int length = snprintf(directory, sizeof directory, "%s%s", mount->point, below);
    if ((size_t)length >= sizeof directory) return most;
    for (char *end = directory + length; end && end >= directory + shortest; end = strrchr(directory, '/')) {
        *end = 0;
        uint64_t here = of(directory, group->unified);
        if (here < most) most = here;
    }
    return most;
}

static uint64_t least_of_mounts(const char *controller, allowance *of, const struct group *group, const char *mounts) {
    FILE *file = fopen(mounts, "re");
    char *line = NULL;
    size_t room = 0;
    uint64_t most = UINT64_MAX;
    struct mount mount;
    while (file && getline(&line, &room, file) > 0) {
        uint64_t here = parse_mount(line, &mount) && shows(&mount, group, controller) ? least_below(of, group, &mount) : UINT64_MAX;
        if (here < most) most = here;
    }
    if (file) fclose(file);
    free(line);
    return most;
}

uint64_t groups_least(const char *controller, allowance *of, const char *groups, const char *mounts) {
    FILE *file = fopen(groups, "re");
    char *line = NULL;
    size_t room = 0;
    uint64_t most = UINT64_MAX;
    struct group group;
    while (file && getline(&line, &room, file) > 0) {
        uint64_t here = parse_group(line, controller, &group) ? least_of_mounts(controller, of, &group, mounts) : UINT64_MAX;
        if (here < most) most = here;
    }
    if (file) fclose(file);
    free(line);
    return most;
}
