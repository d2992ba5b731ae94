/* The program's allocations, of blocks that can be parked. Thread-safe. */
#ifndef TORPOR_ALLOCATE_H
#define TORPOR_ALLOCATE_H

#include "virtual_memory.h"

/* Whether the shim makes an allocation of so many bytes in the current context, and on which device. */
int allocation_wanted(size_t bytes, CUcontext *context, CUdevice *device);

/* One that has failed says so at every call, and the driver's own allocation is to tell it. */
int context_is_sound(void);

/* What the driver has allocated itself. */
void allocation_left(CUdeviceptr address, size_t bytes);

/* The driver's own call, which has found no memory, may be made once more: what is kept for the next allocation on the current device is given
 * up, which the program was told is free. 0: there is none. */
int memory_found(CUresult result);
#define WITH_MEMORY(call) ({ CUresult once_ = (call); memory_found(once_) ? (call) : once_; })

/* A capture may forbid what the driver's own allocation would do. Waits for nothing, and answers what that one would. */
CUresult capture_permits(void);

/* Enters to free. While the gate is closed nobody waits: an allocation goes when it opens (put_off), and what is the driver's own
 * is in nobody's way (NULL). */
struct giving *free_enter(CUdeviceptr address, int *put_off);
void allocations_sweep(void); /* what was freed meanwhile. By whoever opens the gate, before */
void allocations_defer(int defer);
void allocations_context_gone(CUcontext context);

uint64_t peers_of(CUcontext owner, CUdevice device); /* which devices may use the allocations of a context on that device, which is among them */
void peers_context_gone(CUcontext context);
void peers_after_fork(void);
/* For a copy that the driver would make of its own memory: the current device is let reach whatever of the two it may not. 0: nothing was changed. */
int peers_let_reach(CUdeviceptr to, CUdeviceptr from);

#endif
