/* Blocks of allocations that were freed, for the next of the same size: making and releasing them is most of what an allocation takes,
 * and more than the driver needs for its own. They are mapped nowhere, their sum is small, and to the program they are free memory. Thread-safe. */
#ifndef TORPOR_KEPT_H
#define TORPOR_KEPT_H

#include "virtual_memory.h"

int kept_take(CUdevice device, size_t size, uint64_t accessors, struct piece_of_device *piece); /* mapped again. 0: there is none */
void kept_put(const struct piece_of_device *piece); /* mapped still; the GPU has done with it */
int kept_give_up(CUdevice device); /* how many */
size_t kept_bytes(CUdevice device);
void kept_after_fork(void);

#endif
