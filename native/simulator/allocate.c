#define _GNU_SOURCE
#include "driver.h"

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

static struct range *allocation(CUdeviceptr address) {
    struct range *range = range_at(address);
    return range && range->block && range->base == address ? range : NULL;
}

CUresult do_cuMemFree_v2(CUdeviceptr address) {
    if (!address) return CUDA_SUCCESS;
    CUresult forbidden = capture_forbids();
    if (forbidden) return forbidden;
    pthread_rwlock_rdlock(&memory);
    int found = allocation(address) != NULL;
    pthread_rwlock_unlock(&memory);
    if (!found) return host_managed_free(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    streams_wait(NULL); /* as the driver does: memory in use stays */
    pthread_rwlock_wrlock(&memory);
    struct range *range = allocation(address);
    if (range) {
        block_drop(range->block);
        range_release(range);
    }
    pthread_rwlock_unlock(&memory);
    return range ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

struct extent { CUdeviceptr base; size_t size; CUcontext context; int device; };

static int extent_of(CUdeviceptr address, struct extent *extent) {
    struct range *range = range_at(address);
    if (range && range->block) {
        *extent = (struct extent){range->base, range->size, range->context, range->block->device};
        return address - range->base < range->size;
    }
    struct mapping *mapping = range ? mapping_at(address) : NULL;
    if (mapping) *extent = (struct extent){mapping->base, mapping->size, context_current(), mapping->block->device};
    return mapping != NULL;
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

static CUresult attribute_of(void *data, CUpointer_attribute attribute, CUdeviceptr address, const struct extent *extent) {
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: memcpy(data, &extent->context, sizeof extent->context); break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: memcpy(data, &(unsigned){CU_MEMORYTYPE_DEVICE}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: memset(data, 0, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: memcpy(data, &address, sizeof address); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: memcpy(data, &extent->device, sizeof extent->device); break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &extent->base, sizeof extent->base); break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: memcpy(data, &extent->size, sizeof extent->size); break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult do_cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    struct extent extent;
    if (!data) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    int found = extent_of(address, &extent);
    pthread_rwlock_unlock(&memory);
    if (found) return attribute_of(data, attribute, address, &extent);
    return host_attribute(data, attribute, address);
}

static size_t attribute_size(CUpointer_attribute attribute) {
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: return 8;
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
