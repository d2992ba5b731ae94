/* What one device may do with the memory of another. */
#include "harness.h"
#include "outcome.h"
#include "kernels.h"

enum { MB = 1 << 20 };
static CUcontext context[2];
static CUdeviceptr memory[2];

/* 0: there is but one device. The first is current. */
static int set_up(void) {
    int count = 0;
    if (!real_driver()) fresh_machine(2, "1G");
    use_device(0);
    OK(cu.cuDeviceGetCount(&count));
    if (skipped(count < 2, "one device")) return 0;
    for (int d = 1; d >= 0; d--) {
        context[d] = use_device(d);
        OK(cu.cuMemAlloc_v2(&memory[d], 4 * MB));
        OK(cu.cuMemsetD8_v2(memory[d], (unsigned char)('a' + d), 4 * MB));
        OK(cu.cuCtxSynchronize());
    }
    return 1;
}

static CUresult filled(CUdeviceptr at) {
    CUmodule module;
    CUfunction fill;
    uint64_t first = 0, count = 4, seed = 1;
    void *args[] = {&at, &first, &count, &seed};
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    OK(cu.cuModuleGetFunction(&fill, module, "torpor_fill"));
    OK(cu.cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 0, NULL, args, NULL));
    return cu.cuCtxSynchronize();
}

static int access_flags(CUdeviceptr at) {
    int flags = -1;
    OK(cu.cuPointerGetAttribute(&flags, CU_POINTER_ATTRIBUTE_ACCESS_FLAGS, at));
    return flags;
}

static void devicesAreNoPeersOfThemselves(void) {
    int can = 9;
    if (!set_up()) return;
    OK(cu.cuDeviceCanAccessPeer(&can, 0, 0));
    EXPECT_IS(0, can);
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDeviceCanAccessPeer(&can, 0, 99));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuDeviceCanAccessPeer(NULL, 0, 1));
    OK(cu.cuDeviceCanAccessPeer(&can, 0, 1));
    if (!real_driver()) EXPECT_IS(1, can);
}

static void enablingAnswersItsCodes(void) {
    CUcontext here;
    if (!set_up()) return;
    EXPECT_IS(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, cu.cuCtxDisablePeerAccess(context[1]));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuCtxEnablePeerAccess(context[1], 1));
    EXPECT_IS(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, cu.cuCtxEnablePeerAccess(context[0], 0));
    OK(cu.cuCtxEnablePeerAccess(context[1], 0));
    EXPECT_IS(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, cu.cuCtxEnablePeerAccess(context[1], 0));
    OK(cu.cuCtxDisablePeerAccess(context[1]));
    EXPECT_IS(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, cu.cuCtxDisablePeerAccess(context[1]));
    OK(cu.cuCtxCreate_v2(&here, 0, 0));
    EXPECT_IS(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, cu.cuCtxEnablePeerAccess(context[0], 0));
    OK(cu.cuCtxDestroy_v2(here));
}

static void enablingIsOfOneDirection(void) {
    if (!set_up()) return;
    EXPECT_IS(3, access_flags(memory[1])); /* whoever asks */
    EXPECT_IS(3, access_flags(memory[0]));
    OK(cu.cuCtxEnablePeerAccess(context[1], 0));
    EXPECT_IS(3, access_flags(memory[1]));
    OK(filled(memory[1]));
    OK(cu.cuMemsetD8_v2(memory[1], 1, 4 * MB));
    OK(cu.cuCtxSynchronize());
    OK(cu.cuCtxSetCurrent(context[1]));
    EXPECT_IS(3, access_flags(memory[0]));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, filled(memory[0]));
}

static void aKernelWithoutAccessFails(void) {
    if (!set_up()) return;
    OK(cu.cuCtxEnablePeerAccess(context[1], 0));
    OK(filled(memory[1]));
    OK(cu.cuCtxDisablePeerAccess(context[1]));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, filled(memory[1]));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuCtxSynchronize());
}

static void copiesNeedNoAccess(void) {
    char out[2] = "";
    CUstream s;
    if (skipped(under_shim(), "copies between devices without peer access need memory that cannot be parked") || !set_up()) return;
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemcpyDtoD_v2(memory[0], memory[1], MB));
    OK(cu.cuMemcpyDtoDAsync_v2(memory[0] + MB, memory[1], MB, s));
    OK(cu.cuMemcpy(memory[0] + 2 * MB, memory[1], MB));
    OK(cu.cuCtxSynchronize());
    for (int third = 0; third < 3; third++) {
        OK(cu.cuMemcpyDtoH_v2(out, memory[0] + (CUdeviceptr)(third + 1) * MB - 1, 1));
        EXPECT_IS('b', out[0]);
    }
    OK(cu.cuMemcpyDtoH_v2(out, memory[1], 1));
    EXPECT_IS('b', out[0]);
}

static CUdeviceptr mapped_on(int device) {
    CUmemAllocationProp prop;
    CUmemGenericAllocationHandle handle;
    CUdeviceptr va = 0;
    memset(&prop, 0, sizeof prop);
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, device};
    CUmemAccessDesc own = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    OK(cu.cuMemCreate(&handle, 2 * MB, &prop, 0));
    OK(cu.cuMemAddressReserve(&va, 2 * MB, 0, 0, 0));
    OK(cu.cuMemMap(va, 2 * MB, 0, handle, 0));
    OK(cu.cuMemSetAccess(va, 2 * MB, &own, 1));
    OK(cu.cuMemRelease(handle));
    return va;
}

static void mappingsGoByTheirOwnAccess(void) {
    CUmemAccessDesc mine = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    if (!set_up()) return;
    CUdeviceptr open = mapped_on(1), closed = mapped_on(1);
    OK(cu.cuMemSetAccess(open, 2 * MB, &mine, 1));
    EXPECT_IS(3, access_flags(open));
    OK(filled(open));
    OK(cu.cuCtxEnablePeerAccess(context[1], 0));
    EXPECT_IS(0, access_flags(closed));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, filled(closed));
}

static void poolsGoByTheirOwnAccess(void) {
    CUmemoryPool pool = NULL;
    CUmemPoolProps props;
    CUmemAccessDesc first = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUmemAccess_flags flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
    CUdeviceptr d;
    if (!set_up()) return;
    memset(&props, 0, sizeof props);
    props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 1};
    OK(cu.cuMemPoolCreate(&pool, &props));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuDeviceSetMemPool(0, pool));
    OK(cu.cuMemAllocFromPoolAsync(&d, MB, pool, NULL)); /* a stream of the other device may */
    OK(cu.cuCtxSynchronize());
    OK(cu.cuMemPoolGetAccess(&flags, pool, &first.location));
    EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_NONE, flags);
    OK(cu.cuMemPoolSetAccess(pool, &first, 1));
    OK(cu.cuMemPoolGetAccess(&flags, pool, &first.location));
    EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, flags);
    EXPECT_IS(3, access_flags(d));
    OK(filled(d));
    first.flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
    OK(cu.cuMemPoolSetAccess(pool, &first, 1));
    OK(cu.cuCtxEnablePeerAccess(context[1], 0));
    EXPECT_IS(3, access_flags(d));
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, filled(d));
}

static void fillsWithoutAccessAreRefused(void) {
    if (skipped(real_driver(), "not known of it yet") || !set_up()) return;
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemsetD8_v2(memory[1], 1, 16));
    OK(cu.cuCtxEnablePeerAccess(context[1], 0));
    OK(cu.cuMemsetD8_v2(memory[1], 1, 16));
    OK(cu.cuCtxSynchronize());
}

static void accessEndsWithTheContext(void) {
    CUcontext made;
    if (!set_up()) return;
    OK(cu.cuCtxCreate_v2(&made, 0, 1));
    OK(cu.cuCtxSetCurrent(context[0]));
    OK(cu.cuCtxEnablePeerAccess(made, 0));
    OK(cu.cuCtxDestroy_v2(made));
    EXPECT_IS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cu.cuCtxDisablePeerAccess(made));
    EXPECT_IS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cu.cuCtxEnablePeerAccess(made, 0));
}

int main(void) {
    RUN(devicesAreNoPeersOfThemselves);
    RUN(enablingAnswersItsCodes);
    RUN(enablingIsOfOneDirection);
    RUN(aKernelWithoutAccessFails);
    RUN(copiesNeedNoAccess);
    RUN(mappingsGoByTheirOwnAccess);
    RUN(poolsGoByTheirOwnAccess);
    RUN(fillsWithoutAccessAreRefused);
    RUN(accessEndsWithTheContext);
    return summary();
}
