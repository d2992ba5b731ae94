#define _GNU_SOURCE
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int slurp(int pid, const char *file, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    if (length <= 0) return 0;
    text[length] = 0;
    return 1;
}

/* CRIU makes processes anew in a time namespace, and what /proc tells depends on who asks: time_namespaces(7). */
static int64_t own_offset_ticks(void) {
    char text[256];
    long long seconds = 0, nanoseconds = 0;
    if (!slurp(getpid(), "timens_offsets", text, sizeof text)) return 0;
    char *line = strstr(text, "boottime");
    if (!line || sscanf(line, "boottime %lld %lld", &seconds, &nanoseconds) != 2) return 0;
    long ticks = sysconf(_SC_CLK_TCK);
    return seconds * ticks + nanoseconds * ticks / 1000000000;
}

int process_start(int pid, uint64_t *start) {
    char text[1024];
    if (pid <= 0 || !slurp(pid, "stat", text, sizeof text)) return 0;
    char *field = strrchr(text, ')'); /* the name may hold blanks and parentheses */
    if (!field) return 0;
    field += 2;
    for (int number = 3; number < 22 && field; number++) {
        field = strchr(field, ' ');
        if (field) field++;
    }
    if (!field) return 0;
    *start = (uint64_t)((int64_t)strtoull(field, NULL, 10) - own_offset_ticks());
    return 1;
}

int process_same_start(uint64_t one, uint64_t other) { return one - other + 1 <= 2; }

int process_of_thread(int tid) {
    char text[2048];
    if (tid <= 0 || !slurp(tid, "status", text, sizeof text)) return 0;
    char *line = strstr(text, "\nTgid:");
    return line ? atoi(line + 6) : 0;
}

int process_exists(int pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", pid);
    return pid > 0 && access(path, F_OK) == 0;
}

int process_has_thread(int pid, int tid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d", pid, tid);
    return access(path, F_OK) == 0;
}

int process_maps(int pid, uint64_t inode) {
    char path[64], line[512];
    int found = 0, begins = 1;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    while (maps && !found && fgets(line, sizeof line, maps)) {
        unsigned long long number;
        found = begins && sscanf(line, "%*s %*s %*s %*s %llu", &number) == 1 && number == inode;
        begins = strchr(line, '\n') != NULL; /* a long path comes in several pieces */
    }
    if (maps) fclose(maps);
    return found;
}

int process_thread_named(int pid, const char *name) {
    char path[64], text[64];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    for (struct dirent *thread; !found && threads && (thread = readdir(threads));) {
        if (!slurp(atoi(thread->d_name), "comm", text, sizeof text)) continue;
        text[strcspn(text, "\n")] = 0;
        if (!strcmp(text, name)) found = atoi(thread->d_name);
    }
    if (threads) closedir(threads);
    return found;
}

uint64_t process_space(int pid) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
    return stat(path, &status) ? 0 : status.st_ino;
}

int process_sees_all(void) { return process_space(getpid()) == 0xEFFFFFFC; } /* PROC_PID_INIT_INO: the first namespace of the host */

static int innermost_pid(int pid) {
    char text[2048];
    if (!slurp(pid, "status", text, sizeof text)) return 0;
    char *line = strstr(text, "\nNSpid:");
    if (!line) return 0;
    line[1 + strcspn(line + 1, "\n")] = 0;
    return atoi(strrchr(line, '\t') + 1);
}

int process_here(uint64_t space, int pid) {
    int found = 0;
    if (space == process_space(getpid())) return pid;
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; !found && processes && (entry = readdir(processes));) {
        int candidate = atoi(entry->d_name);
        if (candidate && process_space(candidate) == space && innermost_pid(candidate) == pid) found = candidate;
    }
    if (processes) closedir(processes);
    return found;
}

int process_permitted(int pid) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d", pid);
    if (geteuid() == 0) return 1;
    return stat(path, &status) == 0 && status.st_uid == geteuid();
}
