/* How much host memory can be taken without the kernel killing somebody for it. */
#ifndef TORPOR_HOST_MEMORY_H
#define TORPOR_HOST_MEMORY_H

#include <stddef.h>

int host_memory_has(size_t bytes); /* unknown counts as yes */

#endif
