/* What is handed to others. Descriptors are files that name the memory; they do not keep it, as the driver's do. */
#define _GNU_SOURCE
#include "pool.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char MAGIC[16] = "SIMULATED memory";
struct token { char magic[sizeof MAGIC]; int pid, device, file, legacy; uint64_t generation, block, offset, size; };
_Static_assert(sizeof(struct token) <= sizeof(CUipcMemHandle), "a legacy handle holds a token");

static struct token token_of(const struct block *block) {
    struct token token = {.pid = getpid(), .generation = atomic_load(&driver.slot->generation), .file = store_file()};
    memcpy(token.magic, MAGIC, sizeof MAGIC);
    if (block) token.device = driver.physical[block->device], token.block = block->id, token.offset = block->offset, token.size = block->size;
    return token;
}

static CUresult descriptor(void *shareable, const struct token *token) {
    int file = memfd_create("SIMULATED-shared-memory", MFD_CLOEXEC);
    if (file < 0) return CUDA_ERROR_OPERATING_SYSTEM;
    if (write(file, token, sizeof *token) != sizeof *token) return close(file), CUDA_ERROR_OPERATING_SYSTEM;
    memcpy(shareable, &file, sizeof file);
    return CUDA_SUCCESS;
}

CUresult share_descriptor(void *shareable, uint64_t block) {
    struct token token = token_of(NULL);
    token.block = block;
    return descriptor(shareable, &token);
}

/* Of another process that lives. */
static int is_valid(const struct token *token) {
    struct slot *slot = memcmp(token->magic, MAGIC, sizeof MAGIC) ? NULL : slot_of(token->pid);
    return slot && token->block && atomic_load(&slot->generation) == token->generation;
}

static int device_here(const struct token *token) {
    for (int d = 0; d < driver.machine->devices; d++)
        if (driver.physical[d] == token->device) return d;
    return -1;
}

/* With the lock of memory. */
static struct block *take_foreign(const struct token *token, enum maker maker) {
    uint64_t offset = token->offset;
    int device = device_here(token);
    if (device < 0 || !foreign_open(token->pid, token->file, &offset)) return NULL;
    struct block *block = block_foreign(maker, offset, token->size, device);
    if (!block) return foreign_close(offset), NULL;
    block->source = token->block;
    return block;
}

CUresult do_cuMemExportToShareableHandle(void *shareable, CUmemGenericAllocationHandle handle, CUmemAllocationHandleType type, unsigned long long flags) {
    if (!shareable || flags || !type) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    struct block *block = block_of(handle);
    int fine = block && block->maker == MADE_HERE && (block->prop.requestedHandleTypes & type) == type;
    struct token token = token_of(fine ? block : NULL);
    pthread_rwlock_unlock(&memory);
    return fine ? descriptor(shareable, &token) : CUDA_ERROR_INVALID_VALUE;
}

static struct block *block_with(uint64_t id) {
    struct block *block = block_first();
    while (block && (block->maker != MADE_HERE || block->id != id)) block = block->next;
    return block;
}

CUresult do_cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shareable, CUmemAllocationHandleType type) {
    struct token token;
    if (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_INVALID_VALUE;
    if (pread((int)(intptr_t)shareable, &token, sizeof token, 0) != sizeof token) return CUDA_ERROR_INVALID_VALUE;
    if (!is_valid(&token) || token.legacy || !token.size) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory);
    struct block *block = token.pid == getpid() ? block_with(token.block) : take_foreign(&token, IMPORTED);
    if (block) {
        block->handles++;
        block->imports++;
        *handle = (uintptr_t)block;
    }
    pthread_rwlock_unlock(&memory);
    return block ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int legacy(const struct extent *extent) { return extent->range->block && !extent->range->chunk && extent->range->block->maker == MADE_HERE; }

CUresult do_cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address) {
    struct extent extent;
    if (!handle) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    int fine = extent_of(address, &extent) && legacy(&extent);
    struct token token = token_of(fine ? extent.range->block : NULL);
    pthread_rwlock_unlock(&memory);
    if (!fine) return CUDA_ERROR_INVALID_VALUE;
    token.legacy = 1;
    memset(handle, 0, sizeof *handle);
    memcpy(handle->reserved, &token, sizeof token);
    return CUDA_SUCCESS;
}

/* With the lock of memory: where the context has opened it already. */
static struct range *opened(const struct token *token, CUcontext context) {
    for (struct range *range = range_from(0); range; range = range_from(range->base + range->extent))
        if (range->block && range->block->maker == OPENED && range->block->source == token->block && range->context == context) return range;
    return NULL;
}

static struct range *open_range(const struct token *token, CUcontext context) {
    struct range *range = opened(token, context);
    if (range) return range;
    struct block *block = take_foreign(token, OPENED);
    range = block ? range_reserve(block->size, PAGE_ALIGN, 0) : NULL;
    if (block && !range) block_drop(block);
    if (range) range->block = block, range->context = context;
    return range;
}

CUresult do_cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle, unsigned flags) {
    enum { LAZY_PEER_ACCESS = 1 };
    struct token token;
    memcpy(&token, handle.reserved, sizeof token);
    if (!address || flags != LAZY_PEER_ACCESS || !is_valid(&token) || !token.legacy) return CUDA_ERROR_INVALID_VALUE;
    if (token.pid == getpid()) return CUDA_ERROR_INVALID_CONTEXT;
    pthread_rwlock_wrlock(&memory);
    struct range *range = open_range(&token, context_current());
    if (range) range->block->opened++, *address = range->base;
    pthread_rwlock_unlock(&memory);
    return range ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuIpcCloseMemHandle(CUdeviceptr address) {
    pthread_rwlock_wrlock(&memory);
    struct range *range = range_at(address);
    int fine = range && range->base == address && range->block && range->block->maker == OPENED;
    if (fine && !--range->block->opened) {
        block_drop(range->block);
        range_release(range);
    }
    pthread_rwlock_unlock(&memory);
    return fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
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
