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

CUresult piece_make(struct piece_of_device *piece, CUdevice device, size_t size, uint64_t accessors); /* all or nothing */
CUresult piece_map(struct piece_of_device *piece, uint64_t accessors); /* what is mapped nowhere, at its addresses */
void piece_drop(const struct piece_of_device *piece);
void piece_free_address(const struct piece_of_device *piece); /* of what is not mapped any more */
int piece_register(const struct piece_of_device *piece, const struct request *request); /* 0: out of host memory */

/* Takes the allocation out of the register, if there is one of the program's with this address. With the lock, to write. */
struct mapping *allocation_at(CUdeviceptr base);
void piece_unregister(struct mapping *allocation, struct piece_of_device *piece, struct request *request);

CUresult map_allow(CUdeviceptr base, size_t size, uint64_t readers, uint64_t writers);

#endif
