/* The host memory that takes what is parked. */
#include "parking.h"
#include "outcome.h"

#include <sys/resource.h>

enum { BYTES = 8 * MIB };
static CUdeviceptr memory;

static void prepare(void) {
    use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    write_pattern(memory, BYTES, 1);
}

static void expect_whole(void) {
    EXPECT_PATTERN(memory, BYTES, 1);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 1);
}

static void hostMemoryIsKeptForTheNextTime(void) {
    prepare();
    EXPECT_IS(0, status_of("arena_bytes"));
    COMMAND_OK("park");
    EXPECT_IS(BYTES, status_of("arena_bytes"));
    COMMAND_OK("unpark");
    EXPECT_IS(BYTES, status_of("arena_bytes"));
    long resident = kib_of(getpid(), "VmRSS:");
    EXPECT_IS(BYTES, number_of(command("release"), "arena_bytes"));
    EXPECT(kib_of(getpid(), "VmRSS:") <= resident - BYTES / 1024 + 1024 || sanitized());
    EXPECT_IS(0, status_of("arena_bytes"));
    EXPECT_IS(0, number_of(command("release"), "arena_bytes"));
    expect_whole();
}

static void hostMemoryIsNotKeptAgainstTheSetting(void) {
    setenv("TORPOR_ARENA_KEEP", "0", 1);
    prepare();
    expect_whole();
    EXPECT_IS(0, status_of("arena_bytes"));
    EXPECT_IS(BYTES, number_of(command("prepare"), "arena_bytes"));
    expect_whole();
    EXPECT_IS(0, status_of("arena_bytes"));
}

static void hostMemoryIsPreparedAndGrows(void) {
    CUdeviceptr more;
    prepare();
    EXPECT_IS(BYTES, number_of(command("prepare"), "arena_bytes"));
    EXPECT_IS(BYTES, number_of(command("prepare"), "arena_bytes"));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    OK(cu.cuMemAlloc_v2(&more, 6 * MIB));
    write_pattern(more, 6 * MIB, 2);
    COMMAND_OK("park");
    EXPECT_IS(BYTES + 6 * MIB, status_of("arena_bytes"));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(more, 6 * MIB, 2);
    OK(cu.cuMemFree_v2(more));
    expect_whole();
    EXPECT_IS(BYTES + 6 * MIB, status_of("arena_bytes")); /* it does not shrink */
}

/* KiB of this process's mappings that a core dump leaves out. */
static long undumped(void) {
    char text[512];
    long size = 0, sum = 0;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file && fgets(text, sizeof text, file)) {
        if (!strncmp(text, "Size:", 5)) size = strtol(text + 5, NULL, 10);
        if (!strncmp(text, "VmFlags:", 8) && strstr(text, " dd")) sum += size;
    }
    if (file) fclose(file);
    return sum;
}

static void aCoreDumpLeavesItOut(void) {
    CUdeviceptr more;
    prepare();
    long before = undumped();
    COMMAND_OK("prepare");
    EXPECT_IS(BYTES / 1024, undumped() - before);
    OK(cu.cuMemAlloc_v2(&more, 6 * MIB));
    COMMAND_OK("park");
    EXPECT_IS((BYTES + 6 * MIB) / 1024, undumped() - before);
    COMMAND_OK("unpark");
    expect_whole();
}

static void nothingNeedsNoHostMemory(void) {
    use_device(0);
    EXPECT_IS(0, number_of(command("prepare"), "arena_bytes"));
    EXPECT_IS(0, number_of(command("park"), "bytes"));
    COMMAND_OK("unpark");
    EXPECT_IS(0, status_of("arena_bytes"));
}

static void aLimitOfMemoryIsSaid(void) {
    struct rlimit before, small;
    if (skipped(sanitized() || real_driver(), "neither sanitizers nor a real driver stand a limit of memory")) return;
    CUdeviceptr large;
    prepare();
    OK(cu.cuMemAlloc_v2(&large, 256 * MIB));
    COMMAND_OK("status");
    OK(getrlimit(RLIMIT_AS, &before));
    small = before;
    small.rlim_cur = (rlim_t)kib_of(getpid(), "VmSize:") * 1024 + 64 * MIB;
    OK(setrlimit(RLIMIT_AS, &small));
    COMMAND_FAILS("host-memory", "park");
    COMMAND_FAILS("host-memory", "prepare");
    OK(setrlimit(RLIMIT_AS, &before));
    OK(cu.cuMemFree_v2(large));
    expect_whole();
}

static void aChildHasNoPartInIt(void) {
    prepare();
    COMMAND_OK("park");
    int pid = fork();
    if (!pid) _exit(kib_of(getpid(), "VmSize:") < kib_of(getppid(), "VmSize:") - BYTES / 1024 + 1024 ? 0 : 1);
    OK(wait_child(pid));
    COMMAND_OK("unpark");
    expect_whole();
}

int main(void) {
    RUN(hostMemoryIsKeptForTheNextTime);
    RUN(hostMemoryIsNotKeptAgainstTheSetting);
    RUN(hostMemoryIsPreparedAndGrows);
    RUN(aCoreDumpLeavesItOut);
    RUN(nothingNeedsNoHostMemory);
    RUN(aLimitOfMemoryIsSaid);
    RUN(aChildHasNoPartInIt);
    return summary();
}
