/* The management library: looks at the same machine from outside. */
#define _GNU_SOURCE
#include "../abi/nvml_functions.h"
#include "faults.h"
#include "machine.h"
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define UUID_FORMAT "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"

struct nvmlDevice_st { int index; };
static struct nvmlDevice_st devices[MAX_DEVICES];
static _Atomic int users;

static const char *const functions[] = {
    "nvmlInit_v2", "nvmlShutdown", "nvmlSystemGetDriverVersion", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetHandleByUUID", "nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetPersistenceMode",
    "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v3",
};

static const char *exported_name(const char *asked) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (is_name(functions[i], asked)) return functions[i];
    return NULL;
}

static int faults_valid;

static void load(void) {
    faults_valid = faults_load(getenv("TORPOR_SIM_FAULTS"), 1, exported_name);
    for (int i = 0; i < MAX_DEVICES; i++) devices[i].index = i;
}

/* Nonzero: answer with *result instead of working. */
static int faulty(const char *name, nvmlReturn_t *result) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct fault fault = {.code = -1};
    pthread_once(&once, load);
    if (!fault_next(name, &fault)) return 0;
    fault_suffer(&fault);
    *result = (nvmlReturn_t)fault.code;
    return fault.code >= 0;
}

#define BEGIN(condition) do { \
        nvmlReturn_t result; \
        if (faulty(__func__, &result)) return result; \
        if (!users) return NVML_ERROR_UNINITIALIZED; \
        if (!(condition)) return NVML_ERROR_INVALID_ARGUMENT; \
    } while (0)

static int is_device(nvmlDevice_t device) { return device >= devices && device < devices + machine()->devices; }

EXPORT nvmlReturn_t nvmlInit_v2(void) {
    nvmlReturn_t result;
    if (faulty(__func__, &result)) return result;
    if (!faults_valid || !machine()) return NVML_ERROR_DRIVER_NOT_LOADED;
    users++;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlShutdown(void) {
    BEGIN(1);
    users--;
    return NVML_SUCCESS;
}

EXPORT const char *nvmlErrorString(nvmlReturn_t result) {
    switch (result) {
    case NVML_SUCCESS: return "Success";
    case NVML_ERROR_UNINITIALIZED: return "Uninitialized";
    case NVML_ERROR_INVALID_ARGUMENT: return "Invalid Argument";
    case NVML_ERROR_NOT_SUPPORTED: return "Not Supported";
    case NVML_ERROR_NO_PERMISSION: return "Insufficient Permissions";
    case NVML_ERROR_NOT_FOUND: return "Not Found";
    case NVML_ERROR_INSUFFICIENT_SIZE: return "Insufficient Size";
    case NVML_ERROR_DRIVER_NOT_LOADED: return "Driver Not Loaded";
    default: return "Unknown Error";
    }
}

static nvmlReturn_t give(char *to, unsigned length, const char *text) {
    if (strlen(text) >= length) return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(to, text);
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    BEGIN(version);
    return give(version, length, "580.0.SIMULATED");
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
    BEGIN(count);
    *count = (unsigned)machine()->devices;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    BEGIN(device && index < (unsigned)machine()->devices);
    *device = &devices[index];
    return NVML_SUCCESS;
}

static void uuid_text(int device, char *text, size_t size) {
    CUuuid uuid;
    device_uuid(device, &uuid);
    const unsigned char *b = (const unsigned char *)uuid.bytes;
    snprintf(text, size, UUID_FORMAT, b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    BEGIN(uuid && device);
    for (int i = 0; i < machine()->devices; i++) {
        char text[64];
        uuid_text(i, text, sizeof text);
        if (!strcmp(text, uuid)) return *device = &devices[i], NVML_SUCCESS;
    }
    return NVML_ERROR_NOT_FOUND;
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length) {
    char text[64];
    BEGIN(is_device(device) && uuid);
    uuid_text(device->index, text, sizeof text);
    return give(uuid, length, text);
}

EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
    char text[64];
    BEGIN(is_device(device) && name);
    device_name(text, sizeof text);
    return give(name, length, text);
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    BEGIN(is_device(device) && memory);
    memory->total = machine()->memory;
    memory->used = device_used(device->index);
    memory->free = memory->total > memory->used ? memory->total - memory->used : 0;
    return NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t *mode) {
    BEGIN(is_device(device) && mode);
    *mode = NVML_FEATURE_ENABLED;
    return NVML_SUCCESS;
}

static int listed(struct slot *slot, int device, int mps) {
    return atomic_load(&slot->pid) && atomic_load(&slot->mps) == mps && atomic_load(&slot->contexts[device])
        && atomic_load(&slot->state) != CU_PROCESS_STATE_CHECKPOINTED && slot_alive(slot, atomic_load(&slot->generation));
}

static nvmlReturn_t list(int device, int mps, unsigned *count, nvmlProcessInfo_t *infos) {
    unsigned found = 0, room = *count;
    for (int i = 0; i < MAX_SLOTS; i++) {
        struct slot *slot = &machine()->slots[i];
        if (!listed(slot, device, mps)) continue;
        if (infos && found < room)
            infos[found] = (nvmlProcessInfo_t){(unsigned)slot_pid(slot), atomic_load(&slot->used[device]), ~0u, ~0u};
        found++;
    }
    *count = found;
    return found > room || (found && !infos) ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *infos) {
    BEGIN(is_device(device) && count);
    return list(device->index, 0, count, infos);
}

EXPORT nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *infos) {
    BEGIN(is_device(device) && count);
    return list(device->index, 1, count, infos);
}
