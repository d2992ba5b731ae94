/* What is handed to others. Descriptors are files that name the memory; they do not keep it, as the driver's do, and another process cannot import them. */
#define _GNU_SOURCE
#include "pool.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char MAGIC[16] = "SIMULATED memory";
struct token { char magic[sizeof MAGIC]; int pid; uint64_t generation, block; };

CUresult share_descriptor(void *descriptor, uint64_t block) {
    struct token token = {.pid = getpid(), .generation = atomic_load(&driver.slot->generation), .block = block};
    memcpy(token.magic, MAGIC, sizeof MAGIC);
    int file = memfd_create("SIMULATED-shared-memory", MFD_CLOEXEC);
    if (file < 0) return CUDA_ERROR_OPERATING_SYSTEM;
    if (write(file, &token, sizeof token) != sizeof token) return close(file), CUDA_ERROR_OPERATING_SYSTEM;
    memcpy(descriptor, &file, sizeof file);
    return CUDA_SUCCESS;
}

CUresult do_cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type, unsigned long long flags) {
    if (!shareable || flags || !type) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    struct block *block = block_of(handle);
    int fine = block && (block->prop.requestedHandleTypes & type) == type;
    uint64_t id = fine ? block->id : 0;
    pthread_rwlock_unlock(&memory);
    return fine ? share_descriptor(shareable, id) : CUDA_ERROR_INVALID_VALUE;
}

static CUresult retain(uint64_t id, CUmemGenericAllocationHandle *handle) {
    pthread_rwlock_wrlock(&memory);
    struct block *block = block_first();
    while (block && block->id != id) block = block->next;
    if (block) {
        block->handles++;
        *handle = (uintptr_t)block;
    }
    pthread_rwlock_unlock(&memory);
    return block ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shareable, CUmemAllocationHandleType type) {
    struct token token;
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_INVALID_VALUE;
    if (pread((int)(intptr_t)shareable, &token, sizeof token, 0) != sizeof token) return CUDA_ERROR_INVALID_VALUE;
    if (memcmp(token.magic, MAGIC, sizeof MAGIC) || !token.block) return CUDA_ERROR_INVALID_VALUE;
    if (token.pid != getpid() || token.generation != atomic_load(&driver.slot->generation)) return CUDA_ERROR_NOT_SUPPORTED;
    return retain(token.block, handle);
}

static int legacy(const struct extent *extent) { return extent->range->block && !extent->range->chunk; }

CUresult do_cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address) {
    struct extent extent;
    if (!handle) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    int fine = extent_of(address, &extent) && legacy(&extent);
    pthread_rwlock_unlock(&memory);
    if (!fine) return CUDA_ERROR_INVALID_VALUE;
    memset(handle, 0, sizeof *handle);
    memcpy(handle->reserved, &(struct token){.pid = getpid(), .block = extent.id}, sizeof(struct token));
    return CUDA_SUCCESS;
}

/* All of it is of one device, and no pool's. */
static int sharable_range(CUdeviceptr address, size_t size) {
    struct extent extent;
    int device = -1;
    for (CUdeviceptr at = address; at < address + size; at = extent.base + extent.size) {
        if (!extent_of(at, &extent) || extent.pool || (device >= 0 && device != extent.device)) return 0;
        if (extent.range->block && address + size - extent.base > extent.range->extent) return 0;
        device = extent.device;
    }
    return 1;
}

CUresult do_cuMemGetHandleForAddressRange(void *handle, CUdeviceptr address, size_t size, CUmemRangeHandleType type, unsigned long long flags) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!handle || type != CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD || flags || !size || size % page || address % page) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    int fine = sharable_range(address, size);
    pthread_rwlock_unlock(&memory);
    return fine ? share_descriptor(handle, 0) : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuPointerSetAttribute(const void *value, CUpointer_attribute attribute, CUdeviceptr address) {
    struct extent extent;
    unsigned on;
    if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS) return CUDA_ERROR_INVALID_VALUE;
    memcpy(&on, value, sizeof on);
    pthread_rwlock_wrlock(&memory);
    int fine = extent_of(address, &extent) && legacy(&extent);
    if (fine) extent.range->sync_memops = on != 0;
    pthread_rwlock_unlock(&memory);
    return fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
