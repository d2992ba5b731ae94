/* Copies at random. The device's memory and a mirror of it get the same; every look at the device is compared with the mirror. */
#include "shim.h"

#include <pthread.h>
#include <time.h>

enum { KB = 1 << 10, MB = 1 << 20, BORDER = 64 * KB, GUARD = 64, ROOM = 2 * MB, LARGE_ROOM = 48 * MB, MOST_WORKERS = 50, MOST_SECONDS = 40 /* on a busy machine */ };

static uint64_t seed;

static void choose_seed(void) {
    const char *given = getenv("TORPOR_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = given && *given ? strtoull(given, NULL, 10) : ((uint64_t)now.tv_nsec << 16 ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid()) % 1000000000;
    printf("    TORPOR_TEST_SEED=%llu\n", (unsigned long long)seed);
}

struct worker {
    CUcontext context;
    uint64_t random;
    int copies, made; /* to be made, and made in time */
    size_t room;
    int wrong;
    CUdeviceptr device;
    char *mirror, *out, *in;
    CUstream blocking, other;
};

static uint64_t next(struct worker *w) {
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random * 0x2545f4914f6cdd1dULL >> 8;
}

static size_t below(struct worker *w, size_t limit) { return (size_t)(next(w) % limit); }

static size_t any_size(struct worker *w) {
    size_t kind = below(w, 2000), borders = 1 + below(w, 5);
    if (kind < 2 && w->room == LARGE_ROOM) return 8 * MB + below(w, 32 * MB);
    if (kind < 100) return MB / 2 + below(w, MB / 2);
    if (kind < 300) return BORDER - 2 + below(w, 5);
    if (kind < 400) return 1 + below(w, BORDER);
    if (kind < 900) return borders * BORDER - 1 + below(w, 3);
    return BORDER + below(w, 2 * BORDER);
}

/* Mostly near the beginning, whatever the room, so that copies overlap with earlier ones. */
static size_t any_offset(struct worker *w, size_t bytes) {
    size_t room = w->room - bytes - 2 * GUARD, most = ROOM - MB - 2 * GUARD, kind = below(w, 4);
    size_t offset = below(w, room < most ? room : most);
    return GUARD + (kind == 0 ? offset / 4096 * 4096 : kind == 1 ? offset / 64 * 64 : offset);
}

static CUstream any_stream(struct worker *w) {
    CUstream choice[] = {NULL, CU_STREAM_LEGACY, CU_STREAM_PER_THREAD, w->blocking, w->other};
    return choice[below(w, sizeof choice / sizeof choice[0])];
}

static void expect(struct worker *w, int good, const char *what, enum form form, size_t bytes, size_t at, size_t from) {
    if (good || w->wrong++) return;
    fail_at(__FILE__, __LINE__, "%s: form %d, %zu bytes, %zu <- %zu", what, (int)form, bytes, at, from);
}

/* The bytes to come are all different at some places, and the bytes around are known. */
static void prepare(struct worker *w, size_t to, size_t from, size_t bytes) {
    memset(w->in + to - GUARD, 0xc5, GUARD);
    memset(w->in + to + bytes, 0xc5, GUARD);
    for (size_t i = 0; i < bytes; i += 509) w->in[to + i] = (char)~w->mirror[from + i];
    w->in[to + bytes - 1] = (char)~w->mirror[from + bytes - 1];
}

static void compare(struct worker *w, enum form form, size_t to, size_t from, size_t bytes) {
    expect(w, !memcmp(w->in + to, w->mirror + from, bytes), "wrong bytes", form, bytes, to, from);
    expect(w, all_are(w->in + to - GUARD, (char)0xc5, GUARD), "bytes before were changed", form, bytes, to, from);
    expect(w, all_are(w->in + to + bytes, (char)0xc5, GUARD), "bytes behind were changed", form, bytes, to, from);
}

static void any_download(struct worker *w, enum form form, CUstream s, size_t from, size_t bytes) {
    size_t to = any_offset(w, bytes);
    prepare(w, to, from, bytes);
    expect(w, !download(form, w->in + to, w->device + from, bytes, s), "download refused", form, bytes, to, from);
    compare(w, form, to, from, bytes);
}

static void look_past_the_shim(struct worker *w, size_t from, size_t bytes) {
    prepare(w, GUARD, from, bytes);
    driver_download(w->in + GUARD, w->device + from, bytes, w->other);
    compare(w, FORMS, GUARD, from, bytes);
}

/* Also the bytes around. In the upload's stream, or when that has done all: the driver returns from a small upload before it has arrived. */
static void look(struct worker *w, enum form form, CUstream s, size_t at, size_t bytes) {
    size_t before = below(w, GUARD), from = at - before, wider = bytes + before + below(w, GUARD);
    if (below(w, 3) == 0) return any_download(w, form, s, from, wider);
    expect(w, !settle(form, is_later(form) ? s : NULL), "not settled", form, bytes, at, 0);
    if (below(w, 2)) any_download(w, (enum form)below(w, FORMS), any_stream(w), from, wider);
    else look_past_the_shim(w, from, wider);
}

static void any_copy(struct worker *w) {
    size_t bytes = any_size(w), at = any_offset(w, bytes), from = any_offset(w, bytes);
    enum form form = (enum form)below(w, FORMS);
    CUstream s = any_stream(w);
    memcpy(w->mirror + at, w->out + from, bytes);
    expect(w, !upload(form, w->device + at, w->out + from, bytes, s), "upload refused", form, bytes, at, from);
    for (size_t i = 0; i < bytes; i += 1021) w->out[from + i] ^= 0x5a; /* the source is ours again */
    w->out[from + bytes - 1] ^= 0x5a;
    look(w, form, s, at, bytes);
}

static void open_worker(struct worker *w) {
    OK(cu.cuCtxSetCurrent(w->context));
    OK(cu.cuMemAlloc_v2(&w->device, w->room));
    OK(cu.cuStreamCreate(&w->blocking, CU_STREAM_DEFAULT));
    OK(cu.cuStreamCreate(&w->other, CU_STREAM_NON_BLOCKING));
    OK(cu.cuMemsetD8_v2(w->device, 0, w->room));
    OK(cu.cuCtxSynchronize());
    w->mirror = calloc(1, w->room);
    w->out = malloc(w->room);
    w->in = calloc(1, w->room);
    for (size_t i = 0; i < w->room; i += sizeof(uint64_t)) memcpy(w->out + i, &(uint64_t){next(w)}, sizeof(uint64_t));
}

static void close_worker(struct worker *w) {
    OK(cu.cuStreamDestroy_v2(w->blocking));
    OK(cu.cuStreamDestroy_v2(w->other));
    OK(cu.cuMemFree_v2(w->device));
    free(w->mirror);
    free(w->out);
    free(w->in);
}

static void *work(void *argument) {
    struct worker *w = argument;
    double until = now_ms() + MOST_SECONDS * 1e3;
    open_worker(w);
    for (; w->made < w->copies && !w->wrong && now_ms() < until; w->made += 2) any_copy(w);
    look_past_the_shim(w, GUARD, w->room - 2 * GUARD);
    close_worker(w);
    return NULL;
}

/* Every copy is counted once: those made, and the last look of each worker. The answer: what part the engine made. */
static double run_workers(int workers, const CUcontext *contexts, int context_count, int copies) {
    static struct worker all[MOST_WORKERS];
    pthread_t thread[MOST_WORKERS];
    int each = copies / workers / 2 * 2, made = 0;
    for (int i = 0; i < workers; i++) {
        all[i] = (struct worker){.context = contexts[i % context_count], .random = (seed + (uint64_t)i + 1) * 0x9e3779b97f4a7c15ULL | 1,
                                 .copies = each, .room = i ? ROOM : LARGE_ROOM};
        pthread_create(&thread[i], NULL, work, &all[i]);
    }
    for (int i = 0; i < workers; i++) pthread_join(thread[i], NULL), made += all[i].made;
    unsigned long long engine = by_engine(), sum = engine + by_driver();
    printf("    %llu copies, %llu by the engine\n", sum, engine);
    EXPECT_IS(made + workers, sum);
    return (double)engine / (double)sum;
}

/* 100000 in all on the simulator, 10000 on a real GPU, fewer under a sanitizer. */
static int part(int copies) { return !simulated() ? copies / 10 : sanitized() ? copies / 40 : copies; }

static void random_copies(int workers, CUcontext *contexts, int count, int copies) {
    choose_seed();
    EXPECT(run_workers(workers, contexts, count, part(copies)) > 0.4);
}

static void without_delay(void) {
    engine_takes_most("3");
    setenv("TORPOR_SIM_DELAY_US", "0", 1);
}

static void randomCopiesArriveByteForByte(void) {
    without_delay();
    random_copies(1, (CUcontext[]){use_device(0)}, 1, 30000);
}

static void randomCopiesOfManyThreadsArriveByteForByte(void) {
    without_delay();
    random_copies(3, (CUcontext[]){use_device(0)}, 1, 42000);
}

static void randomCopiesInManyContextsArriveByteForByte(void) {
    CUcontext contexts[8] = {NULL};
    int devices = 0, count = 0;
    without_delay();
    if (simulated()) fresh_machine(2, "4G");
    use_device(0);
    OK(cu.cuDeviceGetCount(&devices));
    if (devices > 2) devices = 2;
    EXPECT(devices == 2 || !simulated());
    for (int i = 0; i < devices; i++) {
        contexts[count++] = use_device(i);
        OK(cu.cuCtxCreate_v2(&contexts[count++], 0, i));
    }
    random_copies(2 * count, contexts, count, 30000);
    for (int i = 1; i < count; i += 2) OK(cu.cuCtxDestroy_v2(contexts[i]));
}

static void copiesWhoseBuffersAreGivenUpAllTheTimeArriveByteForByte(void) {
    without_delay();
    setenv("TORPOR_COPY_IDLE_MS", "1", 1);
    random_copies(2, (CUcontext[]){use_device(0)}, 1, 4000);
}

static void copiesByOneStreamArriveByteForByte(void) {
    without_delay();
    setenv("TORPOR_COPY_STREAMS", "1", 1);
    random_copies(2, (CUcontext[]){use_device(0)}, 1, 4000);
}

static void fiftyThreadsCopyAtOnce(void) {
    without_delay();
    choose_seed();
    EXPECT(run_workers(50, (CUcontext[]){use_device(0)}, 1, 50 * 20) > 0); /* how many, the scheduler decides: most find the engine busy */
}

int main(void) {
    RUN(randomCopiesArriveByteForByte);
    RUN(randomCopiesOfManyThreadsArriveByteForByte);
    RUN(randomCopiesInManyContextsArriveByteForByte);
    RUN(copiesWhoseBuffersAreGivenUpAllTheTimeArriveByteForByte);
    RUN(copiesByOneStreamArriveByteForByte);
    RUN(fiftyThreadsCopyAtOnce);
    return summary();
}
