#include "kind.h"

#include <stdint.h>

static enum kind kind_at(CUdeviceptr address, CUdevice *device) {
    CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    unsigned type = 0, managed = 0; /* the second is a bool, so its first byte is written at least */
    void *values[] = {&type, &managed, device};
    if (driver()->cuPointerGetAttributes(3, attributes, values, address)) return UNKNOWN;
    if (managed) return MANAGED_MEMORY;
    return type == 0 ? PAGEABLE : type == CU_MEMORYTYPE_HOST ? PINNED_HOST : type == CU_MEMORYTYPE_DEVICE ? DEVICE_MEMORY : UNKNOWN;
}

/* Where the allocation, or the mapping, of an address ends. 0: nobody knows. */
static CUdeviceptr end_at(CUdeviceptr address) {
    CUdeviceptr base = 0;
    size_t size = 0;
    return driver()->cuMemGetAddressRange_v2(&base, &size, address) ? 0 : base + size;
}

/* By cuMemMap. Many such mappings beside each other are one range to the driver, and many allocations are not. */
static int is_mapped(CUdeviceptr address) {
    CUmemGenericAllocationHandle handle;
    const struct driver *d = driver();
    if (!d->cuMemRetainAllocationHandle || !d->cuMemRelease) return 0;
    return !d->cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)address) && !d->cuMemRelease(handle);
}

static int is_one_range(CUdeviceptr address, CUdeviceptr last) {
    CUdeviceptr end = end_at(address);
    if (end > last) return 1;
    if (!end || !is_mapped(address) || !is_mapped(last)) return 0;
    while (end > address && end <= last) end = end_at(address = end); /* no gap between them */
    return end > last;
}

enum kind kind_of(CUdeviceptr address, size_t bytes, CUdevice *device) {
    CUdevice at_end = 0;
    if (!address || bytes > UINT64_MAX - address) return UNKNOWN;
    CUdeviceptr last = address + bytes - 1;
    enum kind kind = kind_at(address, device);
    if (kind != kind_at(last, &at_end) || (kind == DEVICE_MEMORY && *device != at_end)) return UNKNOWN;
    return kind == DEVICE_MEMORY && !is_one_range(address, last) ? UNKNOWN : kind;
}
