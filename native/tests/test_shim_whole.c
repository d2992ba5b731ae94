/* A copy of the engine is one step of its stream: what other threads give the stream runs before it or after it. */
#include "shim.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BYTES = 24 << 20, ROUNDS = 20 };

static struct {
    CUcontext context;
    CUdeviceptr device;
    CUstream stream;
    unsigned char *ends; /* pinned: the first and the last byte, as one operation of the stream saw them */
    _Atomic int stop, looks, torn;
} look;

/* One copy of two rows, a byte each, as far apart as the memory is long. */
static CUresult read_ends(void) {
    CUDA_MEMCPY2D copy;
    memset(&copy, 0, sizeof copy);
    copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcDevice = look.device;
    copy.srcPitch = BYTES - 1;
    copy.dstMemoryType = CU_MEMORYTYPE_HOST;
    copy.dstHost = look.ends;
    copy.dstPitch = 1;
    copy.WidthInBytes = 1;
    copy.Height = 2;
    CUresult result = cu.cuMemcpy2DAsync_v2(&copy, look.stream);
    return result ? result : cu.cuStreamSynchronize(look.stream);
}

static void *watch(void *unused) {
    (void)unused;
    OK(cu.cuCtxSetCurrent(look.context));
    while (!atomic_load(&look.stop)) {
        OK(read_ends());
        atomic_fetch_add(&look.looks, 1);
        if (look.ends[0] != look.ends[1]) atomic_fetch_add(&look.torn, 1);
    }
    return NULL;
}

static void copy_while_watched(CUstream copies_in, CUstream looks_in, int (*copy)(CUstream stream, const void *from)) {
    pthread_t thread;
    unsigned char *from = malloc(BYTES);
    look.stream = looks_in;
    atomic_store(&look.stop, 0);
    memset(from, 0, BYTES);
    OK(copy(copies_in, from));
    OK(cu.cuCtxSynchronize());
    pthread_create(&thread, NULL, watch, NULL);
    while (!atomic_load(&look.looks)) sleep_ms(1);
    for (int round = 1; round <= ROUNDS; round++) {
        memset(from, round, BYTES);
        OK(copy(copies_in, from));
    }
    atomic_store(&look.stop, 1);
    pthread_join(thread, NULL);
    free(from);
}

static int at_once(CUstream stream, const void *from) { return (void)stream, (int)cu.cuMemcpyHtoD_v2(look.device, from, BYTES); }
static int later(CUstream stream, const void *from) { return (int)cu.cuMemcpyHtoDAsync_v2(look.device, from, BYTES, stream); }

static void prepare(void) {
    engine_at_once("4");
    setenv("TORPOR_COPY_CHUNK", "256K", 1);
    look.context = use_device(0);
    OK(cu.cuMemAlloc_v2(&look.device, BYTES));
    OK(cu.cuMemHostAlloc((void **)&look.ends, 4096, 0));
}

static void expect_whole(void) {
    EXPECT(atomic_load(&look.looks) > 0);
    EXPECT_IS(0, atomic_load(&look.torn));
    EXPECT(statistic("to_device") > 0);
}

static void nobodySeesHalfACopyInTheNullStream(void) {
    prepare();
    copy_while_watched(NULL, NULL, at_once);
    expect_whole();
}

static void nobodySeesHalfACopyInAStream(void) {
    CUstream stream;
    prepare();
    OK(cu.cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    copy_while_watched(stream, stream, later);
    expect_whole();
}

static void blockingStreamsSeeNoHalfOfACopyInTheNullStream(void) {
    CUstream stream;
    prepare();
    OK(cu.cuStreamCreate(&stream, CU_STREAM_DEFAULT));
    copy_while_watched(NULL, stream, at_once);
    expect_whole();
}

static void theNullStreamSeesNoHalfOfACopyInABlockingStream(void) {
    CUstream stream;
    prepare();
    OK(cu.cuStreamCreate(&stream, CU_STREAM_DEFAULT));
    copy_while_watched(stream, NULL, later);
    expect_whole();
}

int main(void) {
    RUN(nobodySeesHalfACopyInTheNullStream);
    RUN(nobodySeesHalfACopyInAStream);
    RUN(blockingStreamsSeeNoHalfOfACopyInTheNullStream);
    RUN(theNullStreamSeesNoHalfOfACopyInABlockingStream);
    return summary();
}
