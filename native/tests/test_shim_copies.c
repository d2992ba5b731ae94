#include "shim.h"

static void largeCopiesGoThroughTheEngine(void) {
    size_t bytes = 9 << 20;
    CUdeviceptr device;
    engine_at_once("3");
    use_device(0);
    char *out = malloc(bytes), *in = calloc(1, bytes);
    for (size_t i = 0; i < bytes; i++) out[i] = (char)(i * 7 + i / 4096);
    OK(cu.cuMemAlloc_v2(&device, bytes));
    OK(cu.cuMemcpyHtoD_v2(device, out, bytes));
    OK(cu.cuMemcpyDtoH_v2(in, device, bytes));
    EXPECT(!memcmp(in, out, bytes));
    EXPECT_IS(1, statistic("to_device"));
    EXPECT_IS(1, statistic("to_host"));
    EXPECT_IS(bytes, statistic("to_host_bytes"));
    free(out);
    free(in);
}

int main(void) {
    RUN(largeCopiesGoThroughTheEngine);
    return summary();
}
