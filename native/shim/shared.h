/* What a process has of memory that others have made, and its multicast objects: counted, as the driver does not restore a process that has any. */
#ifndef TORPOR_SHARED_H
#define TORPOR_SHARED_H

#include "driver.h"

struct shared_counts { unsigned imports, multicasts; };

struct shared_counts shared_count(void);

/* Of handles that are the driver's own, after the driver has agreed. */
void shared_mapped(CUmemGenericAllocationHandle handle, CUdeviceptr address, size_t size);
void shared_unmapped(CUdeviceptr from, CUdeviceptr to);
void shared_retained(CUmemGenericAllocationHandle handle, CUdeviceptr address);
void shared_released(CUmemGenericAllocationHandle handle);
void shared_pool_gone(CUmemoryPool pool);
void shared_context_gone(CUcontext context);
void shared_after_fork(void);

#endif
