/* Only of the simulator: the grammar of TORPOR_SIM_FAULTS, and what its entries do. */
#include "harness.h"
#include "../simulator/faults.h"
#include "../simulator/names.h"

#include <signal.h>

static const char *known(const char *asked) {
    static const char *const names[] = {"cuInit", "cuMemAlloc_v2", "cuCheckpointProcessRestore"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (is_name(names[i], asked)) return names[i];
    return NULL;
}

static struct fault next_of(const char *name) {
    struct fault fault = {.code = -1, .state = -1};
    fault_next(name, &fault);
    return fault;
}

static void everyActionIsUnderstood(void) {
    EXPECT(faults_load("cuInit=delay:20,2; cuMemAlloc_v2=after,CUDA_ERROR_OUT_OF_MEMORY,state:17 ;;cuCheckpointProcessRestore=slow:500,die", 0, known));
    struct fault f = next_of("cuInit");
    EXPECT(f.delay_ms == 20 && f.code == 2 && f.state == -1 && !f.after && !f.die && !f.hang && !f.slow);
    f = next_of("cuMemAlloc_v2");
    EXPECT(f.code == 2 && f.after && f.state == 17);
    f = next_of("cuCheckpointProcessRestore");
    EXPECT(f.slow == 500 && f.die && f.code == -1);
    EXPECT(faults_load("cuInit#2=hang", 0, known));
}

static void callsAreCountedFromOne(void) {
    static const int expected[] = {-1, 11, 12, 12, 12, -1, 17, 17};
    EXPECT(faults_load("cuInit#2=11;cuInit#3-5=12;cuInit#7-=17", 0, known));
    for (int i = 0; i < 8; i++) EXPECT_IS(expected[i], next_of("cuInit").code);
    EXPECT_IS(-1, next_of("cuMemAlloc_v2").code);
}

static void theFirstEntryThatAppliesWins(void) {
    EXPECT(faults_load("cuInit#2=11;cuInit=12", 0, known));
    EXPECT_IS(12, next_of("cuInit").code);
    EXPECT_IS(11, next_of("cuInit").code);
}

static void namesMayLackTheirVersion(void) {
    EXPECT(faults_load("cuMemAlloc=2", 0, known));
    EXPECT_IS(2, next_of("cuMemAlloc_v2").code);
}

static void entriesForNvmlAreNotForTheDriver(void) {
    EXPECT(faults_load("nvmlNonsense=what;cuInit=2", 0, known));
    EXPECT_IS(2, next_of("cuInit").code);
    EXPECT(faults_load("cuNonsense=what", 1, known));
}

static void malformedEntriesAreRefused(void) {
    static const char *const wrong[] = {
        "cuInit", "cuInit=", "=2", "cuInit#=2", "cuInit#0=2", "cuInit#x=2", "cuInit#5-3=2", "cuInit#1-2-3=2", "cuInit=2,", "cuInit=,2",
        "cuInit=OUT_OF_MEMORY_", "cuInit=-1", "cuInit=2x", "cuInit=delay", "cuInit=delay:", "cuInit=delay:1s", "cuInit=state:-1",
        "cuInit=slow:0", "cuInit=slow:5", "cuInit=after", "cuInit=9999999999", "cuNoSuch=2", "memAlloc=2", "cuInit 2", "cuInit=2;cuInit=?",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int said = capture_errors();
        int taken = faults_load(wrong[i], 0, known);
        char *text = captured_errors(said);
        if (taken || !strstr(text, "SIMULATED GPU: TORPOR_SIM_FAULTS: \"") || strchr(text, '\n') != text + strlen(text) - 1)
            fail_at(__FILE__, __LINE__, "%s: %s", wrong[i], text);
        free(text);
    }
}

static void withFaults(const char *faults) {
    setenv("TORPOR_SIM_FAULTS", faults, 1);
    load_driver();
}

static void aCallFailsWhenItIsToldTo(void) {
    CUdeviceptr d;
    size_t before, after, total;
    withFaults("cuMemAlloc#2=CUDA_ERROR_OUT_OF_MEMORY;cuMemFree#1=after,999;cuCtxSynchronize=719");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 2 << 20));
    OK(cu.cuMemGetInfo_v2(&before, &total));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAlloc_v2(&d, 2 << 20));
    EXPECT_IS(CUDA_ERROR_UNKNOWN, cu.cuMemFree_v2(d)); /* but it is freed */
    OK(cu.cuMemGetInfo_v2(&after, &total));
    EXPECT_IS(2 << 20, after - before);
    EXPECT_IS(CUDA_ERROR_LAUNCH_FAILED, cu.cuCtxSynchronize());
}

static void pinnedAllocationsFailWhenTheyAreToldTo(void) {
    void *pinned = NULL;
    withFaults("cuMemHostAlloc#2=2;cuMemAllocHost=2");
    use_device(0);
    OK(cu.cuMemHostAlloc(&pinned, 4096, 0));
    OK(cu.cuMemFreeHost(pinned));
    pinned = NULL;
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemHostAlloc(&pinned, 4096, 0));
    EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuMemAllocHost_v2(&pinned, 4096));
    EXPECT(!pinned);
}

static void aFaultIsForThePerThreadFormToo(void) {
    CUdeviceptr d;
    withFaults("cuMemcpyDtoH#2=719");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 16));
    OK(cu.cuMemcpyDtoH_v2((char[16]){0}, d, 16));
    EXPECT_IS(CUDA_ERROR_LAUNCH_FAILED, cu.cuMemcpyDtoH_v2_ptds((char[16]){0}, d, 16));
}

static void theControllersFaultsComeFirst(void) {
    const char *const environment[] = {"TORPOR_SIM_FAULTS=cuCheckpointProcessLock=delay:30,800", NULL};
    withFaults("cuCheckpointProcessLock#1=304");
    struct target t = start_target(environment, "2M", NULL, NULL);
    EXPECT_IS(CUDA_ERROR_OPERATING_SYSTEM, lock_within(t.pid, 100));
    double begun = now_ms();
    EXPECT_IS(CUDA_ERROR_NOT_PERMITTED, lock_within(t.pid, 100));
    EXPECT(now_ms() - begun >= 29);
    EXPECT_IS(CU_PROCESS_STATE_RUNNING, state_of(t.pid));
    OK(finish(&t));
}

static void aFailureMayHideThatTheWorkIsDone(void) {
    const char *const environment[] = {"TORPOR_SIM_FAULTS=cuCheckpointProcessCheckpoint=after,999", NULL};
    load_driver();
    struct target t = start_target(environment, "2M", NULL, NULL);
    OK(lock_within(t.pid, 1000));
    EXPECT_IS(CUDA_ERROR_UNKNOWN, cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void aStateCanBeReported(void) {
    const char *const environment[] = {"TORPOR_SIM_FAULTS=cuCheckpointProcessRestore=999,state:3", NULL};
    load_driver();
    struct target t = start_target(environment, "2M", NULL, NULL);
    suspend(t.pid);
    EXPECT_IS(CUDA_ERROR_UNKNOWN, cu.cuCheckpointProcessRestore(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_FAILED, state_of(t.pid));
    OK(finish(&t));
}

static void aHangingCallKeepsTheProcessFromBeingLocked(void) {
    const char *const environment[] = {"TORPOR_SIM_FAULTS=cuCtxSynchronize#2-=hang", NULL};
    load_driver();
    struct target t = start_target(environment, "2M", NULL, NULL);
    tell(&t, "sync");
    while (lock_within(t.pid, 50) == CUDA_SUCCESS) OK(cu.cuCheckpointProcessUnlock(t.pid, NULL)); /* it has not come to it */
    EXPECT_IS(CU_PROCESS_STATE_RUNNING, state_of(t.pid));
    kill(t.pid, SIGKILL);
    EXPECT_IS(-SIGKILL, reap(&t));
}

static void aTargetMayDieHalfWay(void) {
    static const char *const when[] = {"TORPOR_SIM_FAULTS=cuCheckpointProcessCheckpoint=die", "TORPOR_SIM_FAULTS=cuCheckpointProcessCheckpoint=after,die"};
    load_driver();
    for (int i = 0; i < 2; i++) {
        const char *const environment[] = {when[i], NULL};
        struct target t = start_target(environment, "8M", NULL, NULL);
        OK(lock_within(t.pid, 1000));
        EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuCheckpointProcessCheckpoint(t.pid, NULL)); /* a zombie now */
        EXPECT_IS(-SIGKILL, reap(&t));
        EXPECT_IS(CUDA_ERROR_OPERATING_SYSTEM, cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
    }
}

int main(void) {
    RUN(everyActionIsUnderstood);
    RUN(callsAreCountedFromOne);
    RUN(theFirstEntryThatAppliesWins);
    RUN(namesMayLackTheirVersion);
    RUN(entriesForNvmlAreNotForTheDriver);
    RUN(malformedEntriesAreRefused);
    RUN(aCallFailsWhenItIsToldTo);
    RUN(pinnedAllocationsFailWhenTheyAreToldTo);
    RUN(aFaultIsForThePerThreadFormToo);
    RUN(theControllersFaultsComeFirst);
    RUN(aFailureMayHideThatTheWorkIsDone);
    RUN(aStateCanBeReported);
    RUN(aHangingCallKeepsTheProcessFromBeingLocked);
    RUN(aTargetMayDieHalfWay);
    return summary();
}
