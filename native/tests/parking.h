/* What the tests of parking share: the control socket, and memory that is looked at before and after. */
#ifndef TORPOR_TESTS_PARKING_H
#define TORPOR_TESTS_PARKING_H

#include "shim.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { MIB = 1 << 20 };

static inline int connect_to(int pid) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/%d.sock", getenv("TORPOR_DIR"), pid);
    if (!connect(fd, (struct sockaddr *)&at, sizeof at)) return fd;
    close(fd);
    return -1;
}

/* The answer without its end of line; good until the next. */
static inline const char *answer_on(int fd, const char *line) {
    static char text[16384];
    size_t length = 0;
    ssize_t got = 0;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0) return "nobody listens";
    while (length < sizeof text - 1 && !memchr(text, '\n', length) && (got = recv(fd, text + length, sizeof text - 1 - length, 0)) > 0) length += (size_t)got;
    text[length] = 0;
    text[strcspn(text, "\n")] = 0;
    return text;
}

static inline const char *command_to(int pid, const char *line) {
    int fd = connect_to(pid);
    if (fd < 0) return "no socket";
    const char *answer = answer_on(fd, line);
    close(fd);
    return answer;
}

static inline const char *command(const char *line) { return command_to(getpid(), line); }

static inline int is_ok(const char *answer) { return !strncmp(answer, "ok ", 3) || !strcmp(answer, "ok"); }
static inline int is_error(const char *answer, const char *code) {
    size_t length = strlen(code);
    return !strncmp(answer, "error ", 6) && !strncmp(answer + 6, code, length) && answer[6 + length] == ' ';
}
#define COMMAND_OK(line) do { const char *got_ = command(line); if (!is_ok(got_)) fail_at(__FILE__, __LINE__, "%s: %s", line, got_); } while (0)
#define COMMAND_FAILS(code, line) do { const char *got_ = command(line); if (!is_error(got_, code)) fail_at(__FILE__, __LINE__, "%s: %s, not error %s", line, got_, code); } while (0)

/* One number of an answer. */
static inline unsigned long long number_of(const char *answer, const char *name) {
    size_t length = strlen(name);
    for (const char *at = answer; (at = strstr(at, name)); at++)
        if (at > answer && at[-1] == ' ' && at[length] == '=') return strtoull(at + length + 1, NULL, 10);
    fail_at(__FILE__, __LINE__, "no %s in: %s", name, answer);
    return 0;
}

static inline unsigned long long status_of(const char *name) { return number_of(command("status"), name); }

static inline size_t free_memory(void) {
    size_t free, total;
    OK(cu.cuMemGetInfo_v2(&free, &total));
    return free;
}

/* With what the driver takes for a first park, and keeps. */
static inline size_t settled_memory(void) {
    CUdeviceptr some;
    OK(cu.cuMemAlloc_v2(&some, 2 * MIB));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    OK(cu.cuMemFree_v2(some));
    return free_memory();
}

static inline void write_pattern(CUdeviceptr at, size_t bytes, unsigned seed) {
    char *text = pattern_of(bytes, seed);
    OK(cu.cuMemcpyHtoD_v2(at, text, bytes));
    free(text);
}

static inline void expect_pattern_at(const char *file, int line, CUdeviceptr at, size_t bytes, unsigned seed) {
    char *want = pattern_of(bytes, seed), *got = calloc(1, bytes);
    CUresult result = cu.cuMemcpyDtoH_v2(got, at, bytes);
    if (result) fail_at(file, line, "the memory cannot be read: %d", (int)result);
    else if (memcmp(want, got, bytes)) fail_at(file, line, "the bytes of pattern %u are not what they were", seed);
    free(want);
    free(got);
}
#define EXPECT_PATTERN(at, bytes, seed) expect_pattern_at(__FILE__, __LINE__, at, bytes, seed)

#endif
