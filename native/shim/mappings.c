/* The program's own virtual memory management. Its handles are the shim's, so that what a handle stands for may go and come back. */
#include "allocate.h"
#include "devices.h"
#include "order.h"
#include "park.h"
#include "pool.h"
#include "shared.h"
#include "statistics.h"

#include <string.h>

enum { TILE_POOL = 1 /* CU_MEM_CREATE_USAGE_TILE_POOL */ };

/* With the lock. Neither the program nor an address needs it any more. */
static int is_unused(const struct block *block) { return !block->references && !block->mappings; }

/* The driver's handle: of a block, or the handle itself where the shim has not made it. 0: it stands for nothing any more. */
static int find_real(CUmemGenericAllocationHandle handle, CUmemGenericAllocationHandle *real) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct block *block = block_of_handle(handle);
    *real = block ? block->handle : handle;
    pthread_rwlock_unlock(&blocks_lock);
    return block || !handle_looks_ours(handle);
}

#define WITH_REAL(handle, call) ({ \
        CUmemGenericAllocationHandle real; \
        find_real(handle, &real) ? (call) : CUDA_ERROR_INVALID_VALUE; \
    })

static int is_recorded(const CUmemAllocationProp *prop) {
    return park_on() && prop->type == CU_MEM_ALLOCATION_TYPE_PINNED && prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE && prop->location.id >= 0 &&
           prop->location.id < MAX_DEVICES && prop->allocFlags.usage != TILE_POOL;
}

static void record(CUmemGenericAllocationHandle *handle, const CUmemAllocationProp *prop, size_t size) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct block *block = block_add(*handle, prop, size);
    if (block && !block_name(block)) block_remove(block), block = NULL;
    if (block) block->references = 1, *handle = block_handle(block);
    pthread_rwlock_unlock(&blocks_lock);
}

EXPORT CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *prop, unsigned long long flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMemCreate(handle, size, prop, flags);
    if (result == CUDA_ERROR_OUT_OF_MEMORY && prop && is_recorded(prop) && pools_give_up_now(prop->location.id)) result = d->cuMemCreate(handle, size, prop, flags);
    if (!result && handle && prop && is_recorded(prop)) devices_meet(prop->location.id), record(handle, prop, size);
    order_leave_memory(giving);
    return result;
}

/* The last one who needed it releases it. Answers whether the handle is known. */
static int release(CUmemGenericAllocationHandle handle, CUresult *result) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct block *block = block_of_handle(handle);
    CUmemGenericAllocationHandle last = 0;
    int ours = block || handle_looks_ours(handle);
    *result = ours && !block ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (block && !block->references) *result = CUDA_ERROR_INVALID_VALUE;
    else if (block && (--block->references, is_unused(block))) last = block->handle, block_remove(block);
    pthread_rwlock_unlock(&blocks_lock);
    if (last) *result = driver()->cuMemRelease(last);
    return ours;
}

EXPORT CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
    const struct driver *d = driver();
    CUresult result;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    if (!release(handle, &result) && !(result = d->cuMemRelease(handle))) shared_released(handle);
    order_leave_memory(giving);
    return result;
}

/* What cannot be recorded for want of memory stays where it is. */
static void map_recorded(CUdeviceptr address, CUmemGenericAllocationHandle handle) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct block *block = block_of_handle(handle);
    if (block && !mapping_add(address, block)) block->stays = STAYS_UNRECORDED;
    pthread_rwlock_unlock(&blocks_lock);
}

EXPORT CUresult cuMemMap(CUdeviceptr address, size_t size, size_t offset, CUmemGenericAllocationHandle handle, unsigned long long flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = WITH_REAL(handle, d->cuMemMap(address, size, offset, real, flags));
    if (!result) map_recorded(address, handle), shared_mapped(handle, address, size);
    order_leave_memory(giving);
    return result;
}

static int is_allocation_between(CUdeviceptr from, CUdeviceptr to) {
    int found = 0;
    pthread_rwlock_rdlock(&blocks_lock);
    for (struct mapping *m = mapping_next(from); m && m->base < to && !found; m = mapping_next(m->base + m->size)) found = m->request.bytes != 0;
    pthread_rwlock_unlock(&blocks_lock);
    return found;
}

/* The block that went with its last mapping. */
static CUmemGenericAllocationHandle unmap_one(struct mapping *m) {
    struct block *block = m->block;
    mapping_remove(m);
    if (!is_unused(block)) return 0;
    CUmemGenericAllocationHandle handle = block->handle;
    block_remove(block);
    return handle;
}

static void unmap_recorded(CUdeviceptr from, CUdeviceptr to) {
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct mapping *m = mapping_next(from); m && m->base < to; m = mapping_next(from)) {
        from = m->base + m->size;
        CUmemGenericAllocationHandle last = unmap_one(m);
        if (last) driver()->cuMemRelease(last);
    }
    pthread_rwlock_unlock(&blocks_lock);
}

EXPORT CUresult cuMemUnmap(CUdeviceptr address, size_t size) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = is_allocation_between(address, address + size) ? CUDA_ERROR_INVALID_VALUE : d->cuMemUnmap(address, size);
    if (!result) unmap_recorded(address, address + size), shared_unmapped(address, address + size);
    order_leave_memory(giving);
    return result;
}

EXPORT CUresult cuMemAddressReserve(CUdeviceptr *address, size_t size, size_t alignment, CUdeviceptr hint, unsigned long long flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuMemAddressReserve(address, size, alignment, hint, flags);
    order_leave_memory(giving);
    return result;
}

EXPORT CUresult cuMemAddressFree(CUdeviceptr address, size_t size) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = is_allocation_between(address, address + size) ? CUDA_ERROR_INVALID_VALUE : d->cuMemAddressFree(address, size);
    order_leave_memory(giving);
    return result;
}

static void note_access(struct mapping *m, const CUmemAccessDesc *one) {
    uint64_t bit = 1ULL << one->location.id;
    m->readers &= ~bit;
    m->writers &= ~bit;
    if (one->flags == CU_MEM_ACCESS_FLAGS_PROT_READ) m->readers |= bit;
    if (one->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE) m->writers |= bit;
}

static int is_device(const CUmemLocation *location) { return location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id >= 0 && location->id < MAX_DEVICES; }

static void note_accesses(CUdeviceptr from, CUdeviceptr to, const CUmemAccessDesc *list, size_t count) {
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct mapping *m = mapping_next(from); m && m->base < to; m = mapping_next(m->base + m->size))
        for (size_t i = 0; i < count; i++)
            if (is_device(&list[i].location)) note_access(m, &list[i]);
            else m->block->stays = STAYS_UNRECORDED;
    pthread_rwlock_unlock(&blocks_lock);
}

EXPORT CUresult cuMemSetAccess(CUdeviceptr address, size_t size, const CUmemAccessDesc *list, size_t count) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = is_allocation_between(address, address + size) ? CUDA_ERROR_INVALID_VALUE : d->cuMemSetAccess(address, size, list, count);
    if (!result) note_accesses(address, address + size, list, count);
    order_leave_memory(giving);
    return result;
}

/* Answered from the record, as the driver knows nothing of what is parked. An allocation is no mapping. 0: the driver is to answer. */
static int recorded_access(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address, CUresult *result) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct mapping *m = mapping_at(address);
    int found = m && (m->request.bytes || (m->block->stays != STAYS_UNRECORDED && is_device(location)));
    *result = found && m->request.bytes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (found && !*result) *flags = m->writers >> location->id & 1 ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : m->readers >> location->id & 1 ? CU_MEM_ACCESS_FLAGS_PROT_READ : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    pthread_rwlock_unlock(&blocks_lock);
    return found;
}

EXPORT CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address) {
    const struct driver *d = driver();
    CUresult result;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    if (flags && location && recorded_access(flags, location, address, &result)) return result;
    return d->cuMemGetAccess(flags, location, address);
}

static void stay(CUmemGenericAllocationHandle handle) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct block *block = block_of_handle(handle);
    if (block) block->stays = STAYS_EXPORTED;
    pthread_rwlock_unlock(&blocks_lock);
}

/* Whoever is given the driver's handle must find it unchanged ever after. */
#define GIVE_AWAY(name, parameters, arguments) \
    EXPORT CUresult name parameters { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct giving *giving = order_enter_memory(); \
        CUresult result = WITH_REAL(handle, d->name arguments); \
        if (!result) stay(handle); \
        order_leave_memory(giving); \
        return result; \
    }
GIVE_AWAY(cuMemExportToShareableHandle, (void *shareable, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type, unsigned long long flags),
          (shareable, real, type, flags))
GIVE_AWAY(cuMulticastBindMem, (CUmemGenericAllocationHandle multicast, size_t at, CUmemGenericAllocationHandle handle, size_t offset, size_t size, unsigned long long flags),
          (multicast, at, real, offset, size, flags))
GIVE_AWAY(cuMulticastBindMem_v2, (CUmemGenericAllocationHandle multicast, CUdevice device, size_t at, CUmemGenericAllocationHandle handle, size_t offset, size_t size, unsigned long long flags),
          (multicast, device, at, real, offset, size, flags))

/* As the program asked for it. 0: the driver is to answer. */
static int recorded_properties(CUmemAllocationProp *prop, CUmemGenericAllocationHandle handle) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct block *block = block_of_handle(handle);
    int found = block && block->parked;
    if (found) *prop = block->prop;
    pthread_rwlock_unlock(&blocks_lock);
    return found;
}

EXPORT CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop, CUmemGenericAllocationHandle handle) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    if (prop && recorded_properties(prop, handle)) return CUDA_SUCCESS;
    struct giving *giving = order_enter_memory();
    CUresult result = WITH_REAL(handle, d->cuMemGetAllocationPropertiesFromHandle(prop, real));
    order_leave_memory(giving);
    return result;
}

/* 0: the driver is to answer. */
static int retained(CUmemGenericAllocationHandle *handle, CUdeviceptr address, CUresult *result) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct mapping *m = mapping_at(address);
    *result = m && m->request.bytes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (m && !*result) m->block->references++, *handle = block_handle(m->block);
    pthread_rwlock_unlock(&blocks_lock);
    return m != NULL;
}

EXPORT CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
    const struct driver *d = driver();
    CUresult result;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    if (handle && retained(handle, (CUdeviceptr)(uintptr_t)address, &result)) return result; /* by the record alone, parked or not */
    struct giving *giving = order_enter_memory();
    result = d->cuMemRetainAllocationHandle(handle, address);
    if (!result) shared_retained(*handle, (CUdeviceptr)(uintptr_t)address);
    order_leave_memory(giving);
    return result;
}
