/* A plugin that is linked against the driver. */
#define _GNU_SOURCE
#include "plugin.h"

#include <dlfcn.h>

#define VISIBLE __attribute__((visibility("default")))

static __typeof__(cuMemsetD8_v2) *const volatile table[] = {cuMemsetD8_v2};

VISIBLE CUresult plugin_alloc(CUdeviceptr *memory, size_t bytes) { return cuMemAlloc_v2(memory, bytes); }
VISIBLE CUresult plugin_free(CUdeviceptr memory) { return cuMemFree_v2(memory); }
VISIBLE CUresult plugin_fill(CUdeviceptr memory, unsigned char value, size_t bytes) { return cuMemsetD8_v2(memory, value, bytes); }
VISIBLE CUresult plugin_fill_by_table(CUdeviceptr memory, unsigned char value, size_t bytes) { return table[0](memory, value, bytes); }
VISIBLE CUresult plugin_range(CUdeviceptr *base, size_t *bytes, CUdeviceptr memory) { return cuMemGetAddressRange_v2(base, bytes, memory); }

VISIBLE CUresult plugin_fill_by_name(CUdeviceptr memory, unsigned char value, size_t bytes) {
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY);
    __typeof__(cuMemsetD8_v2) *fill = (__typeof__(fill))dlsym(driver, "cuMemsetD8_v2");
    return fill ? fill(memory, value, bytes) : CUDA_ERROR_NOT_FOUND;
}
