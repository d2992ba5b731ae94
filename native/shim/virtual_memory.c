#include "virtual_memory.h"
#include "settings.h"

size_t granules(size_t bytes) { return (bytes + GRANULE - 1) / GRANULE * GRANULE; }

CUresult map_allow(CUdeviceptr base, size_t size, uint64_t readers, uint64_t writers) {
    CUmemAccessDesc list[MAX_DEVICES];
    size_t count = 0;
    for (int device = 0; device < MAX_DEVICES; device++) {
        int writes = writers >> device & 1;
        if (!writes && !(readers >> device & 1)) continue;
        list[count++] = (CUmemAccessDesc){{CU_MEM_LOCATION_TYPE_DEVICE, device}, writes ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_READ};
    }
    return count ? driver()->cuMemSetAccess(base, size, list, count) : CUDA_SUCCESS;
}

CUresult mapping_change_access(struct mapping *m, uint64_t readers, uint64_t writers) {
    uint64_t before = m->readers | m->writers, lost = before & ~(readers | writers);
    CUresult result = CUDA_SUCCESS;
    int same = m->readers == readers && m->writers == writers, absent = m->block->parked; /* the unpark puts back what is noted here */
    if (!same && !absent) result = map_allow(m->base, m->size, readers, writers);
    for (int device = 0; device < MAX_DEVICES && !result && !absent; device++) {
        CUmemAccessDesc none = {{CU_MEM_LOCATION_TYPE_DEVICE, device}, CU_MEM_ACCESS_FLAGS_PROT_NONE};
        if (lost >> device & 1) result = driver()->cuMemSetAccess(m->base, m->size, &none, 1);
    }
    if (!result) m->readers = readers, m->writers = writers;
    return result;
}

/* It makes an allocation and its free take a tenth longer. */
static unsigned char reachable_by_network(CUdevice device, enum reach reach) {
    int can = 0;
    return reach == BY_ANY_DEVICE && settings()->park_rdma && !driver()->cuDeviceGetAttribute(&can, CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED, device) && can;
}

/* Between two gaps: a copy that runs over an end must not run into a neighbour, which the driver would take for the same memory. */
static CUresult reserve(struct piece_of_device *piece) {
    CUresult result = driver()->cuMemAddressReserve(&piece->base, piece->size + 2 * GRANULE, 0, 0, 0);
    piece->base += GRANULE;
    return result;
}

void piece_free_address(const struct piece_of_device *piece) { driver()->cuMemAddressFree(piece->base - GRANULE, piece->size + 2 * GRANULE); }

CUresult piece_map(struct piece_of_device *piece, uint64_t readers, uint64_t writers) {
    CUresult result = driver()->cuMemMap(piece->base, piece->size, 0, piece->handle, 0);
    if (result) return result;
    piece->readers = readers;
    piece->writers = writers;
    result = map_allow(piece->base, piece->size, readers, writers);
    if (result) driver()->cuMemUnmap(piece->base, piece->size);
    return result;
}

CUresult piece_make(struct piece_of_device *piece, CUdevice device, size_t size, uint64_t readers, uint64_t writers, enum reach reach) {
    *piece = (struct piece_of_device){.size = size,
        .prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, device}, .allocFlags.gpuDirectRDMACapable = reachable_by_network(device, reach)}};
    CUresult result = driver()->cuMemCreate(&piece->handle, size, &piece->prop, 0);
    if (result) return result;
    if (!(result = reserve(piece))) {
        if (!(result = piece_map(piece, readers, writers))) return CUDA_SUCCESS;
        piece_free_address(piece);
    }
    driver()->cuMemRelease(piece->handle);
    return result;
}

void piece_drop(const struct piece_of_device *piece) {
    const struct driver *d = driver();
    d->cuMemUnmap(piece->base, piece->size);
    d->cuMemRelease(piece->handle);
    piece_free_address(piece);
}

int piece_register(const struct piece_of_device *piece, const struct request *request, struct chunk *chunk) {
    pthread_rwlock_wrlock(&blocks_lock);
    struct block *block = block_add(piece->handle, &piece->prop, piece->size);
    struct mapping *mapping = block ? mapping_add(piece->base, block) : NULL;
    if (block && !mapping) block_remove(block);
    if (mapping) {
        mapping->readers = piece->readers;
        mapping->writers = piece->writers;
        mapping->request = *request;
        block->chunk = chunk;
    }
    pthread_rwlock_unlock(&blocks_lock);
    return mapping != NULL;
}

void piece_unregister(struct mapping *mapping, struct piece_of_device *piece) {
    struct block *block = mapping->block;
    *piece = (struct piece_of_device){mapping->base, mapping->size, block->handle, block->prop, mapping->readers, mapping->writers};
    mapping_remove(mapping);
    block_remove(block);
}
