/* A test is a function; RUN gives each a process of its own, so that none sees another's driver. */
#ifndef TORPOR_HARNESS_H
#define TORPOR_HARNESS_H

#define _GNU_SOURCE
#include "../abi/cuda_functions.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void run_test(const char *name, void (*test)(void));
int summary(void);
void fail_at(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
#define RUN(test) run_test(#test, test)

#define EXPECT(condition) do { if (!(condition)) fail_at(__FILE__, __LINE__, "%s", #condition); } while (0)
#define EXPECT_IS(expected, expression) do { \
        long long want_ = (long long)(expected), got_ = (long long)(expression); \
        if (want_ != got_) fail_at(__FILE__, __LINE__, "%s is %lld, not %lld", #expression, got_, want_); \
    } while (0)
#define OK(expression) EXPECT_IS(0, expression)
/* Where drivers differ. */
#define EXPECT_ONE_OF(one, other, expression) do { \
        long long one_ = (long long)(one), other_ = (long long)(other), got_ = (long long)(expression); \
        if (got_ != one_ && got_ != other_) fail_at(__FILE__, __LINE__, "%s is %lld, neither %lld nor %lld", #expression, got_, one_, other_); \
    } while (0)

/* Every function of the driver: cu.cuInit(0), cu.cuMemcpy_ptds(...). */
extern struct calls {
#define DRIVER(name, since, needs, locked, parameters, arguments) __typeof__(name) *name;
#define PER_THREAD(suffix, name, ...) DRIVER(name, __VA_ARGS__) __typeof__(name) *name##_##suffix;
#include "../simulator/functions.h"
#undef DRIVER
} cu;
extern void *driver_library;
void load_driver(void);
CUcontext use_device(int device); /* loads, initialises, makes the primary context current */

/* A machine of its own for the rest of the test. */
void fresh_machine(int devices, const char *memory);

struct target { int pid, in, out; char ready[256]; };
/* environment: "NAME=VALUE" strings, NULL at the end; NULL: nothing special */
struct target start_target(const char *const *environment, const char *memory, const char *more, const char *value);
void tell(struct target *target, const char *line);
int hear(struct target *target, char *line, int milliseconds); /* 0: nothing came */
const char *ask(struct target *target, const char *line);
int answered_ok(struct target *target, const char *line);
/* Once the target has taken what it was told, whether it sleeps in a call. */
int waits_in_a_call(const struct target *target);
/* Whether a thread of this process sleeps until another one wakes it, and not for a time. */
int is_blocked(int tid);
void expect_wait_while_locked(struct target *target, const char *line);
int finish(struct target *target); /* quit; the exit status */
int reap(struct target *target);
CUprocessState state_of(int pid);
CUresult lock_within(int pid, unsigned milliseconds);
void suspend(int pid);
void resume(int pid);

int start_child(void (*work)(void *), void *argument);
int wait_child(int pid); /* exit status, or -signal */
/* Between the two calls stderr goes into memory; the text is the caller's. */
int capture_errors(void);
char *captured_errors(int capture);
int soak(void); /* how many times as many rounds as usual */
double now_ms(void);
void sleep_ms(int milliseconds);
const char *output_path(const char *name);

static inline int simulated(void) {
    const char *real = getenv("TORPOR_REAL_DRIVER");
    return !real || !*real;
}

#endif
