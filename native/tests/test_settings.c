/* Only of the simulator: what its environment asks for is done, or refused in a sentence. */
#include "harness.h"

static void refuses(const char *name, const char *value) {
    CUprocessState state;
    setenv(name, value, 1);
    load_driver();
    int capture = capture_errors();
    CUresult init = cu.cuInit(0), query = cu.cuCheckpointProcessGetState(getppid(), &state);
    char *said = captured_errors(capture);
    EXPECT_IS(CUDA_ERROR_SYSTEM_NOT_READY, init);
    EXPECT_IS(CUDA_ERROR_SYSTEM_NOT_READY, query);
    if (strncmp(said, "SIMULATED GPU: ", 15) || !strstr(said, name) || !strstr(said, value) || strchr(said, '\n') != said + strlen(said) - 1)
        fail_at(__FILE__, __LINE__, "it says: %s", said);
    free(said);
}

static void refuse_one(void *pair) { refuses(((const char *const *)pair)[0], ((const char *const *)pair)[1]); }

static void malformedSettingsStopTheSimulator(void) {
    static const char *const wrong[][2] = {
        {"TORPOR_SIM_DEVICES", "two"}, {"TORPOR_SIM_DEVICES", "17"}, {"TORPOR_SIM_DEVICES", "1K"}, {"TORPOR_SIM_DEVICES", "-1"},
        {"TORPOR_SIM_MEMORY", "1X"}, {"TORPOR_SIM_MEMORY", "16 G"}, {"TORPOR_SIM_MEMORY", "99999999999T"}, {"TORPOR_SIM_MEMORY", "1K"},
        {"TORPOR_SIM_CONTEXT", "8MB"}, {"TORPOR_SIM_DELAY_US", "1ms"}, {"TORPOR_SIM_MPS", "yes"}, {"TORPOR_SIM_MPS", "2"},
        {"TORPOR_SIM_STATE", "locked"}, {"TORPOR_SIM_FAULTS", "cuInit"}, {"TORPOR_SIM_FAULTS", "cuNoSuchFunction=2"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int status = wait_child(start_child(refuse_one, (void *)(uintptr_t)wrong[i]));
        if (status) fail_at(__FILE__, __LINE__, "%s=%s", wrong[i][0], wrong[i][1]);
    }
}

static void aMachineThatCannotBeHadIsReported(void) {
    setenv("TORPOR_SIM_DIR", "/proc/no/such/place", 1);
    load_driver();
    int capture = capture_errors();
    EXPECT_IS(CUDA_ERROR_SYSTEM_NOT_READY, cu.cuInit(0));
    char *said = captured_errors(capture);
    EXPECT(strstr(said, "TORPOR_SIM_DIR") && strstr(said, "/proc/no/such/place"));
    free(said);
}

static void memoryAndContextHaveTheirSizes(void) {
    size_t available, total;
    fresh_machine(1, "3G");
    setenv("TORPOR_SIM_CONTEXT", "100M", 1);
    use_device(0);
    OK(cu.cuMemGetInfo_v2(&available, &total));
    EXPECT_IS(3ULL << 30, total);
    EXPECT_IS(100 << 20, total - available);
}

static void emptyValuesAreNone(void) {
    setenv("TORPOR_SIM_DEVICES", "", 1);
    setenv("TORPOR_SIM_FAULTS", "", 1);
    use_device(0);
}

static void anMpsClientCannotBeLocked(void) {
    const char *const environment[] = {"TORPOR_SIM_MPS=1", NULL};
    int tid;
    load_driver();
    struct target t = start_target(environment, "2M", NULL, NULL);
    EXPECT_IS(CUDA_ERROR_NOT_SUPPORTED, lock_within(t.pid, 100));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuCheckpointProcessRestore(t.pid, NULL));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_STATE, cu.cuCheckpointProcessUnlock(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_RUNNING, state_of(t.pid));
    OK(cu.cuCheckpointProcessGetRestoreThreadId(t.pid, &tid));
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void noControlPipeIsNoMps(void) {
    const char *const environment[] = {"TORPOR_SIM_MPS=1", "CUDA_MPS_PIPE_DIRECTORY=/dev/null", NULL};
    load_driver();
    struct target t = start_target(environment, "2M", NULL, NULL);
    suspend(t.pid);
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void anyStateCanBeReported(void) {
    const char *const environment[] = {"TORPOR_SIM_STATE=17", NULL};
    load_driver();
    struct target t = start_target(environment, "2M", NULL, NULL);
    EXPECT_IS(17, state_of(t.pid));
    OK(finish(&t));
}

static void theAskersOwnSettingDecidesWhatItIsTold(void) {
    setenv("TORPOR_SIM_STATE", "5", 1);
    load_driver();
    struct target t = start_target(NULL, "2M", NULL, NULL);
    EXPECT_IS(5, state_of(t.pid));
    OK(finish(&t));
}

int main(void) {
    RUN(malformedSettingsStopTheSimulator);
    RUN(aMachineThatCannotBeHadIsReported);
    RUN(memoryAndContextHaveTheirSizes);
    RUN(emptyValuesAreNone);
    RUN(anMpsClientCannotBeLocked);
    RUN(noControlPipeIsNoMps);
    RUN(anyStateCanBeReported);
    RUN(theAskersOwnSettingDecidesWhatItIsTold);
    return summary();
}
