/* What a program hears about its memory: of an allocation that the shim has made, what the driver would say of its own. */
#include "allocate.h"
#include "chunks.h"
#include "kept.h"
#include "order.h"
#include "settings.h"
#include "statistics.h"

#include <stdatomic.h>
#include <string.h>

/* What the record tells of an address. The rest of its last granule is no part of an allocation, nor is what a pool has to spare. */
enum found { NOTHING, ALLOCATION, BEYOND, MAPPING };
struct place { CUdeviceptr base; size_t size; CUdevice device; CUcontext context; CUmemoryPool pool; uint64_t number; };

static enum found find(CUdeviceptr address, struct place *place) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct mapping *m = mapping_at(address);
    const struct part *part = m && m->block->chunk ? part_holding(m->block->chunk, address) : NULL;
    const struct request *request = part ? &part->request : m ? &m->request : NULL;
    if (request && request->freed) request = NULL;
    size_t bytes = request ? request->bytes : 0;
    if (request) *place = (struct place){part ? part->base : m->base, bytes ? bytes : m->size, m->block->prop.location.id, request->context, request->pool, request->number};
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

/* The driver knows nothing of what is parked, so what is asked most is answered here. */
static int known(void *data, CUpointer_attribute attribute, CUdeviceptr address, enum found found, const struct place *place) {
    int of_driver = found == MAPPING && (attribute == CU_POINTER_ATTRIBUTE_CONTEXT || attribute == CU_POINTER_ATTRIBUTE_ACCESS_FLAGS || attribute == CU_POINTER_ATTRIBUTE_BUFFER_ID);
    if (!of_driver && differs(data, attribute, place)) return 1;
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: memcpy(data, &(unsigned){CU_MEMORYTYPE_DEVICE}, sizeof(unsigned)); return 1;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: memcpy(data, &address, sizeof address); return 1;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: memcpy(data, &(int){0}, sizeof(int)); return 1;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: memcpy(data, &place->device, sizeof place->device); return 1;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &place->base, sizeof place->base); return 1;
    case CU_POINTER_ATTRIBUTE_MAPPED: memcpy(data, &(int){1}, sizeof(int)); return 1;
    default: return 0;
    }
}

static int all_known(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address, enum found found, const struct place *place) {
    int all = 1;
    for (unsigned i = 0; i < count && all; i++) all = data[i] && known(data[i], attributes[i], address, found, place);
    return all;
}

/* NULL: it was answered. Otherwise the driver is to be asked. */
static struct giving *enter_or_answer(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address, enum found found, const struct place *place) {
    struct giving *giving = order_enter_memory_now();
    if (giving) return giving;
    return all_known(count, attributes, data, address, found, place) ? NULL : order_enter_memory();
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
    struct giving *giving = enter_or_answer(1, &attribute, &data, address, found, &place);
    if (!giving) return CUDA_SUCCESS;
    CUresult result = d->cuPointerGetAttribute(data, attribute, address);
    if (!result && found == ALLOCATION) differs(data, attribute, &place);
    order_leave_memory(giving);
    return result;
}

EXPORT CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address) {
    const struct driver *d = driver();
    struct place place;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    enum found found = count && attributes && data ? find(address, &place) : NOTHING;
    if (found == NOTHING) return d->cuPointerGetAttributes(count, attributes, data, address);
    if (found == BEYOND) return d->cuPointerGetAttributes(count, attributes, data, unknown());
    struct giving *giving = enter_or_answer(count, attributes, data, address, found, &place);
    if (!giving) return CUDA_SUCCESS;
    CUresult result = d->cuPointerGetAttributes(count, attributes, data, address);
    for (unsigned i = 0; i < count && !result && found == ALLOCATION; i++)
        if (data[i]) differs(data[i], attributes[i], &place);
    order_leave_memory(giving);
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
