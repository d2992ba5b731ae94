/* What a program hears about its memory: of an allocation that the shim has made, what the driver would say of its own. */
#include "allocate.h"
#include "kept.h"
#include "order.h"
#include "settings.h"
#include "statistics.h"

#include <string.h>

/* Found: a copy of the allocation that holds the address. */
static int find(CUdeviceptr address, struct mapping *copy) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct mapping *m = mapping_at(address);
    int found = m && m->request.bytes && !m->request.freed;
    if (found) *copy = *m;
    pthread_rwlock_unlock(&blocks_lock);
    return found && address - copy->base < copy->request.bytes;
}

EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
    const struct driver *d = driver();
    struct mapping m;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    if (!find(address, &m)) return d->cuMemGetAddressRange_v2(base, size, address);
    if (base) *base = m.base;
    if (size) *size = m.request.bytes;
    return CUDA_SUCCESS;
}

/* What is kept for the next allocation is free to the program. */
EXPORT CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
    const struct driver *d = driver();
    CUdevice device;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemGetInfo_v2(free, total);
    if (!result && !d->cuCtxGetDevice(&device) && device < MAX_DEVICES) *free += kept_bytes(device);
    return result;
}

/* What is not the same for a mapping. */
static int differs(void *data, CUpointer_attribute attribute, const struct mapping *m) {
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: memcpy(data, &m->request.context, sizeof m->request.context); return 1;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: memcpy(data, &(int){CU_MEM_ACCESS_FLAGS_PROT_READWRITE}, sizeof(int)); return 1; /* whoever asks */
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: memcpy(data, &m->request.bytes, sizeof m->request.bytes); return 1;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: memcpy(data, &m->request.pool, sizeof m->request.pool); return 1;
    default: return 0;
    }
}

/* The driver knows nothing of what is parked, so what is asked most is answered here. */
static int known(void *data, CUpointer_attribute attribute, CUdeviceptr address, const struct mapping *m) {
    CUdevice device = m->block->prop.location.id;
    if (differs(data, attribute, m)) return 1;
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: memcpy(data, &(unsigned){CU_MEMORYTYPE_DEVICE}, sizeof(unsigned)); return 1;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: memcpy(data, &address, sizeof address); return 1;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: memcpy(data, &(int){0}, sizeof(int)); return 1;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: memcpy(data, &device, sizeof device); return 1;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &m->base, sizeof m->base); return 1;
    case CU_POINTER_ATTRIBUTE_MAPPED: memcpy(data, &(int){1}, sizeof(int)); return 1;
    default: return 0;
    }
}

static int all_known(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address, const struct mapping *m) {
    int all = 1;
    for (unsigned i = 0; i < count && all; i++) all = data[i] && known(data[i], attributes[i], address, m);
    return all;
}

/* NULL: it was answered. Otherwise the driver is to be asked. */
static struct giving *enter_or_answer(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address, const struct mapping *m) {
    struct giving *giving = order_enter_memory_now();
    if (giving) return giving;
    return all_known(count, attributes, data, address, m) ? NULL : order_enter_memory();
}

EXPORT CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    const struct driver *d = driver();
    struct mapping m;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    if (!data || !find(address, &m)) return d->cuPointerGetAttribute(data, attribute, address);
    struct giving *giving = enter_or_answer(1, &attribute, &data, address, &m);
    if (!giving) return CUDA_SUCCESS;
    CUresult result = d->cuPointerGetAttribute(data, attribute, address);
    if (!result) differs(data, attribute, &m);
    order_leave(giving);
    return result;
}

EXPORT CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address) {
    const struct driver *d = driver();
    struct mapping m;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    if (!count || !attributes || !data || !find(address, &m)) return d->cuPointerGetAttributes(count, attributes, data, address);
    struct giving *giving = enter_or_answer(count, attributes, data, address, &m);
    if (!giving) return CUDA_SUCCESS;
    CUresult result = d->cuPointerGetAttributes(count, attributes, data, address);
    for (unsigned i = 0; i < count && !result; i++) differs(data[i], attributes[i], &m);
    order_leave(giving);
    return result;
}

/* Other processes and devices that reach the memory would not see it move. */
static void stay(CUdeviceptr address, size_t size, enum stays why) {
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct mapping *m = mapping_next(address); m && m->base < address + size; m = mapping_next(m->base + m->size)) m->block->stays = why;
    pthread_rwlock_unlock(&blocks_lock);
}

EXPORT CUresult cuMemGetHandleForAddressRange(void *handle, CUdeviceptr address, size_t size, CUmemRangeHandleType type, unsigned long long flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMemGetHandleForAddressRange(handle, address, size, type, flags);
    if (!result) stay(address, size, STAYS_EXPORTED);
    order_leave(giving);
    return result;
}

/* The driver shares no mapped memory this way. */
EXPORT CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address) {
    static _Atomic int told;
    const struct driver *d = driver();
    struct mapping m;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuIpcGetMemHandle(handle, address);
    order_leave(giving);
    if (result && find(address, &m) && !atomic_exchange(&told, 1))
        say(LOG_WARN, "memory that can be parked cannot be shared by cuIpcGetMemHandle; TORPOR_PARK=0 leaves all memory to the driver.");
    return result;
}

EXPORT CUresult cuMulticastBindAddr(CUmemGenericAllocationHandle multicast, size_t at, CUdeviceptr address, size_t size, unsigned long long flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMulticastBindAddr(multicast, at, address, size, flags);
    if (!result) stay(address, size, STAYS_EXPORTED);
    order_leave(giving);
    return result;
}
