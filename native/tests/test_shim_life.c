/* The engine comes and goes: unused, with its context, and with the library. */
#include "engine.h"
#include "outcome.h"

/* --- idle --- */

static void whatIsNotUsedIsGivenUpAndComesBack(void) {
    setenv("TORPOR_COPY_IDLE_MS", sanitized() ? "2000" : "500", 1); /* longer than one copy and its check take */
    start_engine();
    for (int round = 1; round <= 3; round++) {
        copy_once((unsigned)round);
        EXPECT_IS(0, shim_threads_become(0));
        EXPECT_IS(round, statistic("to_device"));
    }
}

static void pinnedMemoryThatIsNotUsedIsFreed(void) {
    if (skipped(real_driver() || sanitized(), "the simulator's pinned memory alone is counted as resident")) return;
    setenv("TORPOR_COPY_IDLE_MS", "1000", 1); /* longer than the look at what is used takes */
    setenv("TORPOR_COPY_CHUNK", "64M", 1);
    start_engine();
    size_t bytes = 256 * (size_t)MB;
    char *memory = calloc(1, bytes);
    CUdeviceptr device;
    OK(cu.cuMemAlloc_v2(&device, bytes));
    OK(cu.cuMemcpyDtoH_v2(memory, device, bytes));
    long used = kib_of(getpid(), "RssAnon:");
    EXPECT_IS(0, shim_threads_become(0));
    long left = kib_of(getpid(), "RssAnon:");
    if (left > used - 200 * 1024) fail_at(__FILE__, __LINE__, "%ld KiB of %ld are still there", left, used);
    free(memory);
}

static void zeroKeepsTheBuffersForEver(void) {
    setenv("TORPOR_COPY_IDLE_MS", "0", 1);
    start_engine();
    copy_once(1);
    EXPECT_IS(2, shim_threads_become(2));
    while (shim_threads_blocked() < 2) sleep_ms(1); /* no time wakes them */
    copy_once(2);
}

static void copiesAtTheMomentOfGivingUpAreRight(void) {
    setenv("TORPOR_COPY_IDLE_MS", "1", 1);
    start_engine();
    for (int i = 0; i < (sanitized() ? 10 : 25); i++) {
        copy_once((unsigned)i);
        usleep((useconds_t)(i % 8 * 300));
    }
    EXPECT_IS(0, statistic("passed_aside"));
}

/* --- contexts --- */

static void contextsOneAfterTheOtherLeaveNothingBehind(void) {
    enum { CONTEXTS = 70 }; /* more than there is room for at once */
    setenv("TORPOR_COPY_MIN", "1M", 1);
    start_engine();
    for (int i = 0; i < CONTEXTS; i++) {
        CUcontext context;
        OK(cu.cuCtxCreate_v2(&context, 0, 0));
        copy_bytes(MB, (unsigned)i);
        OK(cu.cuCtxDestroy_v2(context));
    }
    EXPECT_IS(CONTEXTS, statistic("to_device"));
    EXPECT_IS(0, shim_threads_become(0));
    copy_once(2);
}

static void moreContextsAtOnceThanThereIsRoomForCopyAsWell(void) {
    enum { CONTEXTS = 66 };
    CUcontext contexts[CONTEXTS];
    if (skipped(real_driver(), "so many contexts are much memory")) return;
    setenv("TORPOR_COPY_CHUNK", "64K", 1);
    setenv("TORPOR_COPY_MIN", "1M", 1);
    start_engine();
    for (int i = 0; i < CONTEXTS; i++) {
        OK(cu.cuCtxCreate_v2(&contexts[i], 0, 0));
        OK(cu.cuCtxPopCurrent_v2(NULL));
        OK(cu.cuCtxSetCurrent(contexts[i]));
        copy_bytes(MB, (unsigned)i);
    }
    EXPECT_IS(64, statistic("to_device"));
    EXPECT_IS(2 * (CONTEXTS - 64), statistic("passed_other"));
    for (int i = 0; i < CONTEXTS; i++) OK(cu.cuCtxDestroy_v2(contexts[i]));
}

static void aPrimaryContextThatIsReleasedAndRetainedCopiesAnew(void) {
    CUcontext context;
    start_engine();
    for (int i = 1; i <= 3; i++) {
        copy_once((unsigned)i);
        EXPECT_IS(i, statistic("to_device"));
        EXPECT_IS(2, shim_threads_become(2));
        OK(cu.cuDevicePrimaryCtxRelease_v2(0));
        EXPECT_IS(0, shim_threads_become(0));
        OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
        OK(cu.cuCtxSetCurrent(context));
    }
}

static void aPrimaryContextThatIsResetCopiesAnew(void) {
    CUcontext context;
    start_engine();
    for (int i = 1; i <= 3; i++) {
        copy_once((unsigned)i);
        EXPECT_IS(i, statistic("to_device"));
        OK(cu.cuDevicePrimaryCtxReset_v2(0));
        OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
        OK(cu.cuCtxSetCurrent(context));
    }
}

static void aPrimaryContextThatOthersHoldKeepsItsEngine(void) {
    CUcontext context;
    start_engine();
    OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
    copy_once(1);
    EXPECT_IS(2, shim_threads_become(2));
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    EXPECT_IS(2, shim_threads_become(2));
    copy_once(2);
    EXPECT_IS(2, shim_threads_become(2));
    EXPECT_IS(2, statistic("to_device"));
}

static void aWrongContextIsAnsweredByTheDriver(void) {
    CUcontext context;
    start_engine();
    copy_once(1);
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDevicePrimaryCtxRelease_v2(99));
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDevicePrimaryCtxReset_v2(99));
    OK(cu.cuCtxCreate_v2(&context, 0, 0));
    copy_once(2);
    OK(cu.cuCtxDestroy_v2(context));
    OK(cu.cuCtxSetCurrent(NULL));
    char *memory = calloc(1, BYTES);
    EXPECT(cu.cuMemcpyHtoD_v2(4096, memory, BYTES) != CUDA_SUCCESS);
    free(memory);
}

/* --- libraries that go --- */

static void aClosedDriverIsStillThere(void) {
    start_engine();
    copy_once(1);
    dlclose(driver_library);
    dlclose(driver_library); /* once too often, as some do */
    copy_once(2);
    EXPECT_IS(2, statistic("to_device"));
}

static int load_later(void) {
    void *shim = dlopen(output_path("libtorpor.so"), RTLD_NOW);
    if (!shim) return printf("%s\n", dlerror()), 1;
    dlclose(shim);
    shim = dlopen(output_path("libtorpor.so"), RTLD_NOW);
    __typeof__(torpor_copy_to_device) *up = (__typeof__(torpor_copy_to_device) *)dlsym(shim, "torpor_copy_to_device");
    __typeof__(torpor_copy_to_host) *down = (__typeof__(torpor_copy_to_host) *)dlsym(shim, "torpor_copy_to_host");
    char *out = pattern_of(BYTES, 1), *in = calloc(1, BYTES);
    CUdeviceptr device;
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, up(4096, out, BYTES));
    start_engine();
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    OK(up(device, out, BYTES));
    dlclose(shim);
    OK(down(in, device, BYTES));
    EXPECT(!memcmp(in, out, BYTES));
    free(out);
    free(in);
    return 0;
}

static void become_its_later_user(void *unused) {
    (void)unused;
    char self[4096] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) abort();
    unsetenv("LD_PRELOAD");
    execl(self, self, "load later", (char *)NULL);
}

static void loadedByNameItStaysWhenClosed(void) { EXPECT_QUIET(0, outcome_of(become_its_later_user, NULL)); }

int main(int count, char **words) {
    if (count > 1 && !strcmp(words[1], "load later")) return load_later();
    RUN(whatIsNotUsedIsGivenUpAndComesBack);
    RUN(pinnedMemoryThatIsNotUsedIsFreed);
    RUN(zeroKeepsTheBuffersForEver);
    RUN(copiesAtTheMomentOfGivingUpAreRight);
    RUN(contextsOneAfterTheOtherLeaveNothingBehind);
    RUN(moreContextsAtOnceThanThereIsRoomForCopyAsWell);
    RUN(aPrimaryContextThatIsReleasedAndRetainedCopiesAnew);
    RUN(aPrimaryContextThatIsResetCopiesAnew);
    RUN(aPrimaryContextThatOthersHoldKeepsItsEngine);
    RUN(aWrongContextIsAnsweredByTheDriver);
    RUN(aClosedDriverIsStillThere);
    RUN(loadedByNameItStaysWhenClosed);
    return summary();
}
