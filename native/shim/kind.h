/* What memory the program's addresses are. */
#ifndef TORPOR_KIND_H
#define TORPOR_KIND_H

#include "driver.h"

enum kind { PAGEABLE, PINNED_HOST, MANAGED_MEMORY, DEVICE_MEMORY, UNKNOWN };

/* Of the whole range, and the device whose memory it is, if it is a device's. UNKNOWN: it is of several kinds, or of several allocations,
 * over which the driver does not copy. */
enum kind kind_of(CUdeviceptr address, size_t bytes, CUdevice *device);

#endif
