/* Only of the simulator: whoever dies, and whenever, the others go on and his memory comes back. */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static size_t free_memory(void) {
    size_t available = 0, total;
    OK(cu.cuMemGetInfo_v2(&available, &total));
    return available;
}

static int begun[2]; /* a pipe that tells when a controller makes its call */
static void a_controller_checkpoints(void *pid) { if (write(begun[1], "", 1) == 1) cu.cuCheckpointProcessCheckpoint(*(int *)pid, NULL); }
static void a_controller_locks(void *pid) { if (write(begun[1], "", 1) == 1) cu.cuCheckpointProcessLock(*(int *)pid, NULL); }

static void kill_after(int pid, int milliseconds) {
    sleep_ms(milliseconds);
    kill(pid, SIGKILL);
    EXPECT_IS(-SIGKILL, wait_child(pid));
}

static void kill_amid(void (*controller)(void *), int *pid) {
    char byte;
    if (pipe(begun)) abort();
    int child = start_child(controller, pid);
    EXPECT_IS(1, read(begun[0], &byte, 1));
    kill_after(child, 300);
}

static void aKilledTargetGivesItsMemoryBack(void) {
    fresh_machine(1, "64M");
    use_device(0);
    size_t before = free_memory();
    for (int round = 0; round < 4; round++) { /* more than fits at once */
        struct target t = start_target(NULL, "40M", NULL, NULL);
        if (round == 1) OK(lock_within(t.pid, 1000));
        if (round >= 2) suspend(t.pid);
        if (round == 3) OK(cu.cuCheckpointProcessRestore(t.pid, NULL));
        kill(t.pid, SIGKILL);
        EXPECT_IS(-SIGKILL, reap(&t));
        EXPECT_IS(before, free_memory());
        EXPECT_IS(-CUDA_ERROR_OPERATING_SYSTEM, (int)state_of(t.pid));
    }
}

/* Each question would take a second if it waited for the process to get a slot, and the test has a limit. */
static void aProcessOfAnotherMachineIsNotWaitedFor(void) {
    enum { QUESTIONS = 600 };
    char elsewhere[4096];
    int tid;
    fresh_machine(1, "64M");
    load_driver();
    snprintf(elsewhere, sizeof elsewhere, "TORPOR_SIM_DIR=%s/elsewhere", getenv("TORPOR_SIM_DIR"));
    const char *environment[] = {elsewhere, NULL};
    struct target t = start_target(environment, "1M", NULL, NULL);
    for (int i = 0; i < QUESTIONS; i++)
        EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuCheckpointProcessGetRestoreThreadId(t.pid, &tid));
    EXPECT_IS(0, finish(&t));
}

static void moreProcessesComeAndGoThanThereIsRoomFor(void) {
    enum { ROUNDS = 300 };
    fresh_machine(1, "64M");
    load_driver();
    for (int i = 0; i < ROUNDS && !getenv("TORPOR_SANITIZED"); i++) {
        struct target t = start_target(NULL, "1M", "--no-context", NULL);
        kill(t.pid, SIGKILL);
        reap(&t);
    }
}

/* Allocates and frees without end, so that the kill often hits the accounting. */
static void churn(void *unused) {
    CUdeviceptr memory[8];
    (void)unused;
    use_device(0);
    for (;;) {
        for (int i = 0; i < 8; i++) OK(cu.cuMemAlloc_v2(&memory[i], 1 << 20));
        for (int i = 0; i < 8; i++) OK(cu.cuMemFree_v2(memory[i]));
    }
}

static void killsInTheMiddleOfAccountingWedgeNobody(void) {
    fresh_machine(1, "256M");
    for (int i = 0; i < 25; i++) {
        int one = start_child(churn, NULL), other = start_child(churn, NULL);
        kill_after(one, 4 + i % 7);
        kill_after(other, 1);
    }
    use_device(0);
    EXPECT_IS(256 - 8, free_memory() >> 20);
}

static void aControllerKilledDuringACheckpointLeavesItToTheTarget(void) {
    const char *const environment[] = {"TORPOR_SIM_FAULTS=cuCheckpointProcessCheckpoint#1=slow:5", NULL};
    load_driver();
    struct target t = start_target(environment, "8M", NULL, NULL);
    OK(lock_within(t.pid, 1000));
    kill_amid(a_controller_checkpoints, &t.pid);
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    suspend(t.pid);
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void aControllerKilledDuringALockLeavesTheTargetLocked(void) {
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    EXPECT(answered_ok(&t, "spin 3000"));
    kill_amid(a_controller_locks, &t.pid);
    EXPECT_IS(CU_PROCESS_STATE_LOCKED, state_of(t.pid));
    OK(cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void a_controller_waits_for_its_death(void *pid) {
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuCheckpointProcessLock(*(int *)pid, NULL)); /* a zombie until its parent looks */
}

static void aTargetKilledUnderItsControllersFreesThem(void) {
    int controllers[3];
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    EXPECT(answered_ok(&t, "spin 20000"));
    for (int i = 0; i < 3; i++) controllers[i] = start_child(a_controller_waits_for_its_death, &t.pid);
    sleep_ms(100);
    kill(t.pid, SIGKILL);
    for (int i = 0; i < 3; i++) OK(wait_child(controllers[i]));
    EXPECT_IS(-SIGKILL, reap(&t));
}

static void ask_often(void *pid) {
    for (int i = 0; i < 200; i++) {
        int state = (int)state_of(*(int *)pid);
        EXPECT(state >= CU_PROCESS_STATE_RUNNING && state <= CU_PROCESS_STATE_CHECKPOINTED);
    }
}

static void manyControllersMayAskAtOnce(void) {
    int controllers[4];
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    for (int i = 0; i < 4; i++) controllers[i] = start_child(ask_often, &t.pid);
    for (int i = 0; i < 5; i++) {
        suspend(t.pid);
        resume(t.pid);
    }
    for (int i = 0; i < 4; i++) OK(wait_child(controllers[i]));
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void become_another(void *input) {
    use_device(0);
    dup2(*(int *)input, 0);
    execlp("cat", "cat", (char *)NULL);
}

static void aProcessHasNoDriverAfterExec(void) {
    int input[2], before_exec[2];
    char nothing;
    load_driver();
    if (pipe2(input, O_CLOEXEC) || pipe2(before_exec, O_CLOEXEC)) abort();
    int pid = start_child(become_another, &input[0]);
    close(before_exec[1]);
    OK(read(before_exec[0], &nothing, 1)); /* ends when exec closes the child's end */
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuCheckpointProcessLock(pid, NULL));
    close(input[1]);
    OK(wait_child(pid));
}

int main(void) {
    RUN(aKilledTargetGivesItsMemoryBack);
    RUN(aProcessOfAnotherMachineIsNotWaitedFor);
    RUN(moreProcessesComeAndGoThanThereIsRoomFor);
    RUN(killsInTheMiddleOfAccountingWedgeNobody);
    RUN(aControllerKilledDuringACheckpointLeavesItToTheTarget);
    RUN(aControllerKilledDuringALockLeavesTheTargetLocked);
    RUN(aTargetKilledUnderItsControllersFreesThem);
    RUN(manyControllersMayAskAtOnce);
    RUN(aProcessHasNoDriverAfterExec);
    return summary();
}
