/* What the engine needs and does not get. */
#include "engine.h"
#include "outcome.h"

#include <pthread.h>
#include <sys/resource.h>

static void copy_without(void *fault) {
    if (fault) setenv("TORPOR_SIM_FAULTS", fault, 1);
    start_engine();
    for (unsigned i = 0; i < 4; i++) copy_once(i);
    EXPECT_IS(0, statistic("to_device"));
    EXPECT_IS(8, statistic("passed_aside"));
}

/* The copies are the driver's, and that is said once. */
static void expect_left_to_the_driver(void (*program)(void *), void *argument) {
    struct outcome o = outcome_of(program, argument);
    EXPECT_IS(0, o.status);
    EXPECT_IS(1, line_count(o.errors));
    if (*o.out || strncmp(o.errors, "torpor: copies are left to the driver: ", 39)) fail_at(__FILE__, __LINE__, "it says: %s%s", o.out, o.errors);
    outcome_free(&o);
}

static void refusedPinnedMemoryLeavesTheCopiesToTheDriver(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    expect_left_to_the_driver(copy_without, "cuMemHostAlloc=2");
}

static void refusedStreamsLeaveTheCopiesToTheDriver(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    expect_left_to_the_driver(copy_without, "cuStreamCreate=2");
    expect_left_to_the_driver(copy_without, "cuStreamCreate#2=2"); /* one is there already */
}

static void refusedEventsLeaveTheCopiesToTheDriver(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    expect_left_to_the_driver(copy_without, "cuEventCreate#4=2"); /* the first is the copy's own */
}

/* Every thread asks for a stack that nobody has. */
static void copy_without_threads(void *unused) {
    (void)unused;
    pthread_attr_t attributes;
    start_engine();
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)1 << 46);
    pthread_setattr_default_np(&attributes);
    copy_without(NULL);
    EXPECT_IS(0, shim_threads());
}

static void refusedThreadsLeaveTheCopiesToTheDriver(void) { expect_left_to_the_driver(copy_without_threads, NULL); }

static void copy_without_memory(void *unused) {
    (void)unused;
    struct rlimit limit;
    CUdeviceptr device;
    start_engine();
    char *out = pattern_of(BYTES, 1), *in = calloc(1, BYTES);
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim_t)kib_of(getpid(), "VmSize:") * 1024;
    setrlimit(RLIMIT_AS, &limit);
    for (int i = 0; i < 4; i++) {
        memset(in, 0, BYTES);
        OK(cu.cuMemcpyHtoD_v2(device, out, BYTES));
        OK(cu.cuMemcpyDtoH_v2(in, device, BYTES));
        EXPECT(!memcmp(in, out, BYTES));
    }
}

static void withoutHostMemoryTheCopiesAreTheDrivers(void) {
    if (skipped(sanitized() || real_driver(), "neither sanitizers nor a real driver stand a limit of memory")) return;
    expect_left_to_the_driver(copy_without_memory, NULL);
}

static void refusedPinnedMemoryIsAskedForInSmallerAmounts(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemHostAlloc#1-2=2", 1);
    engine_at_once("8");
    use_device(0);
    copy_once(1);
    EXPECT_IS(1, statistic("to_device"));
    EXPECT_IS(2, shim_threads_become(2));
}

int main(void) {
    RUN(refusedPinnedMemoryLeavesTheCopiesToTheDriver);
    RUN(refusedPinnedMemoryIsAskedForInSmallerAmounts);
    RUN(refusedStreamsLeaveTheCopiesToTheDriver);
    RUN(refusedEventsLeaveTheCopiesToTheDriver);
    RUN(refusedThreadsLeaveTheCopiesToTheDriver);
    RUN(withoutHostMemoryTheCopiesAreTheDrivers);
    return summary();
}
