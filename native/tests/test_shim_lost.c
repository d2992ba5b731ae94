/* Contexts that end or fail while the process is parked: the memory of the others comes back. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "virtual.h"

#include <pthread.h>

enum { BYTES = 4 * MIB };
static CUcontext first, second;
static CUdeviceptr here, there;

static void two_devices(void) {
    fresh_machine(2, "2G");
    second = use_device(1);
    first = use_device(0);
}

static void allocate_on_both(void) {
    OK(cu.cuCtxSetCurrent(second));
    OK(cu.cuMemAlloc_v2(&there, BYTES));
    write_pattern(there, BYTES, 2);
    OK(cu.cuCtxSetCurrent(first));
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    write_pattern(here, BYTES, 1);
}

/* Of the program's own making, so that it outlives contexts. */
static void map_on_both(void) {
    CUmemAllocationProp prop = prop_on(1);
    handle_t handle = 0;
    there = reserved(BYTES);
    OK(cu.cuMemCreate(&handle, BYTES, &prop, 0));
    OK(cu.cuMemMap(there, BYTES, 0, handle, 0));
    OK(allow_on(1, there, BYTES, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
    here = mapped(BYTES, made(BYTES));
    OK(cu.cuCtxSetCurrent(second));
    write_pattern(there, BYTES, 2);
    OK(cu.cuCtxSetCurrent(first));
    write_pattern(here, BYTES, 1);
}

static void expect_pattern_in(CUcontext context, CUdeviceptr at, unsigned seed) {
    OK(cu.cuCtxSetCurrent(context));
    EXPECT_PATTERN(at, BYTES, seed);
    OK(cu.cuCtxSetCurrent(first));
}

/* --- they end --- */

static void aContextIsDestroyedWhileParked(void) {
    CUcontext third = NULL;
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    write_pattern(here, BYTES, 1);
    COMMAND_OK("park"); /* a driver takes some memory for a first park and for another context, and keeps it */
    OK(cu.cuCtxCreate_v2(&third, 0, 0));
    OK(cu.cuCtxDestroy_v2(third));
    COMMAND_OK("unpark");
    size_t before = free_memory();
    OK(cu.cuCtxCreate_v2(&third, 0, 0));
    OK(cu.cuMemAlloc_v2(&d, 16 * MIB));
    COMMAND_OK("park");
    OK(cu.cuCtxDestroy_v2(third));
    EXPECT_IS(BYTES, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(here, BYTES, 1);
    EXPECT_IS(before, free_memory());
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(here, BYTES, 1);
}

static void thePrimaryContextIsResetWhileParked(void) {
    use_device(0);
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    COMMAND_OK("park");
    OK(cu.cuDevicePrimaryCtxReset_v2(0));
    EXPECT_IS(0, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    write_pattern(here, BYTES, 1);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(here, BYTES, 1);
}

static void retainedTwiceItStays(void) {
    CUcontext again;
    use_device(0);
    OK(cu.cuDevicePrimaryCtxRetain(&again, 0));
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    write_pattern(here, BYTES, 1);
    COMMAND_OK("park");
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(here, BYTES, 1);
}

static void memoryOfADeviceWithoutAContextComesBack(void) {
    two_devices();
    map_on_both();
    COMMAND_OK("park");
    OK(cu.cuDevicePrimaryCtxReset_v2(1));
    COMMAND_OK("unpark");
    expect_pattern_in(first, here, 1);
    expect_pattern_in(use_device(1), there, 2);
}

/* --- they fail --- */

static void aContextWhoseLimitCannotBePutBack(void) {
    setenv("TORPOR_SIM_FAULTS", "cuCtxSetLimit#4=719", 1);
    two_devices();
    allocate_on_both();
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    expect_pattern_in(first, here, 1);
    expect_pattern_in(second, there, 2); /* its own word is that it is sound */
}

/* The first two contexts that are tried answer so. */
static void anotherContextOfTheDeviceCopies(void) {
    CUcontext third = NULL;
    setenv("TORPOR_COPY", "0", 1);
    setenv("TORPOR_COPY_STREAMS", "1", 1);
    setenv("TORPOR_SIM_FAULTS", "cuCtxPushCurrent#9-10=719", 1);
    use_device(0);
    OK(cu.cuCtxCreate_v2(&third, 0, 0));
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    write_pattern(here, BYTES, 1);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(here, BYTES, 1);
}

static _Atomic int goes_on;

static void *use_first(void *unused) {
    OK(cu.cuCtxSetCurrent(first));
    OK(cu.cuMemsetD8_v2(here, 1, 16));
    OK(cu.cuCtxSynchronize());
    goes_on = 1;
    return unused;
}

/* No context of device 1 is left, and none can be made. */
static void lose_second_device(const char *faults) {
    pthread_t thread;
    setenv("TORPOR_SIM_FAULTS", faults, 1);
    two_devices();
    map_on_both();
    COMMAND_OK("park");
    OK(cu.cuDevicePrimaryCtxReset_v2(1));
    pthread_create(&thread, NULL, use_first, NULL);
    COMMAND_FAILS("lost", "unpark");
    pthread_join(thread, NULL); /* the other device's memory is back */
    EXPECT(goes_on);
    EXPECT(!strncmp(strstr(command("status"), "state="), "state=running", 13));
    EXPECT_IS(BYTES, status_of("parked_bytes"));
    OK(cu.cuMemsetD8_v2(here, 0, 1));
    COMMAND_FAILS("lost", "park"); /* its place in host memory is taken */
    COMMAND_FAILS("lost", "prepare");
    COMMAND_FAILS("lost", "release");
}

static void whatCouldNotBeReachedComesBackLater(void) {
    lose_second_device("cuCtxCreate_v2#1=719");
    COMMAND_OK("unpark");
    EXPECT_IS(0, status_of("parked_bytes"));
    expect_pattern_in(use_device(1), there, 2);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    expect_pattern_in(use_device(1), there, 2);
}

static void whatIsLostIsGivenUpByCommand(void) {
    lose_second_device("cuCtxCreate_v2=719");
    COMMAND_FAILS("lost", "unpark");
    EXPECT_IS(BYTES, number_of(command("unpark force=1"), "lost_bytes"));
    EXPECT_IS(0, status_of("parked_bytes"));
    COMMAND_FAILS("running", "unpark force=1");
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    OK(cu.cuMemsetD8_v2(here, 0, 1));
    OK(cu.cuMemUnmap(there, BYTES));
}

static void aProcessThatHasLostEverythingStaysParkedUntilItIsGivenUp(void) {
    setenv("TORPOR_SIM_FAULTS", "cuMemcpyHtoD#2-99=719;cuMemcpyHtoDAsync=719;cuCtxCreate_v2=719", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    write_pattern(here, BYTES, 1);
    COMMAND_OK("park");
    COMMAND_FAILS("lost", "unpark");
    EXPECT(strstr(command("status"), "state=parked"));
    COMMAND_FAILS("argument", "park force=1");
    EXPECT_IS(BYTES, number_of(command("unpark force=1"), "lost_bytes"));
    EXPECT(strstr(command("status"), "state=running"));
    OK(cu.cuMemFree_v2(here));
    OK(cu.cuMemAlloc_v2(&here, BYTES));
    OK(filled_at(here));
}

int main(void) {
    RUN(aContextIsDestroyedWhileParked);
    RUN(thePrimaryContextIsResetWhileParked);
    RUN(retainedTwiceItStays);
    RUN_SIMULATED(memoryOfADeviceWithoutAContextComesBack, "two devices");
    RUN_SIMULATED(aContextWhoseLimitCannotBePutBack, "a fault");
    RUN_SIMULATED(anotherContextOfTheDeviceCopies, "a fault");
    RUN_SIMULATED(whatCouldNotBeReachedComesBackLater, "a fault");
    RUN_SIMULATED(whatIsLostIsGivenUpByCommand, "a fault");
    RUN_SIMULATED(aProcessThatHasLostEverythingStaysParkedUntilItIsGivenUp, "a fault");
    return summary();
}
