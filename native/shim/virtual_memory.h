/* Device memory made of the driver's virtual memory management: one block, mapped once, as an allocation. */
#ifndef TORPOR_VIRTUAL_MEMORY_H
#define TORPOR_VIRTUAL_MEMORY_H

#include "blocks.h"

enum { GRANULE = 2 << 20 };

size_t granules(size_t bytes); /* rounded up to whole ones; 0: beyond all bounds */

/* What belongs together, until it is registered and after it was removed. */
struct piece_of_device {
    CUdeviceptr base;
    size_t size;
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp prop;
    uint64_t readers, writers;
};

/* Whether network cards and the like may reach it, as they reach what the driver allocates, and not what it has in pools. */
enum reach { BY_GPUS, BY_ANY_DEVICE };

CUresult piece_make(struct piece_of_device *piece, CUdevice device, size_t size, uint64_t readers, uint64_t writers, enum reach reach); /* all or nothing */
CUresult piece_map(struct piece_of_device *piece, uint64_t readers, uint64_t writers); /* what is mapped nowhere, at its addresses */
void piece_drop(const struct piece_of_device *piece);
void piece_free_address(const struct piece_of_device *piece); /* of what is not mapped any more */
int piece_register(const struct piece_of_device *piece, const struct request *request, struct chunk *chunk); /* 0: out of host memory */

void piece_unregister(struct mapping *mapping, struct piece_of_device *piece); /* with the lock, to write */

/* With the lock, to write: what it is to be from now on, and what is no longer is taken back. */
CUresult mapping_change_access(struct mapping *mapping, uint64_t readers, uint64_t writers);
CUresult map_allow(CUdeviceptr base, size_t size, uint64_t readers, uint64_t writers);

#endif
