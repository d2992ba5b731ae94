/* What a program hears about its memory: of an allocation that the shim has made, what the driver would say of its own. */
#include "allocate.h"
#include "attributes.h"
#include "chunks.h"
#include "kept.h"
#include "order.h"
#include "settings.h"
#include "statistics.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* What the record tells of an address. The rest of its last granule is no part of an allocation, nor is what a pool has to spare. */
enum found { NOTHING, ALLOCATION, BEYOND, MAPPING };
struct place { CUdeviceptr base; size_t size; CUdevice device; CUcontext context; CUmemoryPool pool; uint64_t number, readers, writers; };

static enum found find(CUdeviceptr address, struct place *place) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct mapping *m = mapping_at(address);
    const struct part *part = m && m->block->chunk ? part_holding(m->block->chunk, address) : NULL;
    const struct request *request = part ? &part->request : m ? &m->request : NULL;
    if (request && request->freed) request = NULL;
    size_t bytes = request ? request->bytes : 0;
    if (request) *place = (struct place){part ? part->base : m->base, bytes ? bytes : m->size, m->block->prop.location.id, request->context, request->pool, request->number, m->readers, m->writers};
    pthread_rwlock_unlock(&blocks_lock);
    return !request ? NOTHING : !bytes ? part ? BEYOND : MAPPING : address - place->base < bytes ? ALLOCATION : BEYOND;
}

static CUresult range_of(CUdeviceptr *base, size_t *size, const struct place *place) {
    if (base) *base = place->base;
    if (size) *size = place->size;
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
    const struct driver *d = driver();
    struct place place;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    enum found found = find(address, &place);
    if (found == ALLOCATION) return range_of(base, size, &place);
    if (found == BEYOND) return CUDA_ERROR_NOT_FOUND;
    struct giving *giving = order_enter_memory_now();
    if (!giving && found == MAPPING) return range_of(base, size, &place); /* it may be parked */
    CUresult result = d->cuMemGetAddressRange_v2(base, size, address);
    if (giving) order_leave_memory(giving);
    return result;
}

/* What is kept for the next allocation is free to the program. */
EXPORT CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
    const struct driver *d = driver();
    CUdevice device;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemGetInfo_v2(free, total);
    if (!result && free && !d->cuCtxGetDevice(&device) && device < MAX_DEVICES) *free += kept_bytes(device);
    return result;
}

/* Unlike the driver's own, which are small. */
static uint64_t identity_of(const struct place *place) { return 1ULL << 62 | atomic_load(&blocks_returned) << 40 | place->number; }

/* What is not the same for an allocation as for a mapping. */
static int differs(void *data, CUpointer_attribute attribute, const struct place *place) {
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: memcpy(data, &place->context, sizeof place->context); return 1;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: memcpy(data, &(int){CU_MEM_ACCESS_FLAGS_PROT_READWRITE}, sizeof(int)); return 1; /* whoever asks */
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &place->base, sizeof place->base); return 1; /* not what is reserved */
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: memcpy(data, &(uint64_t){identity_of(place)}, sizeof(uint64_t)); return 1;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: memcpy(data, &place->size, sizeof place->size); return 1;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE: memcpy(data, &place->pool, sizeof place->pool); return 1;
    default: return 0;
    }
}

/* A mapping has no number of its own. */
static uint64_t identity_of_mapping(const struct place *place) { return 3ULL << 61 | atomic_load(&blocks_returned) << 40 | place->base / GRANULE; }

static unsigned access_to_mapping(const struct place *place) {
    CUdevice current = 0;
    if (driver()->cuCtxGetDevice(&current) || current < 0 || current >= MAX_DEVICES) return CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return place->writers >> current & 1 ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : place->readers >> current & 1 ? CU_MEM_ACCESS_FLAGS_PROT_READ : CU_MEM_ACCESS_FLAGS_PROT_NONE;
}

/* What differs from address to address. */
static int known(void *data, CUpointer_attribute attribute, CUdeviceptr address, enum found found, const struct place *place) {
    if (found == ALLOCATION && differs(data, attribute, place)) return 1;
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: memcpy(data, &address, sizeof address); return 1;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &place->base, sizeof place->base); return 1;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: memcpy(data, &place->size, sizeof place->size); return 1;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: memcpy(data, &(uint64_t){identity_of_mapping(place)}, sizeof(uint64_t)); return 1;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS: memcpy(data, &(unsigned){access_to_mapping(place)}, sizeof(unsigned)); return 1;
    default: return 0;
    }
}

enum question { ANSWERED, LATER, NOBODY_KNOWS, DRIVERS };

/* While the gate is closed: the driver knows nothing of what is parked, and everything of what is never moved. Between the two it is known
 * later what becomes of it. */
static enum question learned(void *data, CUpointer_attribute attribute, CUdeviceptr address, enum asked way, CUresult *result) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct mapping *m = mapping_at(address);
    enum question q = !m ? LATER : m->block->stays != STAYS_NOWHERE ? DRIVERS : !m->block->parked ? LATER : attribute_learned(m->block, way, attribute, data, result) ? ANSWERED : NOBODY_KNOWS;
    pthread_rwlock_unlock(&blocks_lock);
    return q;
}

static enum question answer(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address, enum found found, const struct place *place, enum asked way, CUresult *result) {
    enum question q = ANSWERED;
    *result = CUDA_SUCCESS;
    for (unsigned i = 0; i < count && q == ANSWERED && !*result; i++) {
        if (!data[i]) *result = CUDA_ERROR_INVALID_VALUE;
        else if (!known(data[i], attributes[i], address, found, place)) q = learned(data[i], attributes[i], address, way, result);
    }
    return q;
}

/* NULL: it was answered, or need not be waited for (q). Otherwise the driver is to be asked. */
static struct giving *enter_or_answer(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address, enum found found, const struct place *place, enum asked way,
                                      enum question *q, CUresult *result) {
    static const struct timespec nap = {0, 200000};
    for (*q = DRIVERS;;) {
        struct giving *giving = order_enter_memory_now();
        if (giving) return giving;
        *q = answer(count, attributes, data, address, found, place, way, result);
        if (*q == NOBODY_KNOWS) return order_enter_memory();
        if (*q != LATER) return NULL;
        nanosleep(&nap, NULL);
    }
}

/* What the driver says of it, it says of what nobody has allocated. */
static CUdeviceptr unknown(void) {
    static char anything;
    return (CUdeviceptr)(uintptr_t)&anything;
}

EXPORT CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    const struct driver *d = driver();
    struct place place;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    enum found found = data ? find(address, &place) : NOTHING;
    if (found == NOTHING) return d->cuPointerGetAttribute(data, attribute, address);
    if (found == BEYOND) return d->cuPointerGetAttribute(data, attribute, unknown());
    enum question q;
    CUresult result;
    struct giving *giving = enter_or_answer(1, &attribute, &data, address, found, &place, ONE, &q, &result);
    if (!giving && q == ANSWERED) return result;
    result = d->cuPointerGetAttribute(data, attribute, address);
    if (!result && found == ALLOCATION) differs(data, attribute, &place);
    if (giving) order_leave_memory(giving);
    return result;
}

EXPORT CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address) {
    const struct driver *d = driver();
    struct place place;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    enum found found = count && attributes && data ? find(address, &place) : NOTHING;
    if (found == NOTHING) return d->cuPointerGetAttributes(count, attributes, data, address);
    if (found == BEYOND) return d->cuPointerGetAttributes(count, attributes, data, unknown());
    enum question q;
    CUresult result;
    struct giving *giving = enter_or_answer(count, attributes, data, address, found, &place, SEVERAL, &q, &result);
    if (!giving && q == ANSWERED) return result;
    result = d->cuPointerGetAttributes(count, attributes, data, address);
    for (unsigned i = 0; i < count && !result && found == ALLOCATION; i++)
        if (data[i]) differs(data[i], attributes[i], &place);
    if (giving) order_leave_memory(giving);
    return result;
}

/* Other processes and devices that reach the memory would not see it move. */
static void stay(CUdeviceptr address, size_t size) {
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct mapping *m = mapping_next(address); m && m->base < address + size; m = mapping_next(m->base + m->size)) m->block->stays = STAYS_EXPORTED;
    pthread_rwlock_unlock(&blocks_lock);
}

/* Whoever is given the memory itself must find it ever after. */
#define GIVE_AWAY(name, parameters, arguments) \
    EXPORT CUresult name parameters { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct giving *giving = order_enter_memory(); \
        CUresult result = d->name arguments; \
        if (!result) stay(address, size); \
        order_leave_memory(giving); \
        return result; \
    }
GIVE_AWAY(cuMemGetHandleForAddressRange, (void *handle, CUdeviceptr address, size_t size, CUmemRangeHandleType type, unsigned long long flags), (handle, address, size, type, flags))
GIVE_AWAY(cuMulticastBindAddr, (CUmemGenericAllocationHandle multicast, size_t at, CUdeviceptr address, size_t size, unsigned long long flags), (multicast, at, address, size, flags))
GIVE_AWAY(cuMulticastBindAddr_v2, (CUmemGenericAllocationHandle multicast, CUdevice device, size_t at, CUdeviceptr address, size_t size, unsigned long long flags),
          (multicast, device, at, address, size, flags))

/* The driver shares no mapped memory this way. */
EXPORT CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address) {
    static _Atomic int told;
    const struct driver *d = driver();
    struct place place;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    struct giving *giving = order_enter_memory();
    CUresult result = d->cuIpcGetMemHandle(handle, address);
    order_leave_memory(giving);
    if (result && find(address, &place) == ALLOCATION && !atomic_exchange(&told, 1))
        say(LOG_WARN, "memory that can be parked cannot be shared by cuIpcGetMemHandle; TORPOR_PARK=0 leaves all memory to the driver.");
    return result;
}
