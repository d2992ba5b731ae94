/* A process ends while it is parked, or while it is being parked. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"

#include <pthread.h>

enum { CHILD_STATUS = 7, BYTES = 4 * MIB };
static CUcontext context;
static CUdeviceptr memory, in_stream;

static void park_now(void) {
    context = use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    OK(cu.cuMemAllocAsync(&in_stream, BYTES, NULL));
    write_pattern(memory, BYTES, 1);
    COMMAND_OK("park");
}

static void *use_memory(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    cu.cuMemsetD8_v2(memory, 1, 16); /* waits for ever */
    return unused;
}

static void start_waiting(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, use_memory, NULL);
    sleep_ms(20);
}

static void exit_parked(void *unused) {
    (void)unused;
    park_now();
    start_waiting();
    exit(CHILD_STATUS);
}

static void leave_parked(void *unused) {
    (void)unused;
    park_now();
    _exit(CHILD_STATUS);
}

static void *exit_soon(void *unused) {
    (void)unused;
    sleep_ms(30);
    exit(CHILD_STATUS);
}

static void exit_from_a_thread_parked(void *unused) {
    pthread_t thread;
    park_now();
    pthread_create(&thread, NULL, exit_soon, NULL);
    use_memory(unused);
    for (;;) pause();
}

/* The command stays unanswered: the kernel runs longer than the process. */
static void exit_while_parking(void *unused) {
    (void)unused;
    park_now();
    COMMAND_OK("unpark");
    OK(spin(NULL, 1000));
    int fd = connect_to(getpid());
    EXPECT_IS(5, send(fd, "park\n", 5, MSG_NOSIGNAL));
    sleep_ms(30);
    exit(CHILD_STATUS);
}

static void exit_from_a_thread_while_parking(void *unused) {
    pthread_t thread;
    park_now();
    COMMAND_OK("unpark");
    pthread_create(&thread, NULL, exit_soon, NULL);
    for (;;) {
        command("park");
        command("unpark");
    }
    (void)unused;
}

static void let_all_go(void) {
    OK(cu.cuMemFree_v2(memory));
    OK(cu.cuMemFreeAsync(in_stream, NULL));
    OK(cu.cuMemFree_v2(0));
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
}

/* As programs that tidy up at the end. The handler was there before the shim's own, so that it comes after it. */
static void tidy_up_parked(void *unused) {
    (void)unused;
    atexit(let_all_go);
    park_now();
    exit(CHILD_STATUS);
}

static void destroy_context(void) { OK(cu.cuCtxDestroy_v2(context)); }

static void destroy_parked(void *unused) {
    (void)unused;
    atexit(destroy_context);
    use_device(0);
    OK(cu.cuCtxCreate_v2(&context, 0, 0));
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    COMMAND_OK("park");
    exit(CHILD_STATUS);
}

static void use_late(void) { cu.cuMemcpyHtoD_v2(memory, "x", 1); } /* whatever it answers */

/* Handlers of objects and libraries that came after cuInit: they run before the shim's first one. */
static void destroy_late(void *unused) {
    (void)unused;
    use_device(0);
    OK(cu.cuCtxCreate_v2(&context, 0, 0));
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    atexit(destroy_context);
    COMMAND_OK("park");
    exit(CHILD_STATUS);
}

static void release_late(void *unused) {
    (void)unused;
    context = use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    OK(cu.cuMemAllocAsync(&in_stream, BYTES, NULL));
    atexit(let_all_go);
    COMMAND_OK("park");
    start_waiting();
    exit(CHILD_STATUS);
}

static void work_late(void *unused) {
    (void)unused;
    use_device(0);
    atexit(use_late);
    park_now();
    exit(CHILD_STATUS);
}

static void killed_parked(void *unused) {
    (void)unused;
    park_now();
    raise(SIGKILL);
}

static void expect_end(void (*program)(void *), int status) {
    for (int i = 0; i < 2; i++) {
        double begun = now_ms();
        EXPECT_QUIET(status, outcome_of(program, NULL));
        EXPECT(now_ms() - begun < 15000);
    }
}

static void aParkedProcessExits(void) { expect_end(exit_parked, CHILD_STATUS); }
static void aParkedProcessLeavesAtOnce(void) { expect_end(leave_parked, CHILD_STATUS); }
static void aParkedProcessIsEndedByAnyThread(void) { expect_end(exit_from_a_thread_parked, CHILD_STATUS); }
static void aProcessThatIsBeingParkedExits(void) { expect_end(exit_while_parking, CHILD_STATUS); }
static void aProcessThatParksAllTheTimeExits(void) { expect_end(exit_from_a_thread_while_parking, CHILD_STATUS); }
static void aParkedProcessTidiesUp(void) { expect_end(tidy_up_parked, CHILD_STATUS); }
static void aParkedProcessDestroysItsContexts(void) { expect_end(destroy_parked, CHILD_STATUS); }
static void aHandlerMadeAfterCuInitDestroysItsContext(void) { expect_end(destroy_late, CHILD_STATUS); }
static void aHandlerMadeAfterCuInitReleasesEverything(void) { expect_end(release_late, CHILD_STATUS); }
static void aHandlerMadeAfterCuInitUsesMemory(void) { expect_end(work_late, CHILD_STATUS); }
static void aParkedProcessIsKilled(void) { expect_end(killed_parked, -SIGKILL); }

int main(void) {
    RUN(aParkedProcessExits);
    RUN(aParkedProcessLeavesAtOnce);
    RUN(aParkedProcessIsEndedByAnyThread);
    RUN(aProcessThatIsBeingParkedExits);
    RUN(aProcessThatParksAllTheTimeExits);
    RUN_SIMULATED(aParkedProcessTidiesUp, "a real driver may be gone by then");
    RUN_SIMULATED(aParkedProcessDestroysItsContexts, "a real driver may be gone by then");
    RUN(aHandlerMadeAfterCuInitDestroysItsContext);
    RUN(aHandlerMadeAfterCuInitReleasesEverything);
    RUN(aHandlerMadeAfterCuInitUsesMemory);
    RUN(aParkedProcessIsKilled);
    return summary();
}
