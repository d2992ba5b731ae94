#define _GNU_SOURCE
#include "pool.h"
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

pthread_rwlock_t memory = PTHREAD_RWLOCK_INITIALIZER;

static int store = -1; /* the file that is the device memory of this process; holes read as zeros */
static uint64_t store_end;
static CUdeviceptr space, space_end; /* addresses that no CPU access survives */
static struct block *blocks;
static struct range **ranges; /* by address */
static size_t range_count, range_room;
static int context_count[MAX_DEVICES];
static uint64_t charged[MAX_DEVICES]; /* by ordinal, contexts included */
static uint64_t context_bytes, last_id;

CUresult memory_start(void) {
    if (store >= 0) return CUDA_SUCCESS;
    store = memfd_create("SIMULATED-device-memory", MFD_CLOEXEC);
    if (store < 0) return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t size = 1ULL << 39; size >= 1ULL << 33; size >>= 1) {
        void *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) continue;
        space = ((CUdeviceptr)at + PAGE_ALIGN - 1) & ~(CUdeviceptr)(PAGE_ALIGN - 1);
        space_end = (CUdeviceptr)at + size;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_OUT_OF_MEMORY;
}

int store_file(void) { return store; }

static int file_of(uint64_t *offset) {
    int file = foreign_file(offset);
    return file < 0 ? store : file;
}

void store_read(uint64_t offset, void *to, size_t bytes) {
    char *at = to;
    int file = file_of(&offset);
    while (bytes) {
        ssize_t got = pread(file, at, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    memset(at, 0, bytes); /* beyond the end of the file */
}

/* Nothing sensible can follow: the memory has been promised. */
static void __attribute__((noreturn)) out_of_host_memory(void) {
    complain("no host memory is left for the simulated device memory: %s.", strerror(errno));
    abort();
}

void store_write(uint64_t offset, const void *from, size_t bytes) {
    const char *at = from;
    int file = file_of(&offset);
    while (bytes) {
        ssize_t put = pwrite(file, at, bytes, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) out_of_host_memory();
        at += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
}

void store_empty(void) {
    if (ftruncate(store, 0)) out_of_host_memory();
}

void devices_now(int *physical) {
    for (int d = 0; d < MAX_DEVICES; d++) physical[d] = driver.physical[d];
}

void charges_by_device(const int *physical, uint64_t *want) {
    memset(want, 0, MAX_DEVICES * sizeof *want);
    for (int d = 0; d < MAX_DEVICES; d++) want[physical[d]] += charged[d];
}

static CUresult charge(int device, int64_t bytes) {
    int physical[MAX_DEVICES];
    uint64_t want[MAX_DEVICES];
    charged[device] += (uint64_t)bytes;
    devices_now(physical);
    charges_by_device(physical, want);
    CUresult result = account_set(driver.slot, want);
    if (result) charged[device] -= (uint64_t)bytes;
    return result;
}

CUresult charge_context(CUcontext context, uint64_t cost, int more) {
    int device = context->device;
    pthread_rwlock_wrlock(&memory);
    CUresult result = charge(device, (int64_t)(cost - context->cost));
    if (!result) {
        context_bytes += cost - context->cost;
        context->cost = cost;
        context_count[device] += more;
        atomic_store(&driver.slot->contexts[driver.physical[device]], context_count[device]);
    }
    pthread_rwlock_unlock(&memory);
    return result;
}

void contexts_publish(void) {
    for (int d = 0; d < MAX_DEVICES; d++) atomic_store(&driver.slot->contexts[driver.physical[d]], context_count[d]);
}

size_t contexts_bytes(void) {
    pthread_rwlock_rdlock(&memory);
    size_t bytes = context_bytes;
    pthread_rwlock_unlock(&memory);
    return bytes;
}

struct block *block_first(void) { return blocks; }
uint64_t memory_id(void) { return ++last_id; }

struct block *block_create(size_t size, uint64_t bytes, int device) {
    struct block *block = calloc(1, sizeof *block);
    if (!block) return NULL;
    CUresult result = charge(device, (int64_t)bytes);
    if (result) {
        pools_give_back(device);
        result = charge(device, (int64_t)bytes);
    }
    if (result) return free(block), NULL;
    *block = (struct block){.next = blocks, .offset = store_end, .size = size, .charged = bytes, .id = memory_id(), .device = device};
    store_end += (size + 4095) & ~4095ULL;
    return blocks = block;
}

struct block *block_foreign(enum maker maker, uint64_t offset, size_t size, int device) {
    struct block *block = calloc(1, sizeof *block);
    if (!block) return NULL;
    *block = (struct block){.next = blocks, .maker = maker, .offset = offset, .size = size, .id = memory_id(), .device = device};
    return blocks = block;
}

/* As seen on an H200: each kind has an answer of its own, and what a process has imported from itself is no better. */
CUresult blocks_lost(void) {
    CUresult lost = CUDA_SUCCESS;
    for (struct block *b = blocks; b && !lost; b = b->next) lost = b->maker == OPENED ? CUDA_ERROR_INVALID_VALUE : b->maker == IMPORTED || b->imports ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
    return lost;
}

void block_drop(struct block *block) {
    struct block **link = &blocks;
    while (*link != block) link = &(*link)->next;
    *link = block->next;
    if (block->maker != MADE_HERE) {
        foreign_close(block->offset);
        free(block);
        return;
    }
    charge(block->device, -(int64_t)block->charged);
    fallocate(store, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)block->offset, (off_t)((block->size + 4095) & ~4095ULL));
    free(block);
}

/* The index of the first range that ends after the address. */
static size_t range_index(CUdeviceptr address) {
    size_t low = 0, high = range_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges[middle]->base + ranges[middle]->extent > address) high = middle;
        else low = middle + 1;
    }
    return low;
}

struct range *range_at(CUdeviceptr address) {
    size_t at = range_index(address);
    return at < range_count && ranges[at]->base <= address ? ranges[at] : NULL;
}

struct range *range_from(CUdeviceptr address) {
    size_t at = range_index(address);
    return at < range_count ? ranges[at] : NULL;
}

static struct range *range_insert(size_t at, CUdeviceptr base, size_t size) {
    if (range_count == range_room) {
        size_t room = range_room ? range_room * 2 : 64;
        struct range **more = realloc(ranges, room * sizeof *more);
        if (!more) return NULL;
        ranges = more;
        range_room = room;
    }
    struct range *range = calloc(1, sizeof *range);
    if (!range) return NULL;
    memmove(ranges + at + 1, ranges + at, (range_count - at) * sizeof *ranges);
    *range = (struct range){.base = base, .size = size, .extent = size};
    range_count++;
    return ranges[at] = range;
}

static CUdeviceptr align(CUdeviceptr address, size_t alignment) { return (address + alignment - 1) & ~(CUdeviceptr)(alignment - 1); }

struct range *range_reserve(size_t size, size_t alignment, CUdeviceptr hint) {
    if (hint >= space && hint % alignment == 0 && hint < space_end && space_end - hint >= size) {
        size_t at = range_index(hint);
        if (at == range_count || ranges[at]->base - hint >= size) {
            if (at == range_count || ranges[at]->base > hint) return range_insert(at, hint, size);
        }
    }
    CUdeviceptr from = align(space, alignment);
    for (size_t at = 0; at < range_count; at++) { /* the first gap that is large enough */
        if (ranges[at]->base >= from && ranges[at]->base - from >= size) return range_insert(at, from, size);
        from = align(ranges[at]->base + ranges[at]->extent, alignment);
    }
    if (from > space_end || space_end - from < size) return NULL;
    return range_insert(range_count, from, size);
}

void range_release(struct range *range) {
    size_t at = range_index(range->base);
    range_count--;
    memmove(ranges + at, ranges + at + 1, (range_count - at) * sizeof *ranges);
    free(range);
}

void memory_drop_context(CUcontext context) {
    pthread_rwlock_wrlock(&memory);
    for (size_t at = range_count; at-- > 0;) {
        struct range *range = ranges[at];
        if (!range->block || range->context != context) continue;
        block_drop(range->block);
        range_release(range);
    }
    peers_forget(context);
    pthread_rwlock_unlock(&memory);
}

/* One contiguous piece at an address: where it is stored and how long it is; 0: nothing there, or no access. by NULL: whoever it is has been checked. */
static size_t piece(CUdeviceptr at, size_t bytes, unsigned how, CUcontext by, uint64_t *offset) {
    struct range *range = range_at(at);
    if (!range) return 0;
    if (range->block) { /* an allocation is never left on the other side */
        uint64_t inside = at - range->base;
        *offset = range->block->offset + inside;
        if (range->chunk) return part_reach(range, at, bytes, how, by);
        if (by && how & DIRECT && !peer_reaches(by, range->context)) return 0;
        return inside <= range->size && bytes <= range->size - inside ? bytes : 0;
    }
    struct mapping *mapping = mapping_at(at);
    int need = how & WRITES ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_READ;
    if (!mapping || (by && (mapping->access[by->device] & need) != need)) return 0;
    uint64_t inside = at - mapping->base, left = mapping->size - inside;
    *offset = mapping->block->offset + inside;
    return bytes < left ? bytes : left;
}

CUresult memory_check(CUdeviceptr at, size_t bytes, unsigned how, CUcontext by) {
    CUresult result = CUDA_SUCCESS;
    if (host_pinned((void *)(uintptr_t)at, bytes)) return CUDA_SUCCESS;
    pthread_rwlock_rdlock(&memory);
    while (bytes && !result) {
        uint64_t offset;
        size_t length = piece(at, bytes, how, by, &offset);
        if (!length) result = CUDA_ERROR_INVALID_VALUE;
        at += length;
        bytes -= length;
    }
    pthread_rwlock_unlock(&memory);
    return result;
}

static CUresult transfer(CUdeviceptr at, char *host, size_t bytes, int write) {
    CUresult result = CUDA_SUCCESS;
    char *shared = (char *)(uintptr_t)at;
    if (host_pinned(shared, bytes)) return memmove(write ? shared : host, write ? host : shared, bytes), result;
    pthread_rwlock_rdlock(&memory);
    while (bytes) {
        uint64_t offset;
        size_t length = piece(at, bytes, RUNNING | (write ? WRITES : 0), NULL, &offset);
        if (!length) {
            result = CUDA_ERROR_ILLEGAL_ADDRESS;
            break;
        }
        if (write) store_write(offset, host, length);
        else store_read(offset, host, length);
        at += length;
        host += length;
        bytes -= length;
    }
    pthread_rwlock_unlock(&memory);
    return result;
}

CUresult memory_read(CUdeviceptr at, void *to, size_t bytes) { return transfer(at, to, bytes, 0); }
CUresult memory_write(CUdeviceptr at, const void *from, size_t bytes) { return transfer(at, (char *)(uintptr_t)from, bytes, 1); }
