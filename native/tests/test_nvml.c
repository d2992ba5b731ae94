/* Only of the simulator: NVML sees the same machine from outside. */
#include "harness.h"
#include "../abi/nvml_functions.h"

#include <dlfcn.h>

#define CALLS(X) \
    X(nvmlInit_v2) X(nvmlShutdown) X(nvmlSystemGetDriverVersion) X(nvmlDeviceGetCount_v2) X(nvmlDeviceGetHandleByIndex_v2) \
    X(nvmlDeviceGetHandleByUUID) X(nvmlDeviceGetUUID) X(nvmlDeviceGetName) X(nvmlDeviceGetMemoryInfo) X(nvmlDeviceGetPersistenceMode) \
    X(nvmlDeviceGetComputeRunningProcesses_v3) X(nvmlDeviceGetMPSComputeRunningProcesses_v3) X(nvmlErrorString)
#define POINTER(name) __typeof__(name) *name;
static struct { CALLS(POINTER) } nvml;

static void load_nvml(void) {
    void *library = dlopen(output_path("simulator/libnvidia-ml.so.1"), RTLD_NOW);
    if (!library) {
        printf("    %s\n", dlerror());
        exit(2);
    }
#define FIND(name) if (!(nvml.name = (__typeof__(name) *)dlsym(library, #name))) fail_at(__FILE__, __LINE__, "%s", #name);
    CALLS(FIND)
}

static nvmlDevice_t first_device(void) {
    nvmlDevice_t device = NULL;
    load_nvml();
    OK(nvml.nvmlInit_v2());
    OK(nvml.nvmlDeviceGetHandleByIndex_v2(0, &device));
    return device;
}

static void devicesDescribeThemselves(void) {
    char text[96], uuid[96];
    unsigned count = 0;
    nvmlDevice_t again = NULL;
    nvmlEnableState_t mode = NVML_FEATURE_DISABLED;
    fresh_machine(2, "64M");
    nvmlDevice_t device = first_device();
    OK(nvml.nvmlDeviceGetCount_v2(&count));
    EXPECT_IS(2, count);
    OK(nvml.nvmlDeviceGetName(device, text, sizeof text));
    EXPECT(strstr(text, "SIMULATED"));
    OK(nvml.nvmlSystemGetDriverVersion(text, sizeof text));
    EXPECT(strstr(text, "SIMULATED"));
    OK(nvml.nvmlDeviceGetUUID(device, uuid, sizeof uuid));
    OK(nvml.nvmlDeviceGetHandleByUUID(uuid, &again));
    EXPECT(again == device);
    OK(nvml.nvmlDeviceGetPersistenceMode(device, &mode));
    EXPECT_IS(NVML_FEATURE_ENABLED, mode);
    EXPECT_IS(NVML_ERROR_INSUFFICIENT_SIZE, nvml.nvmlDeviceGetName(device, text, 3));
    EXPECT_IS(NVML_ERROR_NOT_FOUND, nvml.nvmlDeviceGetHandleByUUID("GPU-0", &again));
    EXPECT_IS(NVML_ERROR_INVALID_ARGUMENT, nvml.nvmlDeviceGetHandleByIndex_v2(2, &again));
    EXPECT(!strcmp(nvml.nvmlErrorString(NVML_SUCCESS), "Success"));
}

static void theUuidIsTheDrivers(void) {
    CUuuid uuid;
    char text[96], expected[8];
    nvmlDevice_t device = first_device();
    use_device(0);
    OK(cu.cuDeviceGetUuid_v2(&uuid, 0));
    OK(nvml.nvmlDeviceGetUUID(device, text, sizeof text));
    snprintf(expected, sizeof expected, "%02x%02x", (unsigned char)uuid.bytes[14], (unsigned char)uuid.bytes[15]);
    EXPECT(!strncmp(text, "GPU-", 4) && strlen(text) == 40 && !strcmp(text + 36, expected));
}

static void nothingWorksBeforeInit(void) {
    unsigned count;
    load_nvml();
    EXPECT_IS(NVML_ERROR_UNINITIALIZED, nvml.nvmlDeviceGetCount_v2(&count));
    OK(nvml.nvmlInit_v2());
    OK(nvml.nvmlInit_v2());
    OK(nvml.nvmlShutdown());
    OK(nvml.nvmlDeviceGetCount_v2(&count));
    OK(nvml.nvmlShutdown());
    EXPECT_IS(NVML_ERROR_UNINITIALIZED, nvml.nvmlDeviceGetCount_v2(&count));
    EXPECT_IS(NVML_ERROR_UNINITIALIZED, nvml.nvmlShutdown());
}

static unsigned long long used_by(nvmlDevice_t device, int pid) {
    nvmlProcessInfo_t infos[8];
    unsigned count = 8;
    OK(nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, &count, infos));
    for (unsigned i = 0; i < count; i++)
        if (infos[i].pid == (unsigned)pid) return infos[i].usedGpuMemory;
    return 0;
}

static void aCheckpointedProcessIsNotListed(void) {
    nvmlMemory_t memory;
    unsigned count = 0;
    fresh_machine(1, "128M");
    nvmlDevice_t device = first_device();
    load_driver();
    struct target t = start_target(NULL, "40M", NULL, NULL);
    EXPECT_IS(48ULL << 20, used_by(device, t.pid) & ~0xfffffULL);
    EXPECT_IS(NVML_ERROR_INSUFFICIENT_SIZE, nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, &count, NULL));
    EXPECT_IS(1, count);
    suspend(t.pid);
    EXPECT_IS(0, used_by(device, t.pid));
    OK(nvml.nvmlDeviceGetMemoryInfo(device, &memory));
    EXPECT(memory.used == 0 && memory.free == memory.total && memory.total == 128 << 20);
    resume(t.pid);
    EXPECT(used_by(device, t.pid) >= 48 << 20);
    OK(finish(&t));
    EXPECT_IS(0, used_by(device, t.pid));
    OK(nvml.nvmlDeviceGetMemoryInfo(device, &memory));
    EXPECT_IS(0, memory.used);
}

static void aProcessWithoutContextIsNotListed(void) {
    fresh_machine(1, "128M");
    nvmlDevice_t device = first_device();
    struct target t = start_target(NULL, "2M", "--no-context", NULL);
    EXPECT_IS(0, used_by(device, t.pid));
    OK(finish(&t));
}

static void mpsClientsHaveTheirOwnList(void) {
    const char *const environment[] = {"TORPOR_SIM_MPS=1", NULL};
    nvmlProcessInfo_t infos[8];
    unsigned count = 8;
    fresh_machine(1, "128M");
    nvmlDevice_t device = first_device();
    struct target t = start_target(environment, "2M", NULL, NULL);
    EXPECT_IS(0, used_by(device, t.pid));
    OK(nvml.nvmlDeviceGetMPSComputeRunningProcesses_v3(device, &count, infos));
    EXPECT(count == 1 && infos[0].pid == (unsigned)t.pid);
    OK(finish(&t));
}

static void callsFailWhenTheyAreToldTo(void) {
    unsigned count;
    setenv("TORPOR_SIM_FAULTS", "nvmlDeviceGetCount#1=4", 1);
    first_device();
    EXPECT_IS(NVML_ERROR_NO_PERMISSION, nvml.nvmlDeviceGetCount_v2(&count));
    OK(nvml.nvmlDeviceGetCount_v2(&count));
}

static void malformedSettingsStopIt(void) {
    setenv("TORPOR_SIM_FAULTS", "nvmlNoSuch=4", 1);
    load_nvml();
    int capture = capture_errors();
    EXPECT_IS(NVML_ERROR_DRIVER_NOT_LOADED, nvml.nvmlInit_v2());
    char *said = captured_errors(capture);
    EXPECT(strstr(said, "TORPOR_SIM_FAULTS") && strstr(said, "nvmlNoSuch=4"));
    free(said);
}

int main(void) {
    RUN(devicesDescribeThemselves);
    RUN(theUuidIsTheDrivers);
    RUN(nothingWorksBeforeInit);
    RUN(aCheckpointedProcessIsNotListed);
    RUN(aProcessWithoutContextIsNotListed);
    RUN(mpsClientsHaveTheirOwnList);
    RUN(callsFailWhenTheyAreToldTo);
    RUN(malformedSettingsStopIt);
    return summary();
}
