#include "harness.h"

#include <sys/wait.h>

enum { LOCK, CHECKPOINT, RESTORE, UNLOCK };

static CUresult call(int which, int pid) {
    switch (which) {
    case LOCK: return lock_within(pid, 2000);
    case CHECKPOINT: return cu.cuCheckpointProcessCheckpoint(pid, NULL);
    case RESTORE: return cu.cuCheckpointProcessRestore(pid, NULL);
    default: return cu.cuCheckpointProcessUnlock(pid, NULL);
    }
}

static void onlyTheNextTransitionIsLegal(void) {
    static const int next[] = {CU_PROCESS_STATE_LOCKED, CU_PROCESS_STATE_CHECKPOINTED, CU_PROCESS_STATE_LOCKED, CU_PROCESS_STATE_RUNNING};
    static const int legal[][4] = {{1, 0, 0, 0}, {0, 1, 0, 1}, {0, 0, 1, 0}};
    load_driver();
    struct target t = start_target(NULL, "3M", NULL, NULL);
    int state = CU_PROCESS_STATE_RUNNING;
    for (int wanted = LOCK; wanted <= UNLOCK; wanted++) {
        for (int which = LOCK; which <= UNLOCK; which++)
            if (!legal[state][which]) EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, call(which, t.pid));
        EXPECT_IS(state, state_of(t.pid));
        OK(call(wanted, t.pid));
        state = next[wanted];
        EXPECT_IS(state, state_of(t.pid));
    }
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void contentsSurvive(void) {
    load_driver();
    struct target t = start_target(NULL, "40M", NULL, NULL);
    for (int round = 0; round < 2; round++) {
        EXPECT(answered_ok(&t, round ? "fill 7" : "check"));
        suspend(t.pid);
        resume(t.pid);
        EXPECT(answered_ok(&t, "check"));
    }
    OK(finish(&t));
}

static void strangePidsAreAnswered(void) {
    int tid = -1;
    CUprocessState state;
    load_driver();
    EXPECT_IS(CUDA_ERROR_OPERATING_SYSTEM, cu.cuCheckpointProcessGetState(0, &state));
    EXPECT_IS(CUDA_ERROR_OPERATING_SYSTEM, cu.cuCheckpointProcessGetState(-1, &state));
    EXPECT_IS(CUDA_ERROR_OPERATING_SYSTEM, cu.cuCheckpointProcessLock(99999999, NULL));
    EXPECT_IS(CUDA_ERROR_OPERATING_SYSTEM, cu.cuCheckpointProcessGetRestoreThreadId(99999999, &tid));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuCheckpointProcessGetState(getppid(), &state));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuCheckpointProcessGetRestoreThreadId(getppid(), &tid));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuCheckpointProcessGetState(getppid(), NULL));
    OK(cu.cuInit(0));
    OK(cu.cuCheckpointProcessGetState(getpid(), &state));
    EXPECT_IS(CU_PROCESS_STATE_RUNNING, state);
}

static void anyThreadNamesTheProcess(void) {
    int tid = -1;
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    OK(cu.cuCheckpointProcessGetRestoreThreadId(t.pid, &tid));
    EXPECT(tid > 0 && tid != t.pid);
    EXPECT_IS(CU_PROCESS_STATE_RUNNING, state_of(tid));
    OK(lock_within(tid, 1000));
    EXPECT_IS(CU_PROCESS_STATE_LOCKED, state_of(t.pid));
    OK(cu.cuCheckpointProcessUnlock(tid, NULL));
    OK(finish(&t));
}

static void aZombieHasNoDriver(void) {
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    siginfo_t info;
    tell(&t, "quit");
    waitid(P_PID, (id_t)t.pid, &info, WEXITED | WNOWAIT);
    EXPECT_IS(-CUDA_ERROR_NOT_INITIALIZED, (int)state_of(t.pid));
    OK(reap(&t));
}

static void reservedFieldsMustBeZero(void) {
    CUcheckpointLockArgs lock = {.timeoutMs = 100, .reserved0 = 1};
    CUcheckpointCheckpointArgs checkpoint = {{0, 0, 1}};
    CUcheckpointRestoreArgs restore = {.reserved1 = 1};
    CUcheckpointUnlockArgs unlock = {{0, 0, 0, 0, 0, 0, 0, 1}};
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuCheckpointProcessLock(t.pid, &lock));
    EXPECT_IS(CU_PROCESS_STATE_RUNNING, state_of(t.pid));
    OK(lock_within(t.pid, 1000));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuCheckpointProcessCheckpoint(t.pid, &checkpoint));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuCheckpointProcessRestore(t.pid, &restore));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuCheckpointProcessUnlock(t.pid, &unlock));
    EXPECT_IS(CU_PROCESS_STATE_LOCKED, state_of(t.pid));
    OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
    OK(finish(&t));
}

static void aLockThatTimesOutLeavesTheProcessRunning(void) {
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    EXPECT(answered_ok(&t, "spin 3000"));
    double begun = now_ms();
    EXPECT_IS(CUDA_ERROR_NOT_READY, lock_within(t.pid, 100));
    EXPECT(now_ms() - begun >= 99 && now_ms() - begun < 2500);
    EXPECT_IS(CU_PROCESS_STATE_RUNNING, state_of(t.pid));
    EXPECT(answered_ok(&t, "check"));
    OK(lock_within(t.pid, 20000));
    OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void callsWaitWhileLocked(void) {
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    expect_wait_while_locked(&t, "check");
    expect_wait_while_locked(&t, "alloc 1M");
    expect_wait_while_locked(&t, "spin 1");
    OK(lock_within(t.pid, 1000));
    EXPECT(answered_ok(&t, "info"));
    EXPECT(answered_ok(&t, "ping"));
    OK(cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
    EXPECT(!strcmp(ask(&t, "info"), "ERROR cuMemGetInfo_v2 304"));
    resume(t.pid);
    OK(finish(&t));
}

static void aBlockedThreadDoesNotPreventExit(void) {
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    OK(lock_within(t.pid, 1000));
    OK(finish(&t));
    struct target u = start_target(NULL, "2M", NULL, NULL);
    suspend(u.pid);
    OK(finish(&u));
}

static void aProcessWithoutContextCanBeCheckpointed(void) {
    load_driver();
    struct target t = start_target(NULL, "2M", "--no-context", NULL);
    suspend(t.pid);
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    resume(t.pid);
    EXPECT(answered_ok(&t, "ping"));
    OK(finish(&t));
}

struct registration { int ready[2], go[2]; };

static void register_host_memory(void *argument) {
    enum { BYTES = 4 << 20 };
    struct registration *pipes = argument;
    char word = 'r', *host = aligned_alloc(1 << 16, BYTES), back = 0;
    CUdeviceptr d = 0;
    use_device(0);
    memset(host, 42, BYTES);
    OK(cu.cuMemHostRegister_v2(host, BYTES, 0));
    OK(cu.cuMemAlloc_v2(&d, BYTES));
    OK(cu.cuMemcpyHtoD_v2(d, host, BYTES));
    EXPECT(write(pipes->ready[1], &word, 1) == 1);
    EXPECT(read(pipes->go[0], &word, 1) == 1);
    OK(cu.cuMemHostUnregister(host));
    OK(cu.cuMemcpyDtoH_v2(&back, d + BYTES - 1, 1));
    EXPECT_IS(42, back);
    free(host);
}

static void hostMemoryRegisteredBeforeIsUnregisteredAfterwards(void) {
    struct registration pipes;
    char word = 'g';
    OK(pipe(pipes.ready));
    OK(pipe(pipes.go));
    int pid = start_child(register_host_memory, &pipes);
    EXPECT(read(pipes.ready[0], &word, 1) == 1);
    load_driver();
    suspend(pid);
    resume(pid);
    EXPECT(write(pipes.go[1], &word, 1) == 1);
    OK(wait_child(pid));
}

int main(void) {
    RUN(hostMemoryRegisteredBeforeIsUnregisteredAfterwards);
    RUN(onlyTheNextTransitionIsLegal);
    RUN(contentsSurvive);
    RUN(strangePidsAreAnswered);
    RUN(anyThreadNamesTheProcess);
    RUN(aZombieHasNoDriver);
    RUN(reservedFieldsMustBeZero);
    RUN(aLockThatTimesOutLeavesTheProcessRunning);
    RUN(callsWaitWhileLocked);
    RUN(aBlockedThreadDoesNotPreventExit);
    RUN(aProcessWithoutContextCanBeCheckpointed);
    return summary();
}
