/* Virtual memory management: physical blocks mapped whole into reserved addresses. */
#define _GNU_SOURCE
#include "driver.h"

#include <stdlib.h>
#include <string.h>

static struct mapping *mappings; /* by address */
static size_t count, room;

static size_t index_of(CUdeviceptr address) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (mappings[middle].base + mappings[middle].size > address) high = middle;
        else low = middle + 1;
    }
    return low;
}

struct mapping *mapping_from(CUdeviceptr address) {
    size_t at = index_of(address);
    return at < count ? &mappings[at] : NULL;
}

struct mapping *mapping_at(CUdeviceptr address) {
    struct mapping *mapping = mapping_from(address);
    return mapping && mapping->base <= address ? mapping : NULL;
}

static int overlaps(CUdeviceptr address, size_t size) {
    struct mapping *mapping = mapping_from(address);
    return mapping && mapping->base < address + size;
}

static int aligned(uint64_t value) { return value && value % PAGE_ALIGN == 0; }

static struct range *reservation(CUdeviceptr address, size_t size) {
    struct range *range = range_at(address);
    if (!range || range->block || address - range->base > range->size || size > range->size - (address - range->base)) return NULL;
    return range;
}

struct block *block_of(CUmemGenericAllocationHandle handle) {
    for (struct block *block = block_first(); block; block = block->next)
        if ((uintptr_t)block == handle && block->handles > 0) return block;
    return NULL;
}

static void drop_if_unused(struct block *block) {
    if (!block->handles && !block->mappings) block_drop(block);
}

int location_known(const CUmemLocation *location) {
    return location->type == CU_MEM_LOCATION_TYPE_DEVICE && device_known(location->id);
}

static int valid_prop(const CUmemAllocationProp *prop) {
    return prop && prop->type == CU_MEM_ALLOCATION_TYPE_PINNED && location_known(&prop->location);
}

CUresult do_cuMemAddressReserve(CUdeviceptr *address, size_t size, size_t alignment, CUdeviceptr hint, unsigned long long flags) {
    if (!address || !aligned(size) || flags || (alignment & (alignment - 1))) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory);
    struct range *range = range_reserve(size, alignment < PAGE_ALIGN ? PAGE_ALIGN : alignment, hint);
    if (range) *address = range->base;
    pthread_rwlock_unlock(&memory);
    return range ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult do_cuMemAddressFree(CUdeviceptr address, size_t size) {
    pthread_rwlock_wrlock(&memory);
    struct range *range = reservation(address, size);
    int whole = range && range->base == address && range->size == size && !overlaps(address, size);
    if (whole) range_release(range);
    pthread_rwlock_unlock(&memory);
    return whole ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size, const CUmemAllocationProp *prop, unsigned long long flags) {
    if (!handle || !aligned(size) || flags || !valid_prop(prop)) return CUDA_ERROR_INVALID_VALUE;
    if (prop->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
    if (size > driver.machine->memory) return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_rwlock_wrlock(&memory);
    struct block *block = block_create(size, size, prop->location.id);
    if (block) {
        block->handles = 1;
        block->prop = *prop;
        *handle = (uintptr_t)block;
    }
    pthread_rwlock_unlock(&memory);
    return block ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult do_cuMemRelease(CUmemGenericAllocationHandle handle) {
    pthread_rwlock_wrlock(&memory);
    struct block *block = block_of(handle);
    if (block) {
        block->handles--;
        if (block->imports) block->imports--;
        drop_if_unused(block);
    }
    pthread_rwlock_unlock(&memory);
    return block ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult insert(CUdeviceptr address, size_t size, struct block *block) {
    if (count == room) {
        size_t more = room ? room * 2 : 64;
        struct mapping *larger = realloc(mappings, more * sizeof *larger);
        if (!larger) return CUDA_ERROR_OUT_OF_MEMORY;
        mappings = larger;
        room = more;
    }
    size_t at = index_of(address);
    memmove(mappings + at + 1, mappings + at, (count - at) * sizeof *mappings);
    mappings[at] = (struct mapping){.base = address, .size = size, .block = block, .id = memory_id()};
    count++;
    block->mappings++;
    return CUDA_SUCCESS;
}

static CUresult map(CUdeviceptr address, size_t size, size_t offset, CUmemGenericAllocationHandle handle) {
    struct block *block = block_of(handle);
    if (!block || address % PAGE_ALIGN || !aligned(size) || offset % PAGE_ALIGN || !reservation(address, size)) return CUDA_ERROR_INVALID_VALUE;
    if (offset || size != block->size) return CUDA_ERROR_NOT_SUPPORTED; /* a handle is mapped whole */
    if (overlaps(address, size)) return CUDA_ERROR_INVALID_VALUE;
    return insert(address, size, block);
}

CUresult do_cuMemMap(CUdeviceptr address, size_t size, size_t offset, CUmemGenericAllocationHandle handle, unsigned long long flags) {
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory);
    CUresult result = map(address, size, offset, handle);
    pthread_rwlock_unlock(&memory);
    return result;
}

/* Every mapping that the range touches lies inside it. */
static int whole_mappings(CUdeviceptr address, size_t size) {
    for (size_t at = index_of(address); at < count && mappings[at].base < address + size; at++)
        if (mappings[at].base < address || mappings[at].base + mappings[at].size > address + size) return 0;
    return 1;
}

static void unmap(CUdeviceptr address, size_t size) {
    size_t first = index_of(address), last = first;
    while (last < count && mappings[last].base < address + size) {
        struct block *block = mappings[last++].block;
        block->mappings--;
        drop_if_unused(block);
    }
    memmove(mappings + first, mappings + last, (count - last) * sizeof *mappings);
    count -= last - first;
}

CUresult do_cuMemUnmap(CUdeviceptr address, size_t size) {
    pthread_rwlock_wrlock(&memory);
    int fine = address % PAGE_ALIGN == 0 && aligned(size) && reservation(address, size) && whole_mappings(address, size);
    if (fine) unmap(address, size); /* nothing mapped there is no error */
    pthread_rwlock_unlock(&memory);
    return fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int fully_mapped(CUdeviceptr address, size_t size) {
    CUdeviceptr at = address;
    for (struct mapping *m = mapping_at(at); m && at < address + size; m = mapping_at(at)) at = m->base + m->size;
    return at == address + size && mapping_at(address) && mapping_at(address)->base == address;
}

static void allow(CUdeviceptr address, size_t size, const CUmemAccessDesc *descriptions, size_t number) {
    for (size_t at = index_of(address); at < count && mappings[at].base < address + size; at++)
        for (size_t i = 0; i < number; i++) mappings[at].access[descriptions[i].location.id] = (unsigned char)descriptions[i].flags;
}

int access_known(const CUmemAccessDesc *d) {
    int flags = (int)d->flags;
    return location_known(&d->location) && (flags == 0 || flags == 1 || flags == 3);
}

CUresult do_cuMemSetAccess(CUdeviceptr address, size_t size, const CUmemAccessDesc *descriptions, size_t number) {
    if (!descriptions || !number || !aligned(size)) return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < number; i++)
        if (!access_known(&descriptions[i])) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory);
    int fine = reservation(address, size) && fully_mapped(address, size);
    if (fine) allow(address, size, descriptions, number);
    pthread_rwlock_unlock(&memory);
    return fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address) {
    if (!flags || !location || !location_known(location)) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    struct mapping *mapping = mapping_at(address);
    if (mapping) *flags = mapping->access[location->id];
    pthread_rwlock_unlock(&memory);
    return mapping ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *prop, CUmemAllocationGranularity_flags option) {
    if (!granularity || !valid_prop(prop) || (unsigned)option > 1) return CUDA_ERROR_INVALID_VALUE;
    *granularity = PAGE_ALIGN;
    return CUDA_SUCCESS;
}

CUresult do_cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *address) {
    if (!handle) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory);
    struct mapping *mapping = mapping_at((CUdeviceptr)(uintptr_t)address);
    if (mapping) {
        mapping->block->handles++;
        *handle = (uintptr_t)mapping->block;
    }
    pthread_rwlock_unlock(&memory);
    return mapping ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop, CUmemGenericAllocationHandle handle) {
    if (!prop) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    struct block *block = block_of(handle);
    if (block) *prop = block->prop;
    pthread_rwlock_unlock(&memory);
    return block ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
