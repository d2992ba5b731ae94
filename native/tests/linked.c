/* A program that is linked against the driver: it copies, and says what the shim has counted. */
#define _GNU_SOURCE
#include "../abi/cuda_functions.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char out[4 << 20], in[4 << 20];

static int copied(CUresult result) { return result ? printf("CUDA error %d\n", (int)result), 0 : 1; }

int main(void) {
    CUcontext context;
    CUdeviceptr device;
    char line[8192] = "no shim\n";
    memset(out, 7, sizeof out);
    int good = copied(cuInit(0)) && copied(cuDevicePrimaryCtxRetain(&context, 0)) && copied(cuCtxSetCurrent(context)) && copied(cuMemAlloc_v2(&device, sizeof out))
        && copied(cuMemcpyHtoD_v2(device, out, sizeof out)) && copied(cuMemcpyDtoH_v2(in, device, sizeof in));
    size_t (*statistics)(char *, size_t) = (size_t (*)(char *, size_t))dlsym(RTLD_DEFAULT, "torpor_statistics");
    if (statistics) statistics(line, sizeof line);
    printf("%s", line);
    return good && !memcmp(in, out, sizeof out) ? 0 : 1;
}
