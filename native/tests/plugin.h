/* The functions of a plugin that its host opens with RTLD_DEEPBIND: it calls the driver by its imports, by a table of addresses, and by dlsym. */
#ifndef TORPOR_TESTS_PLUGIN_H
#define TORPOR_TESTS_PLUGIN_H

#include "../abi/cuda_functions.h"

#include <stddef.h>

CUresult plugin_alloc(CUdeviceptr *memory, size_t bytes);
CUresult plugin_free(CUdeviceptr memory);
CUresult plugin_fill(CUdeviceptr memory, unsigned char value, size_t bytes);
CUresult plugin_fill_by_table(CUdeviceptr memory, unsigned char value, size_t bytes);
CUresult plugin_fill_by_name(CUdeviceptr memory, unsigned char value, size_t bytes);
CUresult plugin_range(CUdeviceptr *base, size_t *bytes, CUdeviceptr memory);

#endif
