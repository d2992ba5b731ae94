/* A process that copies forks, becomes another program, and ends. */
#include "engine.h"
#include "outcome.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CHILD_STATUS = 7 };

/* A thread that copies until it is told to stop, or until the process ends. */
static struct { CUcontext context; _Atomic int rounds, stop; pthread_t thread; } copier;

static void *copy_on(void *unused) {
    (void)unused;
    CUdeviceptr device = 0;
    char *out = pattern_of(BYTES, 1), *in = malloc(BYTES);
    OK(cu.cuCtxSetCurrent(copier.context));
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    while (!atomic_load(&copier.stop)) {
        CUresult up = cu.cuMemcpyHtoD_v2(device, out, BYTES), down = cu.cuMemcpyDtoH_v2(in, device, BYTES);
        if (atomic_load(&copier.stop)) break; /* the driver may be gone */
        int good = !up && !down && !memcmp(in, out, BYTES);
        EXPECT(good);
        if (!good) break;
        memset(in, 0, BYTES);
        atomic_fetch_add(&copier.rounds, 1);
    }
    free(out);
    free(in);
    return NULL;
}

static void await_rounds(int more) {
    int wanted = atomic_load(&copier.rounds) + more;
    for (int i = 0; i < 2000 && atomic_load(&copier.rounds) < wanted; i++) sleep_ms(5);
    EXPECT(atomic_load(&copier.rounds) >= wanted);
}

static void start_copying(void) {
    copier.context = start_engine();
    pthread_create(&copier.thread, NULL, copy_on, NULL);
    await_rounds(2);
}

static void stop_copying(void) {
    atomic_store(&copier.stop, 1);
    pthread_join(copier.thread, NULL);
}

/* --- fork and exec --- */

static void end_as_child(int status) {
    if (sanitized()) _exit(status); /* the leak check is not made for a fork of many threads */
    exit(status);
}

static void use_no_driver(void) {
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuInit(0));
    if (real_driver()) return; /* what it answers to the rest is its own affair */
    char *memory = calloc(1, BYTES);
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuMemcpyHtoD_v2(4096, memory, BYTES));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuMemcpyDtoH_v2(memory, 4096, BYTES));
    free(memory);
}

static void fork_while_copying(void *how) {
    start_copying();
    for (int i = 0; i < 6; i++) {
        fflush(stdout);
        int pid = fork();
        if (!pid) {
            if (how) execlp("sh", "sh", "-c", how, (char *)NULL);
            use_no_driver();
            fflush(stdout);
            end_as_child(CHILD_STATUS);
        }
        EXPECT_IS(CHILD_STATUS, wait_child(pid));
        await_rounds(1);
    }
    stop_copying();
}

static void aChildForkedDuringACopyHasNoDriverAndDisturbsNobody(void) { EXPECT_QUIET(0, outcome_of(fork_while_copying, NULL)); }

static void aChildForkedDuringACopyMayBecomeAnotherProgram(void) { EXPECT_QUIET(0, outcome_of(fork_while_copying, "exit 7")); }

static void start_a_program(void *unused) {
    (void)unused;
    start_copying();
    for (int i = 0; i < 4; i++) EXPECT_IS(CHILD_STATUS << 8, system("exit 7"));
    await_rounds(1);
    stop_copying();
}

static void programsAreStartedDuringACopy(void) { EXPECT_QUIET(0, outcome_of(start_a_program, NULL)); }

static void copy_in_a_child(void *unused) {
    (void)unused;
    start_engine();
    copy_once(3);
    EXPECT_IS(1, statistic("to_device"));
    fflush(stdout);
}

static void childrenOfAProcessWithoutCudaHaveAnEngineEach(void) {
    int children[3];
    for (int i = 0; i < 3; i++) children[i] = start_child(copy_in_a_child, NULL);
    for (int i = 0; i < 3; i++) OK(wait_child(children[i]));
    copy_in_a_child(NULL);
}

static void aChildOfAProcessThatOnlyLoadedTheDriverHasAnEngine(void) {
    engine_at_once("2");
    load_driver();
    OK(wait_child(start_child(copy_in_a_child, NULL)));
}

/* --- ends --- */

static void exit_while_copying(void *unused) {
    (void)unused;
    start_copying();
    atomic_store(&copier.stop, 1);
    exit(CHILD_STATUS);
}

static void *exit_soon(void *unused) {
    (void)unused;
    await_rounds(2);
    atomic_store(&copier.stop, 1);
    exit(CHILD_STATUS);
}

static void exit_from_a_thread(void *unused) {
    pthread_t thread;
    copier.context = start_engine();
    pthread_create(&thread, NULL, exit_soon, NULL);
    copy_on(unused);
    for (;;) pause();
}

static void leave_while_copying(void *unused) {
    (void)unused;
    start_copying();
    _exit(CHILD_STATUS);
}

static void exec_while_copying(void *unused) {
    (void)unused;
    start_copying();
    execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
}

static void *exec_soon(void *unused) {
    await_rounds(2);
    execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
    return unused;
}

static void exec_from_a_thread(void *unused) {
    pthread_t thread;
    copier.context = start_engine();
    pthread_create(&thread, NULL, exec_soon, NULL);
    copy_on(unused);
}

static void return_after_a_copy(void *unused) {
    (void)unused;
    CUdeviceptr device;
    static char memory[BYTES];
    start_engine();
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    OK(cu.cuMemcpyHtoDAsync_v2(device, memory, BYTES, NULL));
    exit(CHILD_STATUS);
}

/* Several times, as they end at different points of a copy. */
static void expect_end(void (*program)(void *)) {
    for (int i = 0; i < (sanitized() ? 2 : 4); i++) {
        double begun = now_ms();
        EXPECT_QUIET(CHILD_STATUS, outcome_of(program, NULL));
        EXPECT(now_ms() - begun < 20000);
    }
}

static void exitDuringAnotherThreadsCopyEndsTheProcess(void) { expect_end(exit_while_copying); }
static void exitFromAThreadWhileMainCopiesEndsTheProcess(void) { expect_end(exit_from_a_thread); }
static void leavingAtOnceDuringACopyEndsTheProcess(void) { expect_end(leave_while_copying); }
static void execDuringACopyGivesWayToTheOtherProgram(void) { expect_end(exec_while_copying); }
static void execFromAThreadWhileMainCopiesGivesWay(void) { expect_end(exec_from_a_thread); }
static void returningRightAfterAnAsynchronousCopyEndsTheProcess(void) { expect_end(return_after_a_copy); }

static void copy_until_killed(void *unused) {
    copier.context = start_engine();
    copy_on(unused);
}

static void copy_often(void *unused) {
    (void)unused;
    start_engine();
    for (unsigned i = 0; i < (sanitized() ? 5 : 30); i++) copy_once(i);
}

static void aKillInTheMiddleOfACopyDisturbsNobodyElse(void) {
    size_t available, total;
    if (skipped(real_driver(), "nobody is killed in the middle of a real driver")) return;
    fresh_machine(1, "256M");
    int witness = start_child(copy_often, NULL);
    for (int i = 0; i < 8; i++) {
        int pid = start_child(copy_until_killed, NULL);
        sleep_ms(60 + 17 * i);
        kill(pid, SIGKILL);
        EXPECT_IS(-SIGKILL, wait_child(pid));
    }
    OK(wait_child(witness));
    start_engine();
    OK(cu.cuMemGetInfo_v2(&available, &total));
    EXPECT_IS(256 - 8, available / MB);
    copy_once(1);
}

static pthread_t copiers[3];

static void join_copiers(void) {
    atomic_store(&copier.stop, 1);
    for (int i = 0; i < 3; i++) pthread_join(copiers[i], NULL);
}

/* The handler comes after the engine's own, as it was there before. */
static void join_at_the_end(void *unused) {
    (void)unused;
    atexit(join_copiers);
    copier.context = start_engine();
    for (int i = 0; i < 3; i++) pthread_create(&copiers[i], NULL, copy_on, NULL);
    await_rounds(4);
    exit(CHILD_STATUS);
}

static void threadsThatCopyCanBeWaitedForAtTheEnd(void) {
    if (skipped(real_driver(), "a real driver may be gone by then")) return;
    expect_end(join_at_the_end);
}

/* What is left to do at the very end, when all exit handlers have run, as for static objects of C++. */
static struct { int wanted; CUcontext own; CUdeviceptr device; char *out, *in; } late;

static int good_or_gone(CUresult result) { return result == CUDA_SUCCESS || (real_driver() && result); }

static void copy_late(void) {
    EXPECT(good_or_gone(cu.cuMemcpyHtoD_v2(late.device, late.out, BYTES)));
    EXPECT(good_or_gone(cu.cuMemcpyDtoH_v2(late.in, late.device, BYTES)));
    EXPECT(real_driver() || !memcmp(late.in, late.out, BYTES));
}

static void finish_late(void) {
    if (!late.wanted) return;
    copy_late();
    EXPECT(good_or_gone(cu.cuMemFree_v2(late.device)));
    if (late.own) EXPECT(good_or_gone(cu.cuCtxDestroy_v2(late.own)));
    EXPECT(good_or_gone(cu.cuDevicePrimaryCtxRelease_v2(0)));
    late.wanted = 0;
}

static void __attribute__((destructor)) finish_last(void) { finish_late(); }

static void prepare_late(void) {
    late.out = pattern_of(BYTES, 5);
    late.in = calloc(1, BYTES);
    OK(cu.cuMemAlloc_v2(&late.device, BYTES));
    copy_late();
    memset(late.in, 0, BYTES);
    late.wanted = 1;
}

static void copy_after_the_end(void *unused) {
    (void)unused;
    start_engine();
    prepare_late();
    exit(CHILD_STATUS);
}

static void copy_after_the_end_in_another_context(void *unused) {
    (void)unused;
    start_engine();
    copy_once(1);
    OK(cu.cuCtxCreate_v2(&late.own, 0, 0));
    prepare_late();
    exit(CHILD_STATUS);
}

static void copy_in_a_handler(void *unused) {
    (void)unused;
    atexit(finish_late); /* before the engine's own, so that it runs after it */
    start_engine();
    prepare_late();
    exit(CHILD_STATUS);
}

static void destructorsStillCopyAndLetGo(void) { EXPECT_QUIET(CHILD_STATUS, outcome_of(copy_after_the_end, NULL)); }
static void destructorsDestroyTheirContexts(void) { EXPECT_QUIET(CHILD_STATUS, outcome_of(copy_after_the_end_in_another_context, NULL)); }
static void exitHandlersOfEarlierStillCopyAndLetGo(void) { EXPECT_QUIET(CHILD_STATUS, outcome_of(copy_in_a_handler, NULL)); }

int main(void) {
    RUN(aChildForkedDuringACopyHasNoDriverAndDisturbsNobody);
    RUN(aChildForkedDuringACopyMayBecomeAnotherProgram);
    RUN(programsAreStartedDuringACopy);
    RUN(childrenOfAProcessWithoutCudaHaveAnEngineEach);
    RUN(aChildOfAProcessThatOnlyLoadedTheDriverHasAnEngine);
    RUN(exitDuringAnotherThreadsCopyEndsTheProcess);
    RUN(exitFromAThreadWhileMainCopiesEndsTheProcess);
    RUN(leavingAtOnceDuringACopyEndsTheProcess);
    RUN(execDuringACopyGivesWayToTheOtherProgram);
    RUN(execFromAThreadWhileMainCopiesGivesWay);
    RUN(returningRightAfterAnAsynchronousCopyEndsTheProcess);
    RUN(aKillInTheMiddleOfACopyDisturbsNobodyElse);
    RUN(threadsThatCopyCanBeWaitedForAtTheEnd);
    RUN(destructorsStillCopyAndLetGo);
    RUN(destructorsDestroyTheirContexts);
    RUN(exitHandlersOfEarlierStillCopyAndLetGo);
    return summary();
}
