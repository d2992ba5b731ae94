#include "harness.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

struct calls cu;
void *driver_library;
static int passed, failed, failures;

enum { TEST_SECONDS = 120 }; /* for a sanitizer on a busy machine */

int soak(void) {
    const char *text = getenv("TORPOR_TEST_SOAK");
    int times = text ? atoi(text) : 1;
    return times > 1 ? times : 1;
}

void fail_at(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("    %s:%d: ", file, line);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    failures++;
}

void run_test(const char *name, void (*test)(void)) {
    double begun = now_ms();
    fflush(stdout);
    int pid = fork();
    if (pid == 0) {
        alarm((unsigned)(TEST_SECONDS * soak()));
        test();
        exit(failures ? 1 : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    int good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (WIFSIGNALED(status)) printf("    killed by signal %d\n", WTERMSIG(status));
    else if (!good && WEXITSTATUS(status) != 1) printf("    exit status %d\n", WEXITSTATUS(status));
    printf("  %s %s (%.0f ms)\n", good ? "ok    " : "FAILED", name, now_ms() - begun);
    if (good) passed++;
    else failed++;
}

int summary(void) {
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}

void load_driver(void) {
    const char *path = getenv("TORPOR_LIBCUDA");
    if (driver_library) return;
    driver_library = dlopen(path && *path ? path : "libcuda.so.1", RTLD_NOW);
    if (!driver_library) {
        printf("    %s\n", dlerror());
        exit(2);
    }
#define DRIVER(name, since, needs, locked, parameters, arguments) cu.name = (__typeof__(name) *)dlsym(driver_library, #name);
#define PER_THREAD(suffix, name, ...) \
    DRIVER(name, __VA_ARGS__) \
    cu.name##_##suffix = (__typeof__(name) *)dlsym(driver_library, #name "_" #suffix);
#include "../simulator/functions.h"
#undef DRIVER
}

CUcontext use_device(int device) {
    CUdevice handle;
    CUcontext context = NULL;
    load_driver();
    OK(cu.cuInit(0));
    OK(cu.cuDeviceGet(&handle, device));
    OK(cu.cuDevicePrimaryCtxRetain(&context, handle));
    OK(cu.cuCtxSetCurrent(context));
    return context;
}

void fresh_machine(int devices, const char *memory) {
    char number[16], path[4096];
    const char *inside = getenv("TORPOR_SIM_DIR"); /* of the whole run, removed after it */
    snprintf(path, sizeof path, "%s/fresh-XXXXXX", inside ? inside : "/tmp");
    if (!mkdtemp(path)) abort();
    snprintf(number, sizeof number, "%d", devices);
    setenv("TORPOR_SIM_DIR", path, 1);
    setenv("TORPOR_SIM_DEVICES", number, 1);
    setenv("TORPOR_SIM_MEMORY", memory, 1);
}

const char *output_path(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("TORPOR_OUT"), name);
    return path;
}

static void become_target(const char *const *environment, const char *memory, const char *more, const char *value) {
    const char *program = output_path("programs/torpor-target");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (; environment && *environment; environment++) putenv((char *)(uintptr_t)*environment);
    execl(program, program, "--memory", memory, "--chunk", "1M", more, value, (char *)NULL);
    _exit(127);
}

struct target start_target(const char *const *environment, const char *memory, const char *more, const char *value) {
    int to[2], from[2];
    struct target target = {0};
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) abort();
    target.pid = fork();
    if (target.pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        become_target(environment, memory, more, value);
    }
    close(to[0]);
    close(from[1]);
    target.in = to[1];
    target.out = from[0];
    int heard = hear(&target, target.ready, 20000);
    if (!heard || strncmp(target.ready, "READY", 5)) fail_at(__FILE__, __LINE__, "the target says \"%s\", not READY", target.ready);
    return target;
}

void tell(struct target *target, const char *line) {
    char text[256];
    int length = snprintf(text, sizeof text, "%s\n", line);
    if (write(target->in, text, (size_t)length) != length) fail_at(__FILE__, __LINE__, "cannot tell the target: %s", strerror(errno));
}

int hear(struct target *target, char *line, int milliseconds) {
    struct pollfd ready = {target->out, POLLIN, 0};
    size_t length = 0;
    while (length < 255 && poll(&ready, 1, milliseconds) == 1 && read(target->out, line + length, 1) == 1)
        if (line[length++] == '\n') return line[length - 1] = 0, 1;
    line[length] = 0;
    return 0;
}

const char *ask(struct target *target, const char *line) {
    static char answer[256];
    tell(target, line);
    return hear(target, answer, 20000) ? answer : "(no answer)";
}

int answered_ok(struct target *target, const char *line) {
    const char *answer = ask(target, line);
    if (strncmp(answer, "OK", 2)) return printf("    %s: %s\n", line, answer), 0;
    return 1;
}

int wait_child(int pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1000;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int reap(struct target *target) {
    close(target->in);
    close(target->out);
    return wait_child(target->pid);
}

int finish(struct target *target) {
    tell(target, "quit");
    return reap(target);
}

int start_child(void (*work)(void *), void *argument) {
    fflush(stdout);
    int pid = fork();
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    failures = 0;
    work(argument);
    fflush(stdout);
    _exit(failures ? 1 : 0); /* the leak check is not made for a fork of many threads */
}

CUprocessState state_of(int pid) {
    CUprocessState state = (CUprocessState)-1;
    CUresult result = cu.cuCheckpointProcessGetState(pid, &state);
    return result ? (CUprocessState)(-(int)result) : state;
}

CUresult lock_within(int pid, unsigned milliseconds) {
    CUcheckpointLockArgs args;
    memset(&args, 0, sizeof args);
    args.timeoutMs = milliseconds;
    return cu.cuCheckpointProcessLock(pid, &args);
}

void suspend(int pid) {
    OK(lock_within(pid, 5000));
    OK(cu.cuCheckpointProcessCheckpoint(pid, NULL));
}

void resume(int pid) {
    OK(cu.cuCheckpointProcessRestore(pid, NULL));
    OK(cu.cuCheckpointProcessUnlock(pid, NULL));
}

static int real_errors;

int capture_errors(void) {
    int capture = memfd_create("stderr", MFD_CLOEXEC);
    real_errors = fcntl(2, F_DUPFD_CLOEXEC, 3);
    dup2(capture, 2);
    return capture;
}

char *captured_errors(int capture) {
    off_t size = lseek(capture, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    if (!text || pread(capture, text, (size_t)size, 0) != size) abort();
    dup2(real_errors, 2);
    close(real_errors);
    close(capture);
    return text;
}

/* The system call that a thread sleeps in, and whether it is to sleep there without a limit of time; less than 0: none. */
static long call_of(int pid, int tid, int *for_ever) {
    char path[64], line[256] = "";
    long call = -1;
    unsigned long address, operation, value, limit = 1;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, tid);
    FILE *file = fopen(path, "r"); /* "running", or the call's number and arguments */
    if (!file) return -1;
    if (!fgets(line, sizeof line, file)) line[0] = 0;
    fclose(file);
    int found = sscanf(line, "%ld %lx %lx %lx %lx", &call, &address, &operation, &value, &limit);
    *for_ever = found == 5 && call == SYS_futex && !limit;
    return found > 0 ? call : -1;
}

int is_blocked(int tid) {
    int for_ever = 0;
    return call_of(getpid(), tid, &for_ever) >= 0 && for_ever;
}

int waits_in_a_call(const struct target *target) {
    for (int i = 0; i < 20000; i++) {
        int unread = 1, for_ever;
        if (!ioctl(target->in, FIONREAD, &unread) && !unread) {
            long call = call_of(target->pid, target->pid, &for_ever);
            if (call >= 0 && call != SYS_read && call != SYS_write) return 1;
        }
        sleep_ms(1);
    }
    return 0;
}

void expect_wait_while_locked(struct target *target, const char *line) {
    char answer[256];
    OK(lock_within(target->pid, 1000));
    tell(target, line);
    EXPECT(waits_in_a_call(target) && !hear(target, answer, 0));
    OK(cu.cuCheckpointProcessUnlock(target->pid, NULL));
    EXPECT(hear(target, answer, 20000) && !strncmp(answer, "OK", 2));
}

double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

void sleep_ms(int milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    while (nanosleep(&time, &time)) {}
}
