/* A copy that fails answers what the driver answers, and the next one is right. */
#include "shim.h"

#include <sys/mman.h>

enum { KB = 1 << 10, MB = 1 << 20, BYTES = 300 * KB, MOST = 64 };

/* The same calls twice, each time in a process of its own: with the engine, and with the driver alone. */

struct answers { int count; CUresult result[MOST]; unsigned long long engine; };
struct trial { void (*calls)(struct answers *); const char *copy; struct answers *answers; };

static void add(struct answers *a, CUresult result) { a->result[a->count++] = result; }

static void try_it(void *argument) {
    struct trial *trial = argument;
    engine_takes_most("3");
    setenv("TORPOR_COPY", trial->copy, 1);
    use_device(0);
    trial->calls(trial->answers);
    trial->answers->engine = by_engine();
}

static struct answers *answers_of(void (*calls)(struct answers *), const char *copy) {
    struct answers *answers = mmap(NULL, sizeof *answers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_IS(0, wait_child(start_child(try_it, &(struct trial){calls, copy, answers})));
    return answers;
}

static struct answers *expect_the_drivers(void (*calls)(struct answers *)) {
    struct answers *engine = answers_of(calls, "1"), *driver = answers_of(calls, "0");
    EXPECT_IS(driver->count, engine->count);
    EXPECT(driver->count > 0);
    for (int i = 0; i < driver->count; i++)
        if (engine->result[i] != driver->result[i]) fail_at(__FILE__, __LINE__, "answer %d is %d, the driver's is %d", i, engine->result[i], driver->result[i]);
    EXPECT_IS(0, driver->engine);
    return engine;
}

static void expect_all(CUresult expected, const struct answers *a) {
    for (int i = 0; i < a->count; i++) EXPECT_IS(expected, a->result[i]);
}

static void both_ways(struct answers *a, CUdeviceptr device, char *host, size_t bytes, CUstream s) {
    for (enum form form = PLAIN; form < FORMS; form++) {
        add(a, upload(form, device, host, bytes, s));
        add(a, download(form, host, device, bytes, s));
    }
}

/* Where nothing is known of the address, a unified copy would take it for the host's. */
static void both_ways_as_told(struct answers *a, CUdeviceptr device, char *host, size_t bytes, CUstream s) {
    static const enum form forms[] = {PLAIN, PLAIN_PTDS, LATER, LATER_PTSZ};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        add(a, upload(forms[i], device, host, bytes, s));
        add(a, download(forms[i], host, device, bytes, s));
    }
}

static CUdeviceptr allocated(size_t bytes) {
    CUdeviceptr device = 0;
    OK(cu.cuMemAlloc_v2(&device, bytes));
    return device;
}

static void copy_right(void) {
    CUdeviceptr device = allocated(BYTES);
    char *out = malloc(BYTES), *in = calloc(1, BYTES);
    memset(out, 'r', BYTES);
    OK(cu.cuMemcpyHtoD_v2(device, out, BYTES));
    OK(cu.cuMemcpyDtoH_v2(in, device, BYTES));
    EXPECT(all_are(in, 'r', BYTES));
    free(out);
    free(in);
}

static void without_context(struct answers *a) {
    CUdeviceptr device = allocated(BYTES);
    char *host = calloc(1, BYTES);
    OK(cu.cuCtxSetCurrent(NULL));
    both_ways(a, device, host, BYTES, NULL);
    free(host);
    EXPECT_IS(a->count, statistic("passed_other"));
}

static void withoutAContextCopiesFail(void) { expect_all(CUDA_ERROR_INVALID_CONTEXT, expect_the_drivers(without_context)); }

static void past_the_end(struct answers *a) {
    CUdeviceptr device = allocated(BYTES);
    char *host = calloc(1, 2 * BYTES);
    both_ways(a, device, host, BYTES + 1, NULL);
    both_ways(a, device + 1, host, BYTES, NULL);
    both_ways_as_told(a, device + BYTES, host, BYTES, NULL);
    free(host);
    copy_right();
}

static void aCopyPastTheEndFails(void) { expect_all(CUDA_ERROR_INVALID_VALUE, expect_the_drivers(past_the_end)); }

static void of_absurd_size(struct answers *a) {
    CUdeviceptr device = allocated(BYTES);
    char *host = calloc(1, BYTES);
    add(a, upload(PLAIN, device + BYTES / 2, host + BYTES / 2, SIZE_MAX, NULL));
    add(a, download(PLAIN, host + BYTES / 2, device + BYTES / 2, SIZE_MAX, NULL));
    add(a, upload(PLAIN, device, host, SIZE_MAX / 2, NULL));
    free(host);
    copy_right();
}

static void aCopyOfAnAbsurdSizeFails(void) { expect_all(CUDA_ERROR_INVALID_VALUE, expect_the_drivers(of_absurd_size)); }

static void into_freed_memory(struct answers *a) {
    CUdeviceptr device = allocated(64 * MB);
    char *host = calloc(1, BYTES);
    OK(cu.cuMemFree_v2(device));
    both_ways_as_told(a, device, host, BYTES, NULL);
    free(host);
    copy_right();
}

static void copiesOfFreedMemoryFail(void) { expect_all(CUDA_ERROR_INVALID_VALUE, expect_the_drivers(into_freed_memory)); }

static void with_null(struct answers *a) {
    CUdeviceptr device = allocated(BYTES);
    add(a, upload(PLAIN, device, NULL, BYTES, NULL));
    add(a, download(PLAIN, NULL, device, BYTES, NULL));
    copy_right();
}

static void copiesOfNothingAtNullFail(void) { expect_the_drivers(with_null); }

static void in_a_destroyed_stream(struct answers *a) {
    CUstream s;
    CUdeviceptr device = allocated(BYTES);
    char *host = calloc(1, BYTES);
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamDestroy_v2(s));
    for (enum form form = LATER; form < FORMS; form++) {
        add(a, upload(form, device, host, BYTES, s));
        add(a, download(form, host, device, BYTES, s));
    }
    free(host);
    copy_right();
}

static void copiesInADestroyedStreamFail(void) { expect_all(CUDA_ERROR_INVALID_HANDLE, expect_the_drivers(in_a_destroyed_stream)); }

/* Faults in the middle. Each copy of 4 MB has 64 parts. */

enum { LARGE = 4 * MB };

static void with_late_faults(const char *faults, const char *microseconds, const char *streams) {
    engine_takes_most(streams);
    setenv("TORPOR_SIM_FAULTS", faults, 1);
    setenv("TORPOR_SIM_DELAY_US", microseconds, 1);
    setenv("TORPOR_LOG", "off", 1);
    use_device(0);
}

static void with_faults(const char *faults) { with_late_faults(faults, "1000", "3"); }

/* The two results of a copy there and another one back. */
static void there_and_back(CUresult there, CUresult back, char value) {
    static CUdeviceptr device;
    if (!device) device = allocated(LARGE);
    char *out = malloc(LARGE), *in = calloc(1, LARGE);
    memset(out, value, LARGE);
    EXPECT_IS(there, cu.cuMemcpyHtoD_v2(device, out, LARGE));
    memset(out, 'z', LARGE); /* nobody reads it any more */
    EXPECT_IS(back, cu.cuMemcpyDtoH_v2(in, device, LARGE));
    if (!there && !back) EXPECT(all_are(in, value, LARGE));
    free(out);
    free(in);
}

static void expect_recovery(const char *faults, CUresult there, CUresult back) {
    with_faults(faults);
    there_and_back(there, back, 'a');
    for (char value = 'b'; value < 'g'; value++) there_and_back(CUDA_SUCCESS, CUDA_SUCCESS, value);
    EXPECT_IS(12, meant_for_engine());
    EXPECT(by_engine() > 0);
}

static void anUploadThatFailsInTheMiddleSaysSo(void) { expect_recovery("cuMemcpyHtoDAsync#20=700", CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_SUCCESS); }
static void aDownloadThatFailsInTheMiddleSaysSo(void) { expect_recovery("cuMemcpyDtoHAsync#20=700", CUDA_SUCCESS, CUDA_ERROR_ILLEGAL_ADDRESS); }
static void anUploadThatFailsAtItsLastPartSaysSo(void) { expect_recovery("cuMemcpyHtoDAsync#64=700", CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_SUCCESS); }
static void aDownloadThatFailsAtItsLastPartSaysSo(void) { expect_recovery("cuMemcpyDtoHAsync#64=700", CUDA_SUCCESS, CUDA_ERROR_ILLEGAL_ADDRESS); }

/* The first is the one that waits for the stream. */
static void anUploadThatCannotBeWaitedForSaysSo(void) { expect_recovery("cuEventSynchronize#20=700", CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_SUCCESS); }
static void aDownloadThatCannotBeWaitedForSaysSo(void) { expect_recovery("cuEventSynchronize#90=700", CUDA_SUCCESS, CUDA_ERROR_ILLEGAL_ADDRESS); }
static void anUploadWhosePartsCannotBeMarkedSaysSo(void) { expect_recovery("cuEventRecord#20=700", CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_SUCCESS); }
static void aDownloadWhosePartsCannotBeMarkedSaysSo(void) { expect_recovery("cuEventRecord#90=700", CUDA_SUCCESS, CUDA_ERROR_ILLEGAL_ADDRESS); }

/* The second of four parts is not marked, and still under way when the next copy takes its buffer. */
static void whatAFailedDownloadLeavesBehindHarmsNoUpload(void) {
    size_t bytes = 256 * KB;
    with_late_faults("cuEventRecord#10=700", "100000", "1");
    CUdeviceptr device = allocated(bytes);
    char *a = malloc(bytes), *b = malloc(bytes), *in = calloc(1, bytes);
    memset(a, 'a', bytes);
    memset(b, 'b', bytes);
    OK(cu.cuMemcpyHtoD_v2(device, a, bytes));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuMemcpyDtoH_v2(in, device, bytes));
    OK(cu.cuMemcpyHtoD_v2(device, b, bytes));
    OK(cu.cuMemcpyDtoH_v2(in, device, bytes));
    EXPECT(all_are(in, 'b', bytes));
    EXPECT_IS(4, meant_for_engine());
    EXPECT(by_engine() > 0);
    free(a);
    free(b);
    free(in);
}

/* Where it cannot wait for the stream, the driver copies. */
static void expect_the_driver_once(const char *faults) {
    with_faults(faults);
    there_and_back(CUDA_SUCCESS, CUDA_SUCCESS, 'w');
    EXPECT_IS(1, statistic("passed_other"));
    EXPECT_IS(1, meant_for_engine());
    there_and_back(CUDA_SUCCESS, CUDA_SUCCESS, 'v');
    EXPECT_IS(3, meant_for_engine());
    EXPECT(by_engine() > 0);
}

static void aStreamThatCannotBeWaitedForIsTheDrivers(void) { expect_the_driver_once("cuEventSynchronize#1=999"); }
static void aStreamThatCannotBeMarkedIsTheDrivers(void) { expect_the_driver_once("cuEventRecord#1=999"); }
static void aStreamThatGetsNoEventIsTheDrivers(void) { expect_the_driver_once("cuEventCreate#1=2"); }
static void memoryOfWhichNothingIsToldIsTheDrivers(void) { expect_the_driver_once("cuPointerGetAttributes#1=999"); }

static void expect_aside(const char *faults) {
    with_faults(faults);
    for (char value = 'a'; value < 'd'; value++) there_and_back(CUDA_SUCCESS, CUDA_SUCCESS, value);
    EXPECT_IS(6, statistic("passed_aside"));
    EXPECT_IS(0, by_engine());
}

static void withoutPinnedMemoryTheEngineStepsAside(void) { expect_aside("cuMemHostAlloc=2"); }
static void withoutStreamsTheEngineStepsAside(void) { expect_aside("cuStreamCreate=2"); }
static void withoutItsLastStreamTheEngineStepsAside(void) { expect_aside("cuStreamCreate#3=2"); }
static void withoutItsEventsTheEngineStepsAside(void) { expect_aside("cuEventCreate#4=2"); }
static void withoutItsDeviceTheEngineStepsAside(void) { expect_aside("cuCtxGetDevice=999"); }

static void withAQuarterOfThePinnedMemoryTheEngineWorks(void) {
    engine_takes_most("8");
    setenv("TORPOR_SIM_FAULTS", "cuMemHostAlloc#1-2=2", 1);
    use_device(0);
    for (char value = 'a'; value < 'd'; value++) there_and_back(CUDA_SUCCESS, CUDA_SUCCESS, value);
    EXPECT_IS(6, meant_for_engine());
    EXPECT(by_engine() > 0);
}

static void theLastStepOfAnAsynchronousUploadMayFail(void) {
    enum { WAITED_FOR = 8 * MB }; /* smaller uploads are the driver's where a stream seems busy, and on a busy machine each does */
    CUstream s;
    CUdeviceptr device;
    with_faults("cuStreamWaitEvent#1=999");
    char *out = calloc(1, WAITED_FOR);
    device = allocated(WAITED_FOR);
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    EXPECT_IS(CUDA_ERROR_UNKNOWN, cu.cuMemcpyHtoDAsync_v2(device, out, WAITED_FOR, s));
    free(out);
    there_and_back(CUDA_SUCCESS, CUDA_SUCCESS, 'a');
    EXPECT_IS(3, meant_for_engine());
    EXPECT(by_engine() > 0);
}

#define FAULT(test) RUN_SIMULATED(test, "a real driver takes no faults")

int main(void) {
    RUN(withoutAContextCopiesFail);
    RUN(aCopyPastTheEndFails);
    RUN_SIMULATED(aCopyOfAnAbsurdSizeFails, "a real driver crashes, without the shim too");
    RUN(copiesOfFreedMemoryFail);
    RUN(copiesOfNothingAtNullFail);
    RUN_SIMULATED(copiesInADestroyedStreamFail, "a real driver may crash");
    FAULT(anUploadThatFailsInTheMiddleSaysSo);
    FAULT(aDownloadThatFailsInTheMiddleSaysSo);
    FAULT(anUploadThatFailsAtItsLastPartSaysSo);
    FAULT(aDownloadThatFailsAtItsLastPartSaysSo);
    FAULT(anUploadThatCannotBeWaitedForSaysSo);
    FAULT(aDownloadThatCannotBeWaitedForSaysSo);
    FAULT(anUploadWhosePartsCannotBeMarkedSaysSo);
    FAULT(aDownloadWhosePartsCannotBeMarkedSaysSo);
    FAULT(whatAFailedDownloadLeavesBehindHarmsNoUpload);
    FAULT(aStreamThatCannotBeWaitedForIsTheDrivers);
    FAULT(aStreamThatCannotBeMarkedIsTheDrivers);
    FAULT(aStreamThatGetsNoEventIsTheDrivers);
    FAULT(memoryOfWhichNothingIsToldIsTheDrivers);
    FAULT(withoutPinnedMemoryTheEngineStepsAside);
    FAULT(withoutStreamsTheEngineStepsAside);
    FAULT(withoutItsLastStreamTheEngineStepsAside);
    FAULT(withoutItsEventsTheEngineStepsAside);
    FAULT(withoutItsDeviceTheEngineStepsAside);
    FAULT(withAQuarterOfThePinnedMemoryTheEngineWorks);
    FAULT(theLastStepOfAnAsynchronousUploadMayFail);
    return summary();
}
