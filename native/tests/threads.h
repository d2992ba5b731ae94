/* The threads of the shim, which their names tell from the program's and the driver's. */
#ifndef TORPOR_TESTS_THREADS_H
#define TORPOR_TESTS_THREADS_H

#include "harness.h"

#include <dirent.h>

static inline int is_shims_name(const char *name) { return !strncmp(name, "torpor-", 7); }

/* What /proc says of a thread; nothing, where it has ended. */
static inline const char *thread_status(const char *thread, const char *field, char *line, int room) {
    char path[320];
    int found = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
    FILE *file = fopen(path, "r");
    while (file && !found && fgets(line, room, file)) found = !strncmp(line, field, strlen(field));
    if (file) fclose(file);
    return found ? line + strlen(field) : "";
}

static inline int is_shims(const char *thread) {
    char line[256];
    return is_shims_name(thread_status(thread, "Name:\t", line, sizeof line));
}

static inline int holds_back(const char *thread, int signal) {
    char line[256];
    return strtoull(thread_status(thread, "SigBlk:\t", line, sizeof line), NULL, 16) >> (signal - 1) & 1;
}

/* How many of the shim's a signal can reach. */
static inline int shim_threads_open_to(int signal) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) count += is_shims(entry->d_name) && !holds_back(entry->d_name, signal);
    closedir(tasks);
    return count;
}

/* But for the two of the control socket, which are there as soon as CUDA is. */
static inline int is_listening(const char *thread) {
    char line[256];
    const char *name = thread_status(thread, "Name:\t", line, sizeof line);
    return !strcmp(name, "torpor-control\n") || !strcmp(name, "torpor-worker\n");
}

static inline int shim_threads(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) count += is_shims(entry->d_name) && !is_listening(entry->d_name);
    closedir(tasks);
    return count;
}

/* Those of them that sleep until they are woken, and not for a time. */
static inline int shim_threads_blocked(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) count += is_shims(entry->d_name) && !is_listening(entry->d_name) && is_blocked(atoi(entry->d_name));
    closedir(tasks);
    return count;
}

/* A thread that has ended is still listed for a moment, and one that has begun is nameless for a moment. */
static inline int shim_threads_become(int wanted) {
    int now = shim_threads();
    for (int i = 0; i < 2000 && now != wanted; i++) {
        sleep_ms(10);
        now = shim_threads();
    }
    return now;
}

#endif
