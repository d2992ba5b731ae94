#define _GNU_SOURCE
#include "identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Like pid:[4026531836]. */
static unsigned long long read_namespace(void) {
    char target[64];
    ssize_t length = readlink("/proc/self/ns/pid", target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    const char *number = strchr(target, '[');
    return number ? strtoull(number + 1, NULL, 10) : 0;
}

/* The name of the program, in brackets, may hold blanks and brackets. */
static unsigned long long read_start(void) {
    enum { BEFORE_START = 20 }; /* fields from the third on */
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[length > 0 ? length : 0] = 0;
    const char *field = strrchr(text, ')');
    for (int i = 0; i < BEFORE_START && field; i++) field = strchr(field + 1, ' ');
    return field ? strtoull(field + 1, NULL, 10) : 0;
}

/* Older C libraries remember the pid. */
struct identity identity_now(void) { return (struct identity){(int)syscall(SYS_getpid), read_namespace(), read_start()}; }
