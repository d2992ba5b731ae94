/* The kernels of kernels.ptx, by name, in the current context. */
#ifndef TORPOR_TESTS_LAUNCH_H
#define TORPOR_TESTS_LAUNCH_H

#include "harness.h"
#include "kernels.h"
#include "../programs/pattern.h"

static inline CUfunction kernel(const char *name) {
    CUmodule module = NULL;
    CUfunction function = NULL;
    OK(cu.cuModuleLoadData(&module, kernels_ptx));
    OK(cu.cuModuleGetFunction(&function, module, name));
    return function;
}

static inline CUresult launch(CUfunction function, CUstream s, void **arguments) { return cu.cuLaunchKernel(function, 4, 1, 1, 64, 1, 1, 0, s, arguments, NULL); }

static inline CUresult spin_by(CUfunction function, CUstream s, int milliseconds) {
    uint64_t ns = (uint64_t)milliseconds * 1000000;
    return cu.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, s, (void *[]){&ns}, NULL);
}

/* Loads the module each time, which waits for the context's work on a real driver: no call for a thread that must go on beside such work. */
static inline CUresult spin(CUstream s, int milliseconds) { return spin_by(kernel("torpor_spin"), s, milliseconds); }

/* The stream gets no further until go_on is set; the bound makes a wrong wait a failure and no hang. */
static _Atomic int go_on;
static inline void wait_to_go_on(void *unused) { (void)unused; for (int i = 0; i < 20000 && !go_on; i++) sleep_ms(1); }
static inline void stop_at(CUstream s) { go_on = 0; OK(cu.cuLaunchHostFunc(s, wait_to_go_on, NULL)); }

static inline CUresult fill_words(CUdeviceptr at, uint64_t count, uint64_t seed, CUstream s) {
    uint64_t first = 0;
    return launch(kernel("torpor_fill"), s, (void *[]){&at, &first, &count, &seed});
}

/* By the device itself. */
static inline CUresult filled_at(CUdeviceptr at) {
    CUresult result = fill_words(at, 8, 1, NULL);
    return result ? result : cu.cuCtxSynchronize();
}

static inline CUstream made_stream(void) {
    CUstream s = NULL;
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    return s;
}

#endif
