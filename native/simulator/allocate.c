#define _GNU_SOURCE
#include "pool.h"

#include <string.h>

/* Small allocations share pages, large ones have their own. */
static uint64_t cost(size_t bytes) {
    uint64_t unit = bytes >= PAGE_ALIGN ? PAGE_ALIGN : SMALL_ALIGN;
    return (bytes + unit - 1) / unit * unit;
}

static CUresult allocate(CUdeviceptr *address, size_t bytes, CUcontext context) {
    size_t extent = (bytes + SMALL_ALIGN - 1) / SMALL_ALIGN * SMALL_ALIGN;
    struct range *range = range_reserve(extent, bytes >= PAGE_ALIGN ? PAGE_ALIGN : SMALL_ALIGN, 0);
    if (!range) return CUDA_ERROR_OUT_OF_MEMORY;
    struct block *block = block_create(bytes, cost(bytes), context->device);
    if (!block) {
        range_release(range);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    range->size = bytes;
    range->block = block;
    range->context = context;
    *address = range->base;
    return CUDA_SUCCESS;
}

CUresult do_cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    if (!address || !bytes) return CUDA_ERROR_INVALID_VALUE;
    if (bytes > driver.machine->memory) return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = capture_forbids();
    if (result) return result;
    pthread_rwlock_wrlock(&memory);
    result = allocate(address, bytes, context_current());
    pthread_rwlock_unlock(&memory);
    return result;
}

/* Rows begin where every access of an element is aligned. */
CUresult do_cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element) {
    if (!address || !pitch || !width || !height || (element != 4 && element != 8 && element != 16)) return CUDA_ERROR_INVALID_VALUE;
    if (width > SIZE_MAX - SMALL_ALIGN) return CUDA_ERROR_OUT_OF_MEMORY;
    size_t row = (width + SMALL_ALIGN - 1) / SMALL_ALIGN * SMALL_ALIGN;
    if (height > SIZE_MAX / row) return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = do_cuMemAlloc_v2(address, row * height);
    if (!result) *pitch = row;
    return result;
}

enum owner { NOBODY, CONTEXT, POOL };

static enum owner owner_of(struct range *range, CUdeviceptr address) {
    if (!range || !range->block) return NOBODY;
    if (!range->chunk) return range->base == address && !range->freed && range->block->maker == MADE_HERE ? CONTEXT : NOBODY;
    struct part *part = part_at(range, address);
    return part && range->base + part->at == address ? POOL : NOBODY;
}

static enum owner release(CUdeviceptr address) {
    pthread_rwlock_wrlock(&memory);
    struct range *range = range_at(address);
    enum owner owner = owner_of(range, address);
    if (owner == POOL) part_free_counted(range, part_at(range, address));
    if (owner == CONTEXT) {
        block_drop(range->block);
        range_release(range);
    }
    pthread_rwlock_unlock(&memory);
    return owner;
}

CUresult do_cuMemFree_v2(CUdeviceptr address) {
    if (!address) return CUDA_SUCCESS;
    CUresult forbidden = capture_forbids();
    if (forbidden) return forbidden;
    pthread_rwlock_rdlock(&memory);
    enum owner owner = owner_of(range_at(address), address);
    pthread_rwlock_unlock(&memory);
    if (owner == NOBODY) return host_managed_free(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (owner == CONTEXT) streams_wait(NULL); /* as the driver does: memory in use stays. It is for the caller to wait before a pool's */
    return release(address) == NOBODY ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

/* Of a pool's memory there is no context. */
static int extent_of_block(struct range *range, CUdeviceptr address, struct extent *extent) {
    struct block *block = range->block;
    struct part *part = range->chunk ? part_at(range, address) : NULL;
    CUmemoryPool pool = pool_of(range);
    *extent = (struct extent){.base = range->base, .size = range->size, .context = range->context, .device = block->device, .range = range, .block = block, .pool = pool, .id = block->id,
                              .access = CU_MEM_ACCESS_FLAGS_PROT_READWRITE}; /* whoever asks: seen with two devices */
    if (!pool) return address - range->base < range->size;
    if (!part) return 0;
    extent->base += part->at;
    extent->size = part->size;
    extent->id = part->id;
    return address - extent->base < extent->size;
}

int extent_of(CUdeviceptr address, struct extent *extent) {
    struct range *range = range_at(address);
    if (range && range->block) return extent_of_block(range, address, extent);
    struct mapping *mapping = range ? mapping_at(address) : NULL;
    if (!mapping) return 0;
    struct block *block = mapping->block;
    *extent = (struct extent){.base = mapping->base, .size = mapping->size, .context = context_current(), .device = block->device, .range = range, .block = block, .id = mapping->id,
                              .access = mapping->access[context_current()->device]};
    return 1;
}

CUresult do_cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
    struct extent extent;
    pthread_rwlock_rdlock(&memory);
    int found = extent_of(address, &extent);
    pthread_rwlock_unlock(&memory);
    if (!found) return CUDA_ERROR_NOT_FOUND;
    if (base) *base = extent.base;
    if (size) *size = extent.size;
    return CUDA_SUCCESS;
}

static CUmemAllocationHandleType handle_types(const struct extent *extent) {
    return extent->pool ? extent->pool->props.handleTypes : extent->block->prop.requestedHandleTypes;
}

static int reached_by_network(const struct extent *extent) {
    return !extent->pool && (extent->range->block || extent->block->prop.allocFlags.gpuDirectRDMACapable);
}

static CUresult attribute_of(void *data, CUpointer_attribute attribute, CUdeviceptr address, const struct extent *extent) {
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: memcpy(data, &extent->context, sizeof extent->context); break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: memcpy(data, &(unsigned){CU_MEMORYTYPE_DEVICE}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: memset(data, 0, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: memcpy(data, &address, sizeof address); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: memcpy(data, &extent->device, sizeof extent->device); break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &extent->base, sizeof extent->base); break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: memcpy(data, &extent->size, sizeof extent->size); break;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: memcpy(data, &(unsigned){(unsigned)extent->range->sync_memops}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: memcpy(data, &extent->id, sizeof extent->id); break;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE: memcpy(data, &(unsigned){extent->range->block && !extent->pool}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE: memcpy(data, &(unsigned){(unsigned)reached_by_network(extent)}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_MAPPED: memcpy(data, &(unsigned){1}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES: memcpy(data, &(uint64_t){handle_types(extent)}, sizeof(uint64_t)); break;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: memcpy(data, &extent->access, sizeof extent->access); break;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: memcpy(data, &extent->pool, sizeof extent->pool); break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

/* What only device memory has is answered for host memory too, as long as the driver knows it. */
static CUresult attribute_of_host(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    unsigned type;
    CUresult result = host_attribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address);
    if (result) return result;
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE: memset(data, 0, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: memset(data, 0, sizeof(uint64_t)); break;
    case CU_POINTER_ATTRIBUTE_MAPPED: memcpy(data, &(unsigned){1}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: memcpy(data, &(unsigned){CU_MEM_ACCESS_FLAGS_PROT_READWRITE}, sizeof(unsigned)); break;
    default: return host_attribute(data, attribute, address);
    }
    return CUDA_SUCCESS;
}

CUresult do_cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    struct extent extent;
    if (!data) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    int found = extent_of(address, &extent);
    CUresult result = found ? attribute_of(data, attribute, address, &extent) : CUDA_SUCCESS;
    pthread_rwlock_unlock(&memory);
    return found ? result : attribute_of_host(data, attribute, address);
}

static size_t attribute_size(CUpointer_attribute attribute) {
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: return 8;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: return 4;
    default: return 0;
    }
}

/* Unlike the call for one: what does not apply, as nothing does to pageable memory, is zero and no error. */
CUresult do_cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address) {
    if (!count || !attributes || !data) return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++)
        if (!data[i] || !attribute_size(attributes[i])) return CUDA_ERROR_INVALID_VALUE;
    for (unsigned i = 0; i < count; i++)
        if (do_cuPointerGetAttribute(data[i], attributes[i], address)) memset(data[i], 0, attribute_size(attributes[i]));
    return CUDA_SUCCESS;
}
