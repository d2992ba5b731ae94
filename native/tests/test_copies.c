#include "harness.h"

#include <pthread.h>

enum { KB = 1 << 10, MB = 1 << 20 };

static void everyWidthFillsItsPattern(void) {
    unsigned char out[64], want[64];
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 64));
    OK(cu.cuMemsetD8_v2(d, 0xa5, 64));
    OK(cu.cuMemsetD16_v2(d + 16, 0x1234, 8));
    OK(cu.cuMemsetD32_v2(d + 32, 0xdeadbeef, 4));
    OK(cu.cuMemcpyDtoH_v2(out, d, 64));
    memset(want, 0xa5, 64);
    for (int i = 0; i < 8; i++) memcpy(want + 16 + 2 * i, &(uint16_t){0x1234}, 2);
    for (int i = 0; i < 4; i++) memcpy(want + 32 + 4 * i, &(uint32_t){0xdeadbeef}, 4);
    EXPECT(!memcmp(out, want, 64));
}

static void copiesBetweenDevicesAndThroughPlainPointers(void) {
    char in[1000], out[1000] = {0};
    CUdeviceptr a, b;
    for (int i = 0; i < 1000; i++) in[i] = (char)(i * 7);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&a, 1000));
    OK(cu.cuMemAlloc_v2(&b, 3 * MB));
    OK(cu.cuMemcpy(a, (CUdeviceptr)(uintptr_t)in, 1000));
    OK(cu.cuMemcpyDtoD_v2(b + MB - 500, a, 1000));
    OK(cu.cuMemcpyDtoH_v2(out, b + MB - 500, 1000));
    EXPECT(!memcmp(in, out, 1000));
    memset(out, 0, 1000);
    OK(cu.cuMemcpy((CUdeviceptr)(uintptr_t)out, b + MB - 500, 1000));
    EXPECT(!memcmp(in, out, 1000));
}

static void pageableMemoryMayBeReusedAtOnce(void) {
    char in[4096], out[4096];
    CUdeviceptr d;
    CUstream stream;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, sizeof in));
    OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    memset(in, 'a', sizeof in);
    OK(cu.cuMemcpyHtoDAsync_v2(d, in, sizeof in, stream));
    memset(in, 'b', sizeof in);
    memset(out, 0, sizeof out);
    OK(cu.cuMemcpyDtoHAsync_v2(out, d, sizeof out, stream));
    for (size_t i = 0; i < sizeof out; i++)
        if (out[i] != 'a') { EXPECT(out[i] == 'a'); break; }
    OK(cu.cuStreamDestroy_v2(stream));
}

enum { WIDTH = 30, ROWS = 5, PITCH = 48 };

static CUDA_MEMCPY2D rectangle_to_device(CUdeviceptr to, const void *from) {
    return (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = from, .srcPitch = WIDTH, .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = to, .dstXInBytes = 3, .dstY = 1, .dstPitch = PITCH, .WidthInBytes = WIDTH, .Height = ROWS};
}

static void expect_rectangle(const char *in, CUdeviceptr d) {
    char out[(ROWS + 1) * PITCH];
    OK(cu.cuMemcpyDtoH_v2(out, d, sizeof out));
    for (int row = 0; row < ROWS; row++) {
        EXPECT(!memcmp(out + (row + 1) * PITCH + 3, in + row * WIDTH, WIDTH));
        EXPECT(out[(row + 1) * PITCH + 2] == 'z' && out[(row + 1) * PITCH + 3 + WIDTH] == 'z');
    }
}

static void rectanglesKeepToTheirPitch(void) {
    char in[ROWS * WIDTH], back[ROWS * WIDTH] = {0};
    CUdeviceptr d;
    CUDA_MEMCPY2D up, down;
    for (size_t i = 0; i < sizeof in; i++) in[i] = (char)(i * 11);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, (ROWS + 1) * PITCH));
    OK(cu.cuMemsetD8_v2(d, 'z', (ROWS + 1) * PITCH));
    up = rectangle_to_device(d, in);
    OK(cu.cuMemcpy2D_v2(&up));
    expect_rectangle(in, d);
    down = (CUDA_MEMCPY2D){.srcMemoryType = CU_MEMORYTYPE_UNIFIED, .srcDevice = d, .srcXInBytes = 3, .srcY = 1, .srcPitch = PITCH,
                           .dstMemoryType = CU_MEMORYTYPE_UNIFIED, .dstDevice = (CUdeviceptr)(uintptr_t)back, .dstPitch = WIDTH,
                           .WidthInBytes = WIDTH, .Height = ROWS};
    OK(cu.cuMemcpy2D_v2(&down));
    EXPECT(!memcmp(in, back, sizeof in));
}

static void rectanglesOfPageableMemoryAreReadAtOnce(void) {
    char in[ROWS * WIDTH], want[ROWS * WIDTH];
    CUdeviceptr d;
    CUstream stream;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, (ROWS + 1) * PITCH));
    OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemsetD8Async(d, 'z', (ROWS + 1) * PITCH, stream));
    memset(in, 'a', sizeof in);
    memset(want, 'a', sizeof want);
    CUDA_MEMCPY2D up = rectangle_to_device(d, in);
    OK(cu.cuMemcpy2DAsync_v2(&up, stream));
    memset(in, 'b', sizeof in);
    OK(cu.cuStreamSynchronize(stream));
    expect_rectangle(want, d);
}

static void rectanglesThatDoNotFitAreRefused(void) {
    char in[ROWS * WIDTH] = {0};
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, (ROWS + 1) * PITCH));
    CUDA_MEMCPY2D narrow = rectangle_to_device(d, in), high = narrow, none = narrow;
    narrow.dstPitch = WIDTH - 1;
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpy2D_v2(&narrow));
    high.dstY = ROWS;
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpy2D_v2(&high));
    none.Height = 0;
    OK(cu.cuMemcpy2D_v2(&none));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemcpy2D_v2(NULL));
}

/* Random allocations, copies, fills and frees against a shadow in host memory. */
enum { SLOTS = 12, STEPS = 150, LARGEST = 2 * MB + 4 * KB };
struct stress {
    CUcontext context;
    unsigned seed;
    CUdeviceptr at[SLOTS];
    size_t size[SLOTS];
    char *shadow[SLOTS];
    CUstream stream;
    char *pinned;
    int bad;
};

static unsigned next(struct stress *s, unsigned limit) {
    s->seed = s->seed * 1664525u + 1013904223u;
    return (s->seed >> 8) % limit;
}

static void bad(struct stress *s, int wrong) { s->bad += wrong != 0; }

static void allocate(struct stress *s, int i) {
    s->size[i] = 1 + (next(s, 4) ? next(s, 64 * KB) : next(s, LARGEST - 1));
    bad(s, cu.cuMemAlloc_v2(&s->at[i], s->size[i]));
    s->shadow[i] = calloc(1, s->size[i]);
    bad(s, cu.cuMemsetD8Async(s->at[i], 0, s->size[i], s->stream));
}

static void verify(struct stress *s, int i) {
    bad(s, cu.cuMemcpyDtoHAsync_v2(s->pinned, s->at[i], s->size[i], s->stream));
    bad(s, cu.cuStreamSynchronize(s->stream));
    bad(s, memcmp(s->pinned, s->shadow[i], s->size[i]));
}

static void release(struct stress *s, int i) {
    verify(s, i);
    bad(s, cu.cuMemFree_v2(s->at[i]));
    free(s->shadow[i]);
    s->shadow[i] = NULL;
}

static void upload(struct stress *s, int i) {
    size_t from = next(s, (unsigned)s->size[i]), length = 1 + next(s, (unsigned)(s->size[i] - from));
    bad(s, cu.cuStreamSynchronize(s->stream)); /* the pinned buffer may be in use */
    memset(s->pinned, (int)next(s, 256), length);
    memcpy(s->shadow[i] + from, s->pinned, length);
    bad(s, cu.cuMemcpyHtoDAsync_v2(s->at[i] + from, s->pinned, length, s->stream));
}

static void across(struct stress *s, int i) {
    int j = (int)next(s, SLOTS);
    if (!s->shadow[j] || i == j) return;
    size_t length = s->size[i] < s->size[j] ? s->size[i] : s->size[j];
    memcpy(s->shadow[j], s->shadow[i], length);
    bad(s, cu.cuMemcpyDtoDAsync_v2(s->at[j], s->at[i], length, s->stream));
}

static void fill(struct stress *s, int i) {
    unsigned char value = (unsigned char)next(s, 256);
    memset(s->shadow[i], value, s->size[i]);
    bad(s, cu.cuMemsetD8Async(s->at[i], value, s->size[i], s->stream));
}

static void *stress(void *argument) {
    struct stress *s = argument;
    void (*const what[])(struct stress *, int) = {upload, upload, across, fill, verify, release};
    bad(s, cu.cuCtxSetCurrent(s->context));
    bad(s, cu.cuStreamCreate(&s->stream, s->seed % 2 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT));
    bad(s, cu.cuMemHostAlloc((void **)&s->pinned, LARGEST, 0));
    for (int step = 0; step < STEPS; step++) {
        int i = (int)next(s, SLOTS);
        if (s->shadow[i]) what[next(s, 6)](s, i);
        else allocate(s, i);
    }
    for (int i = 0; i < SLOTS; i++)
        if (s->shadow[i]) release(s, i);
    bad(s, cu.cuMemFreeHost(s->pinned));
    bad(s, cu.cuStreamDestroy_v2(s->stream));
    return NULL;
}

static void threadsAndStreamsDoNotDisturbEachOther(void) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    static struct stress all[THREADS];
    size_t before, after, total;
    CUcontext context = use_device(0);
    OK(cu.cuMemGetInfo_v2(&before, &total));
    for (int i = 0; i < THREADS; i++) {
        all[i].context = context;
        all[i].seed = (unsigned)i * 7919 + 1;
        pthread_create(&threads[i], NULL, stress, &all[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_IS(0, all[i].bad);
    }
    OK(cu.cuMemGetInfo_v2(&after, &total));
    if (!getenv("TORPOR_REAL_DRIVER")) EXPECT_IS(before, after); /* a real driver keeps some for itself */
}

int main(void) {
    RUN(everyWidthFillsItsPattern);
    RUN(copiesBetweenDevicesAndThroughPlainPointers);
    RUN(pageableMemoryMayBeReusedAtOnce);
    RUN(rectanglesKeepToTheirPitch);
    RUN(rectanglesOfPageableMemoryAreReadAtOnce);
    RUN(rectanglesThatDoNotFitAreRefused);
    RUN(threadsAndStreamsDoNotDisturbEachOther);
    return summary();
}
