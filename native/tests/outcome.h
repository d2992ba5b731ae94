/* A program in a process of its own: it ends as programs do, and what it says is kept. */
#ifndef TORPOR_TESTS_OUTCOME_H
#define TORPOR_TESTS_OUTCOME_H

#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { PROGRAM_SECONDS = 30 };

struct outcome {
    int status; /* exit status, or -signal */
    char *out, *errors;
};

static inline char *outcome_text(int memory) {
    off_t size = lseek(memory, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    if (!text || pread(memory, text, (size_t)size, 0) != size) abort();
    close(memory);
    return text;
}

/* A program that hangs is killed, with -SIGALRM for its status. What it EXPECTs in vain stands in its output. */
static inline struct outcome outcome_of(void (*program)(void *), void *argument) {
    int out = memfd_create("out", MFD_CLOEXEC), errors = memfd_create("errors", MFD_CLOEXEC);
    fflush(stdout);
    int pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out, 1);
        dup2(errors, 2);
        alarm(PROGRAM_SECONDS);
        program(argument);
        exit(0);
    }
    return (struct outcome){wait_child(pid), outcome_text(out), outcome_text(errors)};
}

static inline void outcome_free(struct outcome *outcome) {
    free(outcome->out);
    free(outcome->errors);
}

static inline int line_count(const char *text) {
    int lines = 0;
    for (; *text; text++) lines += *text == '\n';
    return lines;
}

/* It has ended like this, and has said nothing. */
#define EXPECT_QUIET(wanted, expression) do { \
        struct outcome o_ = expression; \
        EXPECT_IS(wanted, o_.status); \
        if (*o_.out || *o_.errors) fail_at(__FILE__, __LINE__, "%s says: %s%s", #expression, o_.out, o_.errors); \
        outcome_free(&o_); \
    } while (0)

static inline int real_driver(void) { return getenv("TORPOR_REAL_DRIVER") != NULL; }
static inline int under_shim(void) { return getenv("TORPOR_UNDER_SHIM") != NULL; }

/* Nonzero, and a line that says so, where a test cannot be made. */
static inline int skipped(int cannot, const char *reason) {
    if (cannot) printf("    skipped: %s\n", reason);
    return cannot;
}

#endif
