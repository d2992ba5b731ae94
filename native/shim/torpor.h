/* What libtorpor.so offers to those who load it by name. Everything else that it exports stands in for a function of the C library or of the driver. */
#ifndef TORPOR_SHIM_H
#define TORPOR_SHIM_H

#include "../abi/cuda_types.h"

#define TORPOR_API __attribute__((visibility("default")))

/* The version, also an ELF note of the name "Torpor" and the type 1, which is read without running anything. */
TORPOR_API extern const char torpor_shim_version[];

/* Copies by many streams between pageable host memory and device memory of the current context, ordered like
 * cuMemcpyHtoD and cuMemcpyDtoH and complete when they return; where the engine cannot help, the driver's own copy is made.
 * Callable from any thread. They answer what the driver answers. */
TORPOR_API CUresult torpor_copy_to_device(CUdeviceptr to, const void *from, size_t bytes);
TORPOR_API CUresult torpor_copy_to_host(void *to, CUdeviceptr from, size_t bytes);

/* Gives up what these copies hold in the current context. Where the shim is preloaded it sees contexts go; elsewhere this must
 * be called before the context is destroyed. */
TORPOR_API CUresult torpor_copy_end(void);

/* Puts the statistics so far into line, NAME=VALUE separated by blanks, and a NUL; answers the length that the whole has. */
TORPOR_API size_t torpor_statistics(char *line, size_t room);

#endif
