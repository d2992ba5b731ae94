#define _GNU_SOURCE
#include "process.h"

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
    *start = strtoull(field, NULL, 10);
    return 1;
}

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

int process_permitted(int pid) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d", pid);
    if (geteuid() == 0) return 1;
    return stat(path, &status) == 0 && status.st_uid == geteuid();
}
