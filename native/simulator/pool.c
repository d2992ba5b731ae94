/* Memory that streams allocate and free. Free memory beyond a pool's threshold goes back to the device when somebody waits, or when the device has no other.
 * Not simulated: allocation by a graph. While a stream captures, cuMemAllocAsync answers CUDA_ERROR_NOT_SUPPORTED, and cuMemFreeAsync, which then takes
 * allocations of graphs alone, CUDA_ERROR_INVALID_VALUE. Nor does an allocation wait for another stream's free, or know what events order: of the three flags of
 * reuse only CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC does anything. */
#define _GNU_SOURCE
#include "pool.h"
#include "queue.h"

#include <stdlib.h>
#include <string.h>

static CUmemoryPool pools;
static CUmemoryPool standard[MAX_DEVICES], current[MAX_DEVICES];

CUmemoryPool pool_of(const struct range *range) { return range->chunk ? range->chunk->pool : NULL; }

static int known(CUmemoryPool pool) {
    for (CUmemoryPool p = pools; p; p = p->next)
        if (p == pool) return p->alive;
    return 0;
}

/* One of which nothing is left comes again, as the driver's handles do. */
static CUmemoryPool find_or_add(void) {
    for (CUmemoryPool p = pools; p; p = p->next)
        if (!p->alive && !p->chunks) return p;
    CUmemoryPool pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->next = pools;
    return pools = pool;
}

static CUmemoryPool create(const CUmemPoolProps *props) {
    CUmemoryPool pool = find_or_add();
    if (!pool) return NULL;
    *pool = (struct CUmemPoolHandle_st){.next = pool->next, .alive = 1, .props = *props};
    for (int flag = CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES; flag <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES; flag++) pool->reuse[flag] = 1;
    pool->access[props->location.id] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return pool;
}

static CUmemoryPool standard_of(int device) {
    CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, device}};
    if (standard[device]) return standard[device];
    if (!(standard[device] = create(&props))) return NULL;
    standard[device]->standard = 1;
    return standard[device];
}

static CUmemoryPool current_of(int device) { return current[device] ? current[device] : standard_of(device); }

static void settle(CUmemoryPool pool) {
    parts_settle(pool);
    chunks_trim(pool, pool->alive ? pool->threshold : 0);
}

void pools_settle(void) {
    if (!chunks_any()) return;
    pthread_rwlock_wrlock(&memory);
    for (CUmemoryPool p = pools; p; p = p->next) settle(p);
    pthread_rwlock_unlock(&memory);
}

void pools_give_back(int device) {
    for (CUmemoryPool p = pools; p; p = p->next) {
        if (p->props.location.id != device) continue;
        parts_settle(p);
        chunks_trim(p, 0);
    }
}

static CUresult pool_answer(CUmemoryPool (*find)(int), CUmemoryPool *pool, CUdevice device) {
    if (!pool) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    pthread_rwlock_wrlock(&memory);
    CUmemoryPool found = find(device);
    pthread_rwlock_unlock(&memory);
    if (found) *pool = found;
    return found ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult do_cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) { return pool_answer(standard_of, pool, device); }
CUresult do_cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device) { return pool_answer(current_of, pool, device); }

CUresult do_cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) {
    if (!device_known(device)) return CUDA_ERROR_INVALID_DEVICE;
    pthread_rwlock_wrlock(&memory);
    int fine = known(pool) && pool->props.location.id == device;
    if (fine) current[device] = pool;
    pthread_rwlock_unlock(&memory);
    return fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int valid(const CUmemPoolProps *props) {
    for (size_t i = 0; i < sizeof props->reserved; i++)
        if (props->reserved[i]) return 0;
    return props->allocType == CU_MEM_ALLOCATION_TYPE_PINNED && location_known(&props->location);
}

CUresult do_cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props) {
    if (!pool || !props || !valid(props)) return CUDA_ERROR_INVALID_VALUE;
    if (props->handleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) return CUDA_ERROR_NOT_SUPPORTED;
    pthread_rwlock_wrlock(&memory);
    CUmemoryPool created = create(props);
    pthread_rwlock_unlock(&memory);
    if (created) *pool = created;
    return created ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult do_cuMemPoolDestroy(CUmemoryPool pool) {
    pthread_rwlock_wrlock(&memory);
    int fine = known(pool) && !pool->standard;
    if (fine) {
        int device = pool->props.location.id;
        if (current[device] == pool) current[device] = NULL;
        pool->alive = 0; /* what is allocated stays until it is freed */
        settle(pool);
    }
    pthread_rwlock_unlock(&memory);
    return fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static uint64_t *figure(CUmemoryPool pool, CUmemPool_attribute attribute) {
    switch ((int)attribute) {
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD: return &pool->threshold;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT: return &pool->reserved;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH: return &pool->reserved_high;
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT: return &pool->used;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH: return &pool->used_high;
    default: return NULL;
    }
}

static int is_flag(CUmemPool_attribute attribute) {
    return (int)attribute >= CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES && (int)attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

static CUresult get(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    if (!known(pool)) return CUDA_ERROR_INVALID_VALUE;
    if (is_flag(attribute)) return memcpy(value, &pool->reuse[attribute], sizeof(int)), CUDA_SUCCESS;
    const uint64_t *number = figure(pool, attribute);
    if (number) memcpy(value, number, sizeof *number);
    return number ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Of what has been counted, the highest alone may be set, to zero: it counts anew from what is. */
static CUresult set(CUmemoryPool pool, CUmemPool_attribute attribute, const void *value) {
    uint64_t number;
    if (!known(pool)) return CUDA_ERROR_INVALID_VALUE;
    if (is_flag(attribute)) return memcpy(&pool->reuse[attribute], value, sizeof(int)), CUDA_SUCCESS;
    if (!figure(pool, attribute)) return CUDA_ERROR_INVALID_VALUE;
    memcpy(&number, value, sizeof number);
    if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) return pool->threshold = number, CUDA_SUCCESS;
    if (number || attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT || attribute == CU_MEMPOOL_ATTR_USED_MEM_CURRENT) return CUDA_ERROR_INVALID_VALUE;
    if (attribute == CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) pool->reserved_high = pool->reserved;
    else pool->used_high = pool->used;
    return CUDA_SUCCESS;
}

CUresult do_cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    CUresult result = get(pool, attribute, value);
    pthread_rwlock_unlock(&memory);
    return result;
}

CUresult do_cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory);
    CUresult result = set(pool, attribute, value);
    pthread_rwlock_unlock(&memory);
    return result;
}

CUresult do_cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
    pthread_rwlock_wrlock(&memory);
    int found = known(pool);
    if (found) {
        parts_settle(pool);
        chunks_trim(pool, keep);
    }
    pthread_rwlock_unlock(&memory);
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int own_device_stays(CUmemoryPool pool, const CUmemAccessDesc *d) {
    return d->location.id != pool->props.location.id || d->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
}

CUresult do_cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *descriptions, size_t count) {
    if (!descriptions || !count) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_wrlock(&memory);
    int fine = known(pool);
    for (size_t i = 0; fine && i < count; i++) fine = access_known(&descriptions[i]) && own_device_stays(pool, &descriptions[i]);
    for (size_t i = 0; fine && i < count; i++) pool->access[descriptions[i].location.id] = (unsigned char)descriptions[i].flags;
    pthread_rwlock_unlock(&memory);
    return fine ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *location) {
    if (!flags || !location || !location_known(location)) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    int found = known(pool);
    if (found) *flags = (CUmemAccess_flags)pool->access[location->id];
    pthread_rwlock_unlock(&memory);
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int exportable(CUmemoryPool pool, CUmemAllocationHandleType type) { return type && (pool->props.handleTypes & type) == type; }

CUresult do_cuMemPoolExportToShareableHandle(void *handle, CUmemoryPool pool, CUmemAllocationHandleType type, unsigned long long flags) {
    if (!handle || flags) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    int fine = known(pool) && exportable(pool, type);
    pthread_rwlock_unlock(&memory);
    return fine ? share_descriptor(handle, 0) : CUDA_ERROR_INVALID_VALUE; /* nobody imports a pool */
}

CUresult do_cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr address) {
    if (!data) return CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_rdlock(&memory);
    struct range *range = range_at(address);
    int fine = range && range->chunk && part_at(range, address) && exportable(pool_of(range), CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    pthread_rwlock_unlock(&memory);
    if (!fine) return CUDA_ERROR_INVALID_VALUE;
    memset(data, 0, sizeof *data);
    memcpy(data, &address, sizeof address);
    return CUDA_SUCCESS;
}

static CUresult find_stream(CUstream handle, CUstream *stream, CUresult captured) {
    CUresult result = stream_find(handle, stream);
    return !result && capture_active(*stream) ? captured : result;
}

/* pool NULL: the one that is current for the stream's device */
static CUresult allocate(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream handle) {
    CUstream stream;
    CUresult result = find_stream(handle, &stream, CUDA_ERROR_NOT_SUPPORTED);
    if (result) return result;
    if (bytes > driver.machine->memory) return CUDA_ERROR_OUT_OF_MEMORY;
    if (!bytes) return *address = 0, CUDA_SUCCESS;
    pthread_rwlock_wrlock(&memory);
    if (!pool) pool = current_of(stream->context->device);
    else if (!known(pool)) result = CUDA_ERROR_INVALID_VALUE;
    if (!result && (!pool || !part_take(pool, bytes, stream, address))) result = CUDA_ERROR_OUT_OF_MEMORY;
    pthread_rwlock_unlock(&memory);
    return result;
}

CUresult do_cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream) {
    return address ? allocate(address, bytes, NULL, stream) : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream) {
    return address && pool ? allocate(address, bytes, pool, stream) : CUDA_ERROR_INVALID_VALUE;
}

/* A pool that was destroyed waits for its last free. */
static void freed(struct op *op) {
    CUmemoryPool pool = op->pointer;
    pthread_rwlock_wrlock(&memory);
    if (!pool->alive) {
        parts_freed(pool, op->stream, op->number);
        chunks_trim(pool, 0);
    }
    pthread_rwlock_unlock(&memory);
}

/* Memory of cuMemAlloc goes when its turn comes. word: which it was, for the address may be somebody else's by then */
static void drop(struct op *op) {
    pthread_rwlock_wrlock(&memory);
    struct range *range = range_at(op->to);
    if (range && range->block && range->block->id == op->word[0]) {
        block_drop(range->block);
        range_release(range);
    }
    pthread_rwlock_unlock(&memory);
}

static CUresult free_part(struct range *range, CUdeviceptr address, CUstream stream) {
    struct part *part = part_at(range, address);
    if (!part || range->base + part->at != address) return CUDA_ERROR_INVALID_VALUE;
    struct op *op = op_new(stream, freed);
    op->pointer = pool_of(range);
    part_free(range, part, stream, op_submit(op, stream));
    return CUDA_SUCCESS;
}

static CUresult free_range(struct range *range, CUstream stream) {
    struct op *op = op_new(stream, drop);
    op->to = range->base;
    op->word[0] = range->block->id;
    range->freed = 1;
    op_submit(op, stream);
    return CUDA_SUCCESS;
}

CUresult do_cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
    CUstream stream;
    CUresult result = find_stream(handle, &stream, CUDA_ERROR_INVALID_VALUE);
    if (result || !address) return result;
    pthread_rwlock_wrlock(&memory);
    struct range *range = range_at(address);
    if (range && range->chunk) result = free_part(range, address, stream);
    else if (range && range->block && range->base == address && !range->freed) result = free_range(range, stream);
    else result = CUDA_ERROR_INVALID_VALUE;
    pthread_rwlock_unlock(&memory);
    return result;
}
