#include "harness.h"

#include <dlfcn.h>

static int status_of(const char *name, int version, void **pointer) {
    CUdriverProcAddressQueryResult status = (CUdriverProcAddressQueryResult)-1;
    OK(cu.cuGetProcAddress_v2(name, pointer, version, 0, &status));
    return (int)status;
}

static void procAddressAnswersByBaseNameAndVersion(void) {
    void *pointer = &pointer;
    load_driver();
    OK(cu.cuInit(0));
    EXPECT_IS(1, status_of("cuNoSuchFunction", 13000, &pointer));
    EXPECT(!pointer);
    EXPECT_IS(0, status_of("cuCheckpointProcessLock", 13000, &pointer));
    EXPECT(pointer == (void *)cu.cuCheckpointProcessLock);
    EXPECT_IS(2, status_of("cuCheckpointProcessLock", 12000, &pointer));
    EXPECT(!pointer);
    EXPECT_IS(0, status_of("cuMemAlloc", 13000, &pointer));
    EXPECT(pointer == (void *)cu.cuMemAlloc_v2);
    EXPECT_IS(1, status_of("cuMemAlloc_v2", 13000, &pointer));
}

static void procAddressHandsOutThePerThreadForms(void) {
    void *plain = NULL, *own = NULL;
    CUdriverProcAddressQueryResult status;
    load_driver();
    OK(cu.cuInit(0));
    OK(cu.cuGetProcAddress_v2("cuMemcpyHtoDAsync", &plain, 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM, &status));
    EXPECT(plain == (void *)cu.cuMemcpyHtoDAsync_v2);
    OK(cu.cuGetProcAddress_v2("cuMemcpyHtoDAsync", &own, 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
    EXPECT(own == (void *)cu.cuMemcpyHtoDAsync_v2_ptsz && own != plain);
    OK(cu.cuGetProcAddress_v2("cuMemcpy", &own, 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
    EXPECT(own == (void *)cu.cuMemcpy_ptds);
    OK(cu.cuGetProcAddress_v2("cuMemAlloc", &own, 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status));
    EXPECT(own == (void *)cu.cuMemAlloc_v2);
}

static void everyFunctionIsExported(void) {
    load_driver();
#define DRIVER(name, since, needs, locked, parameters, arguments) if (!cu.name) fail_at(__FILE__, __LINE__, "%s", #name);
#define PER_THREAD(suffix, name, ...) \
    DRIVER(name, __VA_ARGS__) \
    if (!cu.name##_##suffix) fail_at(__FILE__, __LINE__, "%s_%s", #name, #suffix);
#include "../simulator/functions.h"
#undef DRIVER
}

static void errorsHaveNames(void) {
    const char *text = NULL;
    load_driver();
    OK(cu.cuGetErrorName(CUDA_ERROR_ILLEGAL_STATE, &text));
    EXPECT(text && !strcmp(text, "CUDA_ERROR_ILLEGAL_STATE"));
    OK(cu.cuGetErrorName(CUDA_SUCCESS, &text));
    EXPECT(text && !strcmp(text, "CUDA_SUCCESS"));
    OK(cu.cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &text));
    EXPECT(text && !strcmp(text, "out of memory"));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuGetErrorName((CUresult)4242, &text));
    EXPECT(!text);
}

static void nothingWorksBeforeInit(void) {
    int number;
    CUdevice device;
    CUcontext context;
    load_driver();
    OK(cu.cuDriverGetVersion(&number));
    EXPECT(number >= 12080);
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuDeviceGetCount(&number));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuDeviceGet(&device, 0));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuDevicePrimaryCtxRetain(&context, 0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuInit(1));
    OK(cu.cuInit(0));
    OK(cu.cuInit(0));
    OK(cu.cuDeviceGetCount(&number));
    EXPECT(number >= 1);
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDeviceGet(&device, 99));
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDeviceGet(&device, -1));
}

static void devicesDescribeThemselves(void) {
    char name[128];
    CUuuid one, again;
    size_t bytes = 0;
    int major = 0;
    load_driver();
    OK(cu.cuInit(0));
    OK(cu.cuDeviceGetName(name, sizeof name, 0));
    EXPECT(*name);
    OK(cu.cuDeviceGetUuid_v2(&one, 0));
    OK(cu.cuDeviceGetUuid_v2(&again, 0));
    EXPECT(!memcmp(&one, &again, sizeof one));
    OK(cu.cuDeviceTotalMem_v2(&bytes, 0));
    EXPECT(bytes > 0);
    OK(cu.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
    EXPECT(major >= 7);
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuDeviceGetAttribute(&major, (CUdevice_attribute)9999, 0));
}

int main(void) {
    RUN(everyFunctionIsExported);
    RUN(procAddressAnswersByBaseNameAndVersion);
    RUN(procAddressHandsOutThePerThreadForms);
    RUN(errorsHaveNames);
    RUN(nothingWorksBeforeInit);
    RUN(devicesDescribeThemselves);
    return summary();
}
