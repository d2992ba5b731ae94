#include "driver.h"
#include "errors.h"

enum { DRIVER_VERSION = 13000 };

int device_known(CUdevice device) { return device >= 0 && device < driver.machine->devices; }

CUresult do_cuDriverGetVersion(int *version) {
    if (!version) return CUDA_ERROR_INVALID_VALUE;
    *version = DRIVER_VERSION;
    return CUDA_SUCCESS;
}

CUresult do_cuGetErrorName(CUresult error, const char **text) {
    if (!text) return CUDA_ERROR_INVALID_VALUE;
    *text = error_name((int)error);
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuGetErrorString(CUresult error, const char **text) {
    if (!text) return CUDA_ERROR_INVALID_VALUE;
    *text = error_text((int)error);
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuDeviceGetCount(int *count) {
    if (!count) return CUDA_ERROR_INVALID_VALUE;
    *count = driver.machine->devices;
    return CUDA_SUCCESS;
}

CUresult do_cuDeviceGet(CUdevice *device, int ordinal) {
    if (!device) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult do_cuDeviceGetName(char *name, int length, CUdevice device) {
    if (!name || length <= 0) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    device_name(name, (size_t)length);
    return CUDA_SUCCESS;
}

CUresult do_cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
    if (!uuid) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    device_uuid(driver.physical[device], uuid);
    return CUDA_SUCCESS;
}

CUresult do_cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    if (!bytes) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    *bytes = driver.machine->memory;
    return CUDA_SUCCESS;
}

static const struct { int attribute, value; } attributes[] = {
    {1, 1024}, {2, 1024}, {3, 1024}, {4, 64}, {5, 2147483647}, {6, 65535}, {7, 65535}, /* block and grid limits */
    {8, 49152}, {9, 65536}, {10, 32}, {11, 2147483647}, {12, 65536}, {13, 1980000}, {14, 512}, {15, 1},
    {16, 132}, {17, 0}, {18, 0}, {19, 1}, {20, 0}, {31, 1}, {32, 1}, {34, 0}, {35, 0}, {36, 3201000}, {37, 6144},
    {38, 52428800}, {39, 2048}, {40, 3}, {41, 1}, {50, 0}, {75, 9}, {76, 0}, {78, 1}, {79, 1}, {80, 1},
    {81, 233472}, {82, 65536}, {83, 0}, {84, 0}, {88, 0}, {89, 0}, {90, 1}, {95, 1}, {97, 232448}, {99, 1},
    {102, 1}, {103, 1}, {106, 32}, {107, 0}, {110, 1}, {115, 1}, {116, 0}, {119, 1}, {124, 1}, {128, 0}, {132, 0},
};

CUresult do_cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (attribute == CU_DEVICE_ATTRIBUTE_PCI_BUS_ID) return *value = device + 1, CUDA_SUCCESS;
    if ((int)attribute == 133) return *value = atomic_load(&driver.slot->mps), CUDA_SUCCESS;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (attributes[i].attribute == (int)attribute) return *value = attributes[i].value, CUDA_SUCCESS;
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemGetInfo_v2(size_t *available, size_t *total) {
    if (atomic_load(&driver.slot->state) == CU_PROCESS_STATE_CHECKPOINTED) return CUDA_ERROR_OPERATING_SYSTEM;
    uint64_t used = device_used(driver.physical[context_current()->device]);
    if (total) *total = driver.machine->memory;
    if (available) *available = used > driver.machine->memory ? 0 : driver.machine->memory - used; /* as drivers 580, which answer what they are asked */
    return CUDA_SUCCESS;
}
