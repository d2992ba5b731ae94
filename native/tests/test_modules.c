#include "harness.h"
#include "kernels.h"
#include "../programs/pattern.h"

static void modulesAnswerTheirCodes(void) {
    CUmodule module;
    CUfunction function;
    use_device(0);
    EXPECT_IS(CUDA_ERROR_INVALID_IMAGE, cu.cuModuleLoadData(&module, "garbage"));
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    EXPECT_IS(CUDA_ERROR_NOT_FOUND, cu.cuModuleGetFunction(&function, module, "nope"));
    OK(cu.cuModuleGetFunction(&function, module, "torpor_fill"));
    OK(cu.cuModuleUnload(module));
}

static void theKernelsComputeThePattern(void) {
    enum { WORDS = 300000 };
    static uint64_t words[WORDS];
    CUmodule module;
    CUfunction fill, check;
    CUdeviceptr d, bad;
    uint64_t first = 5, count = WORDS, seed = 42, wrong = 9, mismatches = 0;
    use_device(0);
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    OK(cu.cuModuleGetFunction(&fill, module, "torpor_fill"));
    OK(cu.cuModuleGetFunction(&check, module, "torpor_check"));
    OK(cu.cuMemAlloc_v2(&d, sizeof words));
    OK(cu.cuMemAlloc_v2(&bad, 8));
    OK(cu.cuMemsetD8_v2(bad, 0, 8));
    void *fill_args[] = {&d, &first, &count, &seed}, *check_args[] = {&d, &first, &count, &seed, &bad};
    OK(cu.cuLaunchKernel(fill, 64, 1, 1, 256, 1, 1, 0, NULL, fill_args, NULL));
    OK(cu.cuMemcpyDtoH_v2(words, d, sizeof words));
    for (uint64_t i = 0; i < WORDS; i++) mismatches += words[i] != pattern(seed, first + i);
    EXPECT_IS(0, mismatches);
    OK(cu.cuMemsetD8_v2(d + 800, 0, 24));
    OK(cu.cuLaunchKernel(check, 64, 1, 1, 256, 1, 1, 0, NULL, check_args, NULL));
    OK(cu.cuMemcpyDtoH_v2(&wrong, bad, 8));
    EXPECT_IS(3, wrong);
}

static void spinningTakesItsTime(void) {
    CUmodule module;
    CUfunction spin;
    uint64_t ns = 60000000;
    void *args[] = {&ns};
    use_device(0);
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    OK(cu.cuModuleGetFunction(&spin, module, "torpor_spin"));
    double begun = now_ms();
    OK(cu.cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    OK(cu.cuCtxSynchronize());
    EXPECT(now_ms() - begun >= 59);
}

static void aCapturedKernelRunsWithTheGraph(void) {
    CUmodule module;
    CUfunction fill;
    CUstream s;
    CUgraph graph;
    CUgraphExec made;
    CUdeviceptr d;
    uint64_t first = 0, count = 4, seed = 7, words[4] = {0};
    void *args[] = {&d, &first, &count, &seed};
    use_device(0);
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    OK(cu.cuModuleGetFunction(&fill, module, "torpor_fill"));
    OK(cu.cuMemAlloc_v2(&d, sizeof words));
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cu.cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 0, s, args, NULL));
    OK(cu.cuStreamEndCapture(s, &graph));
    seed = 8; /* the graph has its own */
    OK(cu.cuGraphInstantiateWithFlags(&made, graph, 0));
    OK(cu.cuGraphLaunch(made, s));
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuMemcpyDtoH_v2(words, d, sizeof words));
    for (uint64_t i = 0; i < 4; i++) EXPECT(words[i] == pattern(7, i));
    OK(cu.cuGraphExecDestroy(made));
    OK(cu.cuGraphDestroy(graph));
}

int main(void) {
    RUN(modulesAnswerTheirCodes);
    RUN(theKernelsComputeThePattern);
    RUN(spinningTakesItsTime);
    RUN(aCapturedKernelRunsWithTheGraph);
    return summary();
}
