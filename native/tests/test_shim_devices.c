/* What the status tells of each GPU. */
#include "parking.h"
#include "outcome.h"

enum { FIRST = 24 * MIB, SECOND = 40 * MIB };

/* " GPU-...:PARKED:LEFT" of a device, by its UUID. 0: it is not listed. */
static int listed(const char *status, const CUuuid *uuid, unsigned long long *parked, unsigned long long *left) {
    char name[64] = "GPU";
    const char *list = strstr(status, " devices="), *at;
    for (int i = 0; i < 16; i++) sprintf(name + strlen(name), "%s%02x", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned char)uuid->bytes[i]);
    if (!list || !(at = strstr(list, name))) return 0;
    EXPECT_IS(2, sscanf(at + strlen(name), ":%llu:%llu", parked, left));
    return 1;
}

static CUuuid uuid_of(int device) {
    CUuuid uuid;
    OK(cu.cuDeviceGetUuid_v2(&uuid, device));
    return uuid;
}

static int devices(void) {
    int count = 0;
    OK(cu.cuDeviceGetCount(&count));
    return count;
}

static void expect_device(int device, unsigned long long parked) {
    unsigned long long got = 1, left;
    CUuuid uuid = uuid_of(device);
    EXPECT(listed(command("status"), &uuid, &got, &left));
    EXPECT_IS(parked, got);
}

static void eachGpuHasItsOwnBytes(void) {
    CUdeviceptr first, second;
    unsigned long long parked, left;
    if (simulated()) fresh_machine(3, "1G");
    use_device(0);
    if (skipped(devices() < 2, "one device")) return;
    CUuuid last = uuid_of(devices() - 1);
    OK(cu.cuMemAlloc_v2(&first, FIRST));
    expect_device(0, 0);
    use_device(1);
    OK(cu.cuMemAlloc_v2(&second, SECOND));
    COMMAND_OK("park");
    expect_device(0, FIRST);
    expect_device(1, SECOND);
    EXPECT(devices() < 3 || !listed(command("status"), &last, &parked, &left)); /* no context, no memory */
    EXPECT_IS(FIRST + SECOND, status_of("parked_bytes"));
    COMMAND_OK("unpark");
    expect_device(0, 0);
    OK(cu.cuMemFree_v2(second));
    OK(cu.cuMemFree_v2(first));
}

static void whatStaysIsToldWhereItIs(void) {
    unsigned long long parked, left;
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 1}, .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR};
    CUmemGenericAllocationHandle handle;
    int fd;
    if (simulated()) fresh_machine(2, "1G");
    use_device(0);
    if (skipped(devices() < 2, "one device")) return;
    use_device(1);
    OK(cu.cuMemCreate(&handle, SECOND, &prop, 0));
    OK(cu.cuMemExportToShareableHandle(&fd, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    CUuuid zero = uuid_of(0), one = uuid_of(1);
    EXPECT(listed(command("status"), &one, &parked, &left));
    EXPECT_IS(SECOND, left);
    EXPECT(listed(command("status"), &zero, &parked, &left));
    EXPECT_IS(0, left);
    close(fd);
    OK(cu.cuMemRelease(handle));
}

static void aGpuWithMemoryAndNoContextIsListed(void) {
    unsigned long long parked, left;
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 1}};
    CUmemGenericAllocationHandle handle;
    if (simulated()) fresh_machine(2, "1G");
    use_device(0);
    if (skipped(devices() < 2, "one device")) return;
    OK(cu.cuMemCreate(&handle, SECOND, &prop, 0));
    CUuuid one = uuid_of(1);
    EXPECT(listed(command("status"), &one, &parked, &left));
    EXPECT_IS(SECOND, left); /* there is no context to copy it with */
    OK(cu.cuMemRelease(handle));
}

static void afterARestoreOntoAnotherGpuTheNewOneIsTold(void) {
    unsigned long long parked = 0, left = 0;
    if (simulated()) fresh_machine(2, "1G");
    use_device(0);
    if (skipped(devices() < 2, "one device")) return;
    CUuuid zero = uuid_of(0), one = uuid_of(1);
    struct target t = start_target(NULL, "24M", "--chunk", "8M");
    for (int round = 0; round < 2; round++) { /* there and back */
        const CUuuid *here = round ? &one : &zero, *there = round ? &zero : &one;
        CUcheckpointGpuPair pairs[] = {{.oldUuid = zero, .newUuid = one}, {.oldUuid = one, .newUuid = zero}};
        CUcheckpointRestoreArgs args = {.gpuPairs = pairs, .gpuPairsCount = 2};
        EXPECT(is_ok(command_to(t.pid, "park")));
        EXPECT(listed(command_to(t.pid, "status"), here, &parked, &left));
        EXPECT_IS(24 * MIB, parked);
        EXPECT(!listed(command_to(t.pid, "status"), there, &parked, &left));
        suspend(t.pid);
        EXPECT(listed(command_to(t.pid, "status"), here, &parked, &left)); /* where it was */
        OK(cu.cuCheckpointProcessRestore(t.pid, &args));
        OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
        EXPECT(is_ok(command_to(t.pid, "unpark")));
        EXPECT(listed(command_to(t.pid, "status"), there, &parked, &left));
        EXPECT(answered_ok(&t, "check"));
    }
    OK(finish(&t));
}

static void theDriversBuffersAreCounted(void) {
    const char *const keep[] = {"TORPOR_BUFFER_KEEP=64M", NULL};
    load_driver();
    struct target t = start_target(keep, "24M", "--chunk", "8M");
    for (unsigned long long round = 0; round < 3; round++) {
        EXPECT_IS(round, number_of(command_to(t.pid, "status"), "driver_buffers"));
        suspend(t.pid);
        EXPECT_IS(round + 1, number_of(command_to(t.pid, "status"), "driver_buffers"));
        resume(t.pid);
    }
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

int main(void) {
    RUN(eachGpuHasItsOwnBytes);
    RUN(whatStaysIsToldWhereItIs);
    RUN(aGpuWithMemoryAndNoContextIsListed);
    RUN_SIMULATED(afterARestoreOntoAnotherGpuTheNewOneIsTold, "GPUs are swapped");
    RUN(theDriversBuffersAreCounted);
    return summary();
}
