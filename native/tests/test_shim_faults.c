/* Whatever the driver refuses while a process is parked and unparked: the answer says so, nothing is lost, and the command can be repeated. */
#include "parking.h"
#include "outcome.h"
#include "virtual.h"

enum { NOT_MINE = 3, MOST_CALLS = 40 };

/* --- each call in turn is refused once --- */

static struct sweep { const char *name; int call, code; const char *streams; } sweep;
static CUcontext context;
static CUdeviceptr plain, twice, second, in_stream, place;
static handle_t unmapped, twice_handle;
static CUstream s;

static void try(CUresult result) {
    if (result) _exit(NOT_MINE); /* it was before anything was parked */
}

static void set_up(void) {
    CUmemAccessDesc all = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemAllocationProp prop = prop_on(0);
    load_driver();
    try(cu.cuInit(0));
    try(cu.cuDevicePrimaryCtxRetain(&context, 0));
    try(cu.cuCtxSetCurrent(context));
    try(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    try(cu.cuMemAlloc_v2(&plain, 2 * MIB + 5));
    try(cu.cuMemAllocAsync(&in_stream, 2 * MIB, s));
    try(cu.cuMemCreate(&twice_handle, 2 * MIB, &prop, 0));
    try(cu.cuMemAddressReserve(&twice, 6 * MIB, 0, 0, 0));
    second = twice + 2 * MIB;
    place = second + 2 * MIB;
    try(cu.cuMemMap(twice, 2 * MIB, 0, twice_handle, 0));
    try(cu.cuMemMap(second, 2 * MIB, 0, twice_handle, 0));
    try(cu.cuMemCreate(&unmapped, 2 * MIB, &prop, 0));
    try(cu.cuMemMap(place, 2 * MIB, 0, unmapped, 0));
    try(cu.cuMemSetAccess(twice, 6 * MIB, &all, 1));
    try(cu.cuMemsetD8Async(plain, 'p', 2 * MIB + 5, s));
    try(cu.cuMemsetD8Async(in_stream, 's', 2 * MIB, s));
    try(cu.cuMemsetD8Async(twice, 't', 2 * MIB, s));
    try(cu.cuMemsetD8Async(place, 'u', 2 * MIB, s));
    try(cu.cuStreamSynchronize(s));
    try(cu.cuMemUnmap(place, 2 * MIB));
}

static void expect_all(CUdeviceptr at, char value, size_t bytes) {
    static char out[2 * MIB + 5];
    memset(out, 0, sizeof out);
    driver_download(out, at, bytes, s);
    if (!all_are(out, value, bytes)) fail_at(__FILE__, __LINE__, "not all bytes are '%c' any more", value);
}

/* The fault may strike what the test itself asks for. */
#define SOON(call) do { if (call) OK(call); } while (0)

static void expect_all_there(void) {
    expect_all(plain, 'p', 2 * MIB + 5);
    expect_all(in_stream, 's', 2 * MIB);
    expect_all(second, 't', 2 * MIB);
    SOON(cu.cuMemMap(place, 2 * MIB, 0, unmapped, 0));
    SOON(allow(place, 2 * MIB));
    expect_all(place, 'u', 2 * MIB);
    SOON(cu.cuMemUnmap(place, 2 * MIB));
}

static int is_fault(const char *answer) { return is_error(answer, "driver") || is_error(answer, "device-memory") || is_error(answer, "host-memory"); }

static void command_twice(const char *line, const char *state_before) {
    char first[512];
    snprintf(first, sizeof first, "%s", command(line));
    if (is_ok(first)) return;
    if (!is_fault(first)) fail_at(__FILE__, __LINE__, "%s: %s", line, first);
    EXPECT(strstr(command("status"), state_before));
    if (!strcmp(line, "park")) expect_all_there();
    COMMAND_OK(line);
}

static size_t free_now(void) {
    size_t available = 0, total;
    SOON(cu.cuMemGetInfo_v2(&available, &total));
    return available;
}

static void with_one_fault(void *unused) {
    char faults[128];
    size_t lost = strcmp(sweep.name, "cuMemUnmap") ? 0 : 2 * MIB; /* what cannot be unmapped after a copy cannot be released */
    (void)unused;
    snprintf(faults, sizeof faults, "%s#%d=%d", sweep.name, sweep.call, sweep.code);
    setenv("TORPOR_SIM_FAULTS", faults, 1);
    setenv("TORPOR_SIM_DELAY_US", "0", 1);
    if (sweep.streams) engine_takes_most(sweep.streams);
    set_up();
    size_t before = free_now();
    command_twice("park", "state=running");
    command_twice("unpark", "state=parked");
    size_t after = free_now();
    if (before - after > lost) fail_at(__FILE__, __LINE__, "%lld bytes of the device are lost", (long long)before - (long long)after);
    expect_all_there();
    command_twice("park", "state=running");
    command_twice("unpark", "state=parked");
    fflush(stdout);
    _exit(0);
}

/* Every call with this name, as many as there are. */
static void refuse_each(const char *name, int code, const char *streams) {
    int tried = 0;
    for (int call = 1; call <= MOST_CALLS; call++) {
        sweep = (struct sweep){name, call, code, streams};
        struct outcome o = outcome_of(with_one_fault, NULL);
        if (o.status != NOT_MINE) tried++;
        if (o.status != NOT_MINE && (o.status || *o.out)) fail_at(__FILE__, __LINE__, "%s#%d=%d: %s%s", name, call, code, o.out, o.errors);
        outcome_free(&o);
        if (tried > (sanitized() ? 2 : 8)) break; /* the first two, and the rest without a sanitizer */
    }
    EXPECT(tried > 0);
}

static void anUnmapThatIsRefused(void) { refuse_each("cuMemUnmap", 1, NULL); }
static void aReleaseThatIsRefused(void) { refuse_each("cuMemRelease", 1, NULL); }
static void aCreationThatIsRefused(void) { refuse_each("cuMemCreate", 2, NULL); }
static void aMappingThatIsRefused(void) { refuse_each("cuMemMap", 2, NULL); }
static void anAccessThatIsRefused(void) { refuse_each("cuMemSetAccess", 999, NULL); }
static void aReservationThatIsRefused(void) { refuse_each("cuMemAddressReserve", 2, NULL); }
static void aDownloadThatIsRefused(void) { refuse_each("cuMemcpyDtoH", 999, "1"); }
static void anUploadThatIsRefused(void) { refuse_each("cuMemcpyHtoD", 999, "1"); }
static void aDownloadOfTheEngineThatIsRefused(void) { refuse_each("cuMemcpyDtoHAsync", 999, "2"); }
static void anUploadOfTheEngineThatIsRefused(void) { refuse_each("cuMemcpyHtoDAsync", 999, "2"); }
static void aLimitThatIsRefused(void) { refuse_each("cuCtxSetLimit", 2, NULL); }
static void aWaitThatIsRefused(void) { refuse_each("cuCtxSynchronize", 999, NULL); }
static void aQuestionForMemoryThatIsRefused(void) { refuse_each("cuMemGetInfo", 999, NULL); }
static void aContextThatIsRefused(void) { refuse_each("cuCtxPushCurrent", 999, NULL); }

/* --- somebody else has taken the memory --- */

static unsigned long long missing_of(const char *answer) {
    EXPECT(is_error(answer, "device-memory") && !strncmp(answer, "error device-memory missing=", 28));
    return number_of(answer, "missing");
}

static void memoryThatIsTakenIsMissed(void) {
    CUdeviceptr d;
    fresh_machine(1, "256M");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 128 * MIB));
    write_pattern(d + 124 * MIB, 4 * MIB, 1);
    COMMAND_OK("park");
    struct target other = start_target(NULL, "150M", NULL, NULL);
    size_t available = free_memory();
    unsigned long long missing = missing_of(command("unpark"));
    EXPECT(missing >= 128 * MIB - available && missing <= 128 * MIB - available + 8 * MIB); /* and what the context gave up */
    EXPECT(strstr(command("status"), "state=parked"));
    EXPECT_IS(available, free_memory());
    EXPECT_IS(missing, missing_of(command("unpark")));
    OK(finish(&other));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d + 124 * MIB, 4 * MIB, 1);
}

/* Enough for the memory, but not for what the context gave up besides. */
static void whatTheContextNeedsIsCounted(void) {
    CUdeviceptr d;
    char want[32];
    fresh_machine(1, "256M");
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 128 * MIB));
    write_pattern(d, MIB, 1);
    COMMAND_OK("park");
    size_t available = free_memory(); /* 8 MiB are the other's context */
    snprintf(want, sizeof want, "%lluM", (unsigned long long)(available / MIB - 8 - 128 - 2));
    struct target other = start_target(NULL, want, NULL, NULL);
    available = free_memory();
    EXPECT(available >= 128 * MIB && available < 132 * MIB);
    unsigned long long missing = missing_of(command("unpark"));
    EXPECT(missing > 0 && missing <= 4 * MIB);
    EXPECT_IS(available, free_memory());
    OK(finish(&other));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d, MIB, 1);
}

int main(void) {
    if (!simulated()) {
        printf("  skipped all: faults are the simulator's\n");
        return summary();
    }
    RUN(anUnmapThatIsRefused);
    RUN(aReleaseThatIsRefused);
    RUN(aCreationThatIsRefused);
    RUN(aMappingThatIsRefused);
    RUN(anAccessThatIsRefused);
    RUN(aReservationThatIsRefused);
    RUN(aDownloadThatIsRefused);
    RUN(anUploadThatIsRefused);
    RUN(aDownloadOfTheEngineThatIsRefused);
    RUN(anUploadOfTheEngineThatIsRefused);
    RUN(aLimitThatIsRefused);
    RUN(aWaitThatIsRefused);
    RUN(aQuestionForMemoryThatIsRefused);
    RUN(aContextThatIsRefused);
    RUN(memoryThatIsTakenIsMissed);
    RUN(whatTheContextNeedsIsCounted);
    return summary();
}
