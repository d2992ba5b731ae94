/* Which copies the engine makes, and why a copy is the driver's. */
#include "shim.h"

#include <pthread.h>
#include <sched.h>

enum { KB = 1 << 10, MB = 1 << 20, BORDER = 64 * KB, BYTES = 300 * KB };

static void largeCopiesGoThroughTheEngine(void) {
    size_t bytes = 9 << 20;
    CUdeviceptr device;
    engine_at_once("3");
    use_device(0);
    char *out = malloc(bytes), *in = calloc(1, bytes);
    for (size_t i = 0; i < bytes; i++) out[i] = (char)(i * 7 + i / 4096);
    OK(cu.cuMemAlloc_v2(&device, bytes));
    OK(cu.cuMemcpyHtoD_v2(device, out, bytes));
    OK(cu.cuMemcpyDtoH_v2(in, device, bytes));
    EXPECT(!memcmp(in, out, bytes));
    EXPECT_IS(1, statistic("to_device"));
    EXPECT_IS(1, statistic("to_host"));
    EXPECT_IS(bytes, statistic("to_host_bytes"));
    free(out);
    free(in);
}

/* Threads that all copy 4 MB at once. */

static pthread_barrier_t together;

struct megabytes { CUcontext context; char value; };

static void *copy_megabytes(void *argument) {
    struct megabytes *m = argument;
    CUdeviceptr device;
    char *out = malloc(4 * MB), *in = calloc(1, 4 * MB);
    OK(cu.cuCtxSetCurrent(m->context));
    OK(cu.cuMemAlloc_v2(&device, 4 * MB));
    memset(out, m->value, 4 * MB);
    pthread_barrier_wait(&together);
    OK(cu.cuMemcpyHtoD_v2_ptds(device, out, 4 * MB));
    OK(cu.cuMemcpyDtoH_v2_ptds(in, device, 4 * MB));
    EXPECT(all_are(in, m->value, 4 * MB));
    free(out);
    free(in);
    return NULL;
}

static void sixteenThreadsCopyMegabytesAtOnce(void) {
    struct megabytes each[16];
    pthread_t thread[16];
    engine_at_once("3");
    CUcontext context = use_device(0);
    pthread_barrier_init(&together, NULL, 16);
    for (int i = 0; i < 16; i++) {
        each[i] = (struct megabytes){context, (char)('a' + i)};
        pthread_create(&thread[i], NULL, copy_megabytes, &each[i]);
    }
    for (int i = 0; i < 16; i++) pthread_join(thread[i], NULL);
    EXPECT_IS(32, by_engine() + statistic("passed_busy"));
    EXPECT(by_engine() > 0); /* who would wait for too many others is passed on */
}

/* Why a copy is the driver's. Each makes the same copy, which is right all the same. */

static CUdeviceptr allocated(void) {
    CUdeviceptr device = 0;
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    return device;
}

static void there_and_back(CUdeviceptr device, char *out, char *in, size_t bytes) {
    memset(out, 'x', bytes);
    memset(in, 0, bytes);
    OK(cu.cuMemcpyHtoD_v2(device, out, bytes));
    OK(cu.cuMemcpyDtoH_v2(in, device, bytes));
    EXPECT(all_are(in, 'x', bytes));
}

static void pageable_there_and_back(size_t bytes) {
    char *out = malloc(bytes), *in = malloc(bytes);
    there_and_back(allocated(), out, in, bytes);
    free(out);
    free(in);
}

static void expect_passed(const char *reason, int copies) {
    EXPECT_IS(copies, statistic(reason));
    EXPECT_IS(copies, by_driver());
    EXPECT_IS(0, by_engine());
}

static void smallCopiesAreTheDrivers(void) {
    engine_takes_most("3");
    use_device(0);
    pageable_there_and_back(BORDER - 1);
    expect_passed("passed_small", 2);
    EXPECT_IS(2 * (BORDER - 1), statistic("passed_small_bytes"));
    pageable_there_and_back(BORDER);
    EXPECT_IS(2, by_engine());
}

static void pinnedMemoryIsTheDrivers(void) {
    void *out, *in;
    engine_takes_most("3");
    use_device(0);
    OK(cu.cuMemHostAlloc(&out, BYTES, 0));
    OK(cu.cuMemHostAlloc(&in, BYTES, 0));
    there_and_back(allocated(), out, in, BYTES);
    expect_passed("passed_pinned", 2);
    OK(cu.cuMemFreeHost(out));
    OK(cu.cuMemFreeHost(in));
}

static void registeredMemoryIsTheDriversUntilItIsNotRegistered(void) {
    engine_takes_most("3");
    use_device(0);
    char *out = aligned_alloc(4096, BYTES), *in = aligned_alloc(4096, BYTES);
    CUdeviceptr device = allocated();
    OK(cu.cuMemHostRegister_v2(out, BYTES, 0));
    OK(cu.cuMemHostRegister_v2(in, BYTES, 0));
    there_and_back(device, out, in, BYTES);
    expect_passed("passed_pinned", 2);
    OK(cu.cuMemHostUnregister(out));
    OK(cu.cuMemHostUnregister(in));
    there_and_back(device, out, in, BYTES);
    EXPECT_IS(2, by_engine());
    free(out);
    free(in);
}

static void managedMemoryIsTheDrivers(void) {
    CUdeviceptr managed;
    engine_takes_most("3");
    use_device(0);
    OK(cu.cuMemAllocManaged(&managed, BYTES, CU_MEM_ATTACH_GLOBAL));
    char *out = malloc(BYTES), *in = malloc(BYTES);
    there_and_back(managed, out, in, BYTES);
    expect_passed("passed_managed", 2);
    OK(cu.cuMemFree_v2(managed));
    free(out);
    free(in);
}

static void copiesOnTheDeviceAreTheDrivers(void) {
    engine_takes_most("3");
    use_device(0);
    CUdeviceptr a = allocated(), b = allocated();
    char *in = calloc(1, BYTES);
    OK(cu.cuMemsetD8_v2(a, 'd', BYTES));
    OK(cu.cuMemcpy(b, a, BYTES));
    expect_passed("passed_device", 1);
    OK(cu.cuMemcpyDtoH_v2(in, b, BYTES));
    EXPECT(all_are(in, 'd', BYTES));
    free(in);
}

static void rectanglesAreTheDrivers(void) {
    CUstream s;
    engine_takes_most("3");
    use_device(0);
    CUdeviceptr device = allocated();
    char *in = calloc(1, BYTES);
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemsetD8_v2(device, '2', BYTES));
    OK(cu.cuCtxSynchronize());
    driver_download(in, device, BYTES, s);
    EXPECT(all_are(in, '2', BYTES));
    expect_passed("passed_shaped", 1);
    free(in);
}

static void copiesInHostMemoryAreTheDrivers(void) {
    engine_takes_most("3");
    use_device(0);
    char *out = malloc(BYTES), *in = calloc(1, BYTES);
    memset(out, 'h', BYTES);
    OK(cu.cuMemcpy(of(in), of(out), BYTES));
    EXPECT(all_are(in, 'h', BYTES));
    expect_passed("passed_host", 1);
    free(out);
    free(in);
}

static void partlyRegisteredMemoryIsTheDrivers(void) {
    engine_takes_most("3");
    use_device(0);
    char *out = aligned_alloc(4096, BYTES), *in = malloc(BYTES);
    OK(cu.cuMemHostRegister_v2(out, BYTES / 2 / 4096 * 4096, 0));
    there_and_back(allocated(), out, in, BYTES);
    EXPECT_IS(1, statistic("passed_other"));
    EXPECT_IS(1, statistic("to_host"));
    OK(cu.cuMemHostUnregister(out));
    free(out);
    free(in);
}

static void everyCopyIsTheDriversWhereTheEngineIsOff(void) {
    engine_takes_most("3");
    setenv("TORPOR_COPY", "0", 1);
    use_device(0);
    pageable_there_and_back(BYTES);
    expect_passed("passed_off", 2);
}

static void everyCopyIsTheDriversUntilEnoughWasCopied(void) {
    engine_takes_most("3");
    setenv("TORPOR_COPY_START", "1200000", 1); /* less than four of them */
    use_device(0);
    pageable_there_and_back(BYTES);
    expect_passed("passed_cold", 2);
    pageable_there_and_back(BYTES);
    EXPECT_IS(3, statistic("passed_cold"));
    EXPECT_IS(1, by_engine());
}

static void everyCopyIsTheDriversWhereCoresAreFew(void) {
    cpu_set_t all, few;
    engine_takes_most("3");
    unsetenv("TORPOR_COPY_STREAMS");
    CPU_ZERO(&few);
    sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&few) < 2; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &few);
    sched_setaffinity(0, sizeof few, &few);
    use_device(0);
    pageable_there_and_back(BYTES);
    expect_passed("passed_aside", 2);
}

/* In a stream that has no order with the NULL stream. */
static void *copy_much(void *argument) {
    struct megabytes *m = argument;
    CUdeviceptr device;
    CUstream stream;
    char *out = calloc(1, 8 * MB);
    OK(cu.cuCtxSetCurrent(m->context));
    OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemAlloc_v2(&device, 8 * MB));
    pthread_barrier_wait(&together);
    OK(cu.cuMemcpyHtoDAsync_v2(device, out, 8 * MB, stream));
    free(out);
    return NULL;
}

static void aSmallerCopyDoesNotWaitForALargeOne(void) {
    pthread_t thread;
    engine_takes_most("1");
    setenv("TORPOR_SIM_DELAY_US", "20000", 1); /* 128 parts take more than two seconds */
    struct megabytes much = {use_device(0), 0};
    pthread_barrier_init(&together, NULL, 2);
    pthread_create(&thread, NULL, copy_much, &much);
    pthread_barrier_wait(&together);
    sleep_ms(200);
    double begun = now_ms();
    pageable_there_and_back(BYTES);
    EXPECT(now_ms() - begun < 1000);
    expect_passed("passed_busy", 2);
    pthread_join(thread, NULL);
    EXPECT_IS(1, by_engine());
}

static void whatCuGetProcAddressGivesCopiesByTheEngine(void) {
    __typeof__(cuMemcpyHtoD_v2) *own, *plain;
    CUdriverProcAddressQueryResult status;
    char out[BORDER];
    engine_takes_most("3");
    use_device(0);
    CUdeviceptr device = allocated();
    OK(cu.cuGetProcAddress_v2("cuMemcpyHtoD", (void **)&plain, 12000, 0, &status));
    OK(cu.cuGetProcAddress_v2("cuMemcpyHtoD", (void **)&own, 12000, 2, &status));
    EXPECT(plain == cu.cuMemcpyHtoD_v2 && own == cu.cuMemcpyHtoD_v2_ptds);
    memset(out, 'q', sizeof out);
    OK(plain(device, out, sizeof out));
    OK(own(device, out, sizeof out));
    EXPECT_IS(2, by_engine());
}

/* On the simulator more contexts than the engine has rings (64). A real driver takes 0.16 s to create and destroy one context,
 * with or without the shim, so few must do there. */
static void aContextThatFollowsAnotherCopiesToo(void) {
    CUcontext context;
    int rounds = sanitized() || !simulated() ? 20 : 200;
    engine_takes_most("3");
    use_device(0);
    for (int i = 0; i < rounds; i++) {
        OK(cu.cuCtxCreate_v2(&context, 0, 0));
        pageable_there_and_back(BYTES);
        OK(cu.cuCtxDestroy_v2(context));
        EXPECT_IS(2 * (i + 1), meant_for_engine());
    }
    EXPECT(by_engine() > 0);
}

static void aPrimaryContextThatWasResetCopiesToo(void) {
    engine_takes_most("3");
    use_device(0);
    for (int i = 0; i < 5; i++) {
        pageable_there_and_back(BYTES);
        EXPECT_IS(2 * (i + 1), meant_for_engine());
        OK(cu.cuDevicePrimaryCtxReset_v2(0));
        use_device(0);
    }
    EXPECT(by_engine() > 0);
}

int main(void) {
    RUN(largeCopiesGoThroughTheEngine);
    RUN(sixteenThreadsCopyMegabytesAtOnce);
    RUN(smallCopiesAreTheDrivers);
    RUN(pinnedMemoryIsTheDrivers);
    RUN(registeredMemoryIsTheDriversUntilItIsNotRegistered);
    RUN(managedMemoryIsTheDrivers);
    RUN(copiesOnTheDeviceAreTheDrivers);
    RUN(rectanglesAreTheDrivers);
    RUN(copiesInHostMemoryAreTheDrivers);
    RUN_SIMULATED(partlyRegisteredMemoryIsTheDrivers, "a real driver may refuse such a copy");
    RUN(everyCopyIsTheDriversWhereTheEngineIsOff);
    RUN(everyCopyIsTheDriversUntilEnoughWasCopied);
    RUN(everyCopyIsTheDriversWhereCoresAreFew);
    RUN_SIMULATED(aSmallerCopyDoesNotWaitForALargeOne, "a real copy is too fast to be overtaken");
    RUN(whatCuGetProcAddressGivesCopiesByTheEngine);
    RUN(aContextThatFollowsAnotherCopiesToo);
    RUN(aPrimaryContextThatWasResetCopiesToo);
    return summary();
}
