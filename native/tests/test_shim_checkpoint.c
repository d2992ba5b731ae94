/* The driver's checkpoints of programs with the shim: what becomes of their memory, and of the buffer that it goes to. */
#include "mapping.h"
#include "shim.h"
#include "outcome.h"

#include <sys/resource.h>

static const char *const *no_settings = (const char *const[]){NULL};
#define ENVIRONMENT(...) (const char *const[]){__VA_ARGS__, NULL}

static void round_trip(struct target *t) {
    suspend(t->pid);
    resume(t->pid);
    EXPECT(answered_ok(t, "check"));
}

/* The words that the shim says at the end of a target, between this and told(). */
static int errors;
static struct target start_told(const char *const *environment, const char *memory) {
    load_driver(); /* the settings that follow are the target's alone */
    setenv("TORPOR_LOG", "info", 1);
    setenv("TORPOR_COPY", "0", 1); /* nothing else to tell */
    errors = capture_errors();
    return start_target(environment, memory, NULL, NULL);
}

static unsigned long long told(const char *text, const char *name) {
    char word[64];
    snprintf(word, sizeof word, " %s=", name);
    const char *at = strstr(text, word);
    if (!at) fail_at(__FILE__, __LINE__, "no %s in: %s", name, text);
    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static char *finish_told(struct target *t) {
    OK(finish(t));
    return captured_errors(errors);
}

static void expect_contents(const char *const *environment, unsigned taken, unsigned kept, int together) {
    struct target t = start_told(environment, "40M");
    round_trip(&t);
    EXPECT(answered_ok(&t, "fill 7"));
    round_trip(&t);
    char *text = finish_told(&t);
    EXPECT_IS(taken, told(text, "buffer"));
    EXPECT_IS(kept, told(text, "buffer_kept"));
    EXPECT((taken + kept) * 40ULL * MB <= told(text, "buffer_bytes") + told(text, "buffer_kept_bytes"));
    EXPECT(told(text, "buffer_copies_bytes") >= (together ? 4 * 40ULL * MB : 0)); /* two down, two up */
    EXPECT(together || !told(text, "buffer_copies"));
    free(text);
}

static void contentsSurviveInHugePages(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_THREADS=4"), 2, 0, 1); }
static void contentsSurviveInABufferThatIsKept(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_THREADS=4", "TORPOR_BUFFER_KEEP=16G"), 1, 1, 1); }
static void contentsSurviveInTheDriversOwnMapping(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_HUGE=0", "TORPOR_BUFFER_KEEP=0"), 0, 0, 0); }
static void contentsSurviveWithOneThread(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_THREADS=1"), 2, 0, 0); }
static void contentsSurviveWithManyThreads(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_THREADS=64"), 2, 0, 1); }

static void aSuspendedTargetIsInHugePages(void) {
    if (skipped(no_huge_pages(), "this kernel gives no huge pages") || skipped(sanitized(), "its own memory is larger")) return;
    load_driver();
    struct target t = start_target(no_settings, "256M", NULL, NULL);
    suspend(t.pid);
    struct mapping buffer = mapping_of(t.pid, NULL);
    EXPECT(buffer.resident >= 256 * 1024);
    EXPECT(buffer.huge >= 128 * 1024);
    EXPECT_IS(0, buffer.start % HUGE);
    resume(t.pid);
    EXPECT(mapping_of(t.pid, NULL).resident < 200 * 1024);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void aKeptBufferGrowsAndIsUsedForLess(void) {
    struct target t = start_told(ENVIRONMENT("TORPOR_BUFFER_KEEP=16G"), "40M");
    round_trip(&t);
    EXPECT(answered_ok(&t, "alloc 64M"));
    round_trip(&t);
    EXPECT(answered_ok(&t, "free"));
    round_trip(&t);
    EXPECT(answered_ok(&t, "alloc 200M"));
    round_trip(&t);
    char *text = finish_told(&t);
    EXPECT_IS(1, told(text, "buffer"));
    EXPECT_IS(3, told(text, "buffer_kept"));
    free(text);
}

static void aBufferAboveTheLimitIsNotKept(void) {
    struct target t = start_told(ENVIRONMENT("TORPOR_BUFFER_KEEP=8M"), "40M");
    round_trip(&t);
    round_trip(&t);
    char *text = finish_told(&t);
    EXPECT_IS(2, told(text, "buffer"));
    EXPECT_IS(0, told(text, "buffer_kept"));
    free(text);
}

static void manyCheckpointsLeaveNothingBehind(void) {
    if (skipped(sanitized(), "their own memory comes and goes")) return;
    load_driver();
    struct target t = start_target(no_settings, "40M", NULL, NULL);
    round_trip(&t);
    long mapped = kib_of(t.pid, "VmSize:"), resident = kib_of(t.pid, "RssAnon:"), threads = kib_of(t.pid, "Threads:");
    for (int i = 0; i < 10; i++) round_trip(&t);
    EXPECT(labs(kib_of(t.pid, "VmSize:") - mapped) < 30 * 1024);
    EXPECT(kib_of(t.pid, "RssAnon:") - resident < 30 * 1024);
    for (int i = 0; i < 500 && kib_of(t.pid, "Threads:") > threads; i++) sleep_ms(10);
    EXPECT(kib_of(t.pid, "Threads:") <= threads);
    OK(finish(&t));
}

static void limit_of(int pid, rlim_t bytes) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    OK(prlimit(pid, RLIMIT_AS, &limit, NULL));
}

static void withoutMemoryTheDriverRefusesAndTheTargetRunsOn(void) {
    if (skipped(sanitized() || real_driver(), "neither sanitizers nor a real driver stand a limit of memory")) return;
    load_driver();
    struct target t = start_target(ENVIRONMENT("TORPOR_BUFFER_KEEP=1G"), "40M", NULL, NULL);
    for (int kept = 0; kept < 2; kept++) {
        limit_of(t.pid, (rlim_t)kib_of(t.pid, "VmSize:") * 1024 + 16 * MB);
        OK(lock_within(t.pid, 1000));
        EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
        EXPECT_IS(CU_PROCESS_STATE_LOCKED, state_of(t.pid));
        OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
        EXPECT(answered_ok(&t, "check"));
        limit_of(t.pid, RLIM_INFINITY);
        round_trip(&t);
        EXPECT(answered_ok(&t, "alloc 200M")); /* more than is kept */
    }
    OK(finish(&t));
}

static void aRestoreThatFailsLeavesTheBufferForTheNext(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    load_driver();
    struct target t = start_target(ENVIRONMENT("TORPOR_SIM_FAULTS=cuCheckpointProcessRestore#1=999;cuCheckpointProcessRestore#3=after,999", "TORPOR_BUFFER_KEEP=1G"), "40M", NULL, NULL);
    suspend(t.pid);
    EXPECT_IS(999, cu.cuCheckpointProcessRestore(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    suspend(t.pid);
    EXPECT_IS(999, cu.cuCheckpointProcessRestore(t.pid, NULL));
    OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
    EXPECT(answered_ok(&t, "check"));
    round_trip(&t);
    OK(finish(&t));
}

/* A program that copies while it is suspended. */

struct copying { int tell; };

static void copy_until_told(void *argument) {
    struct copying *copying = argument;
    size_t bytes = 16 * MB;
    CUdeviceptr device;
    char *out = malloc(bytes), *in = malloc(bytes), end;
    engine_at_once("2");
    setenv("TORPOR_COPY_IDLE_MS", "20", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&device, bytes));
    fcntl(copying->tell, F_SETFL, O_NONBLOCK);
    for (unsigned round = 0; read(copying->tell, &end, 1) < 0; round++) {
        for (size_t i = 0; i < bytes; i += 64) memcpy(out + i, &(size_t){i * 31 + round}, sizeof i);
        memset(in, 0, bytes);
        OK(cu.cuMemcpyHtoD_v2(device, out, bytes));
        OK(cu.cuMemcpyDtoH_v2(in, device, bytes));
        for (size_t i = 0; i < bytes; i += 64) EXPECT(!memcmp(in + i, out + i, sizeof i));
    }
    EXPECT(statistic("to_device") > 0 && statistic("to_host") > 0);
}

static void aProgramIsSuspendedInTheMiddleOfItsCopies(void) {
    int tell[2], rounds = sanitized() ? 5 : 12;
    if (pipe2(tell, O_CLOEXEC)) abort();
    struct copying copying = {tell[0]};
    int pid = start_child(copy_until_told, &copying);
    load_driver();
    for (int i = 0; i < 200 && (int)state_of(pid) != CU_PROCESS_STATE_RUNNING; i++) sleep_ms(20);
    sleep_ms(200);
    for (int i = 0; i < rounds; i++) {
        sleep_ms(17 * (i % 5));
        OK(lock_within(pid, 10000));
        OK(cu.cuCheckpointProcessCheckpoint(pid, NULL));
        sleep_ms(i % 3 * 25); /* longer than the engine keeps its buffers */
        resume(pid);
    }
    if (write(tell[1], "", 1) != 1) abort();
    OK(wait_child(pid));
}

int main(void) {
    RUN(contentsSurviveInHugePages);
    RUN(contentsSurviveInABufferThatIsKept);
    RUN(contentsSurviveInTheDriversOwnMapping);
    RUN(contentsSurviveWithOneThread);
    RUN(contentsSurviveWithManyThreads);
    RUN(aSuspendedTargetIsInHugePages);
    RUN(aKeptBufferGrowsAndIsUsedForLess);
    RUN(aBufferAboveTheLimitIsNotKept);
    RUN(manyCheckpointsLeaveNothingBehind);
    RUN(withoutMemoryTheDriverRefusesAndTheTargetRunsOn);
    RUN(aRestoreThatFailsLeavesTheBufferForTheNext);
    RUN(aProgramIsSuspendedInTheMiddleOfItsCopies);
    return summary();
}
