/* While a process is parked its work waits; whoever only asks, frees or computes goes on. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "virtual.h"
#include "../shim/hooks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { BYTES = 4 * MIB };
static CUcontext context;
static CUdeviceptr memory;
static CUstream stream;
static CUgraph recording;
static CUgraphExec graph;
static CUfunction fill;
static handle_t handle;
static CUdeviceptr place; /* reserved */
static CUmemoryPool pool;
static char host[BYTES], out[3][BYTES];

static void prepare(void) {
    context = use_device(0);
    stream = made_stream();
    fill = kernel("torpor_fill");
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    OK(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuMemsetD8Async(memory, 'g', 16, stream));
    OK(cu.cuStreamEndCapture(stream, &recording));
    OK(cu.cuGraphInstantiateWithFlags(&graph, recording, 0));
    OK(cu.cuDeviceGetMemPool(&pool, 0));
    handle = made(2 * MIB);
    place = reserved(4 * MIB);
    write_pattern(memory, BYTES, 1);
}

/* --- what waits --- */

static void nothing(void *unused) { (void)unused; }

static CUresult launched(void) {
    uint64_t first = 0, count = 2, seed = 3;
    return launch(fill, stream, (void *[]){&memory, &first, &count, &seed});
}
static CUresult graph_launched(void) { return cu.cuGraphLaunch(graph, stream); }
static CUresult graph_instantiated(void) {
    CUgraphExec made;
    CUresult result = cu.cuGraphInstantiateWithFlags(&made, recording, 0);
    return result ? result : cu.cuGraphExecDestroy(made);
}
static CUresult host_function(void) { return cu.cuLaunchHostFunc(stream, nothing, NULL); }
static CUresult uploaded(void) { return cu.cuMemcpyHtoD_v2(memory, host, 16); }
static CUresult uploaded_much(void) { return cu.cuMemcpyHtoD_v2(memory, host, BYTES); }
static CUresult uploaded_later(void) { return cu.cuMemcpyHtoDAsync_v2(memory, host, BYTES, stream); }
static CUresult downloaded(void) { return cu.cuMemcpyDtoH_v2(out[0], memory, 16); }
static CUresult downloaded_ptds(void) { return cu.cuMemcpyDtoH_v2_ptds(out[1], memory, BYTES); }
static CUresult copied(void) { return cu.cuMemcpyDtoD_v2(memory, memory + 1024, 16); }
static CUresult filled(void) { return cu.cuMemsetD8_v2(memory, 1, 16); }
static CUresult filled_later(void) { return cu.cuMemsetD32Async(memory, 1, 16, stream); }
static CUresult shaped(void) {
    CUDA_MEMCPY2D line = {.srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = memory, .srcPitch = 64, .dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = out[2], .dstPitch = 64, .WidthInBytes = 64, .Height = 1};
    return cu.cuMemcpy2D_v2(&line);
}
static CUresult allocated(void) {
    CUdeviceptr d;
    CUresult result = cu.cuMemAlloc_v2(&d, BYTES);
    return result ? result : cu.cuMemFree_v2(d);
}
static CUresult allocated_small(void) {
    CUdeviceptr d;
    CUresult result = cu.cuMemAlloc_v2(&d, 100);
    return result ? result : cu.cuMemFree_v2(d);
}
static CUresult allocated_in_stream(void) {
    CUdeviceptr d;
    CUresult result = cu.cuMemAllocAsync(&d, BYTES, stream);
    return result ? result : cu.cuMemFreeAsync(d, stream);
}
static CUresult created(void) {
    handle_t h;
    CUmemAllocationProp prop = prop_on(0);
    CUresult result = cu.cuMemCreate(&h, 2 * MIB, &prop, 0);
    return result ? result : cu.cuMemRelease(h);
}
static CUresult mapped_and_unmapped(void) {
    CUresult result = cu.cuMemMap(place, 2 * MIB, 0, handle, 0);
    if (!result) result = allow(place, 2 * MIB);
    return result ? result : cu.cuMemUnmap(place, 2 * MIB);
}
static CUresult limited(void) { return cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 2048); }
static CUresult trimmed(void) { return cu.cuMemPoolTrimTo(pool, 0); }

static const struct call { const char *name; CUresult (*make)(void); } calls[] = {
#define CALL(name) {#name, name}
    CALL(launched), CALL(graph_launched), CALL(graph_instantiated), CALL(host_function), CALL(uploaded), CALL(uploaded_much), CALL(uploaded_later), CALL(downloaded), CALL(downloaded_ptds),
    CALL(copied), CALL(filled), CALL(filled_later), CALL(shaped), CALL(allocated), CALL(allocated_small), CALL(allocated_in_stream), CALL(created), CALL(mapped_and_unmapped),
    CALL(limited), CALL(trimmed),
};
enum { CALLS = sizeof calls / sizeof calls[0] };

struct made { const struct call *call; pthread_t thread; _Atomic int tid, done; CUresult result; };

static void *make_call(void *argument) {
    struct made *m = argument;
    OK(cu.cuCtxSetCurrent(context));
    m->tid = (int)syscall(SYS_gettid);
    m->result = m->call->make();
    m->done = 1;
    return NULL;
}

static void start(struct made *m, const struct call *call) {
    *m = (struct made){.call = call};
    pthread_create(&m->thread, NULL, make_call, m);
}

static void expect_still_waiting(struct made *all, int count) {
    for (int i = 0; i < count; i++) {
        while (!all[i].done && !(all[i].tid && is_blocked(all[i].tid))) sleep_ms(1);
        if (all[i].done) fail_at(__FILE__, __LINE__, "%s did not wait", all[i].call->name);
    }
}

static void expect_done(struct made *all, int count) {
    for (int i = 0; i < count; i++) {
        pthread_join(all[i].thread, NULL);
        if (all[i].result) fail_at(__FILE__, __LINE__, "%s answers %d", all[i].call->name, (int)all[i].result);
    }
}

static void expect_all_wait(const struct call *some, int count) {
    static struct made all[CALLS];
    COMMAND_OK("park");
    for (int i = 0; i < count; i++) start(&all[i], &some[i]);
    expect_still_waiting(all, count);
    COMMAND_OK("unpark");
    expect_done(all, count);
    OK(cu.cuCtxSynchronize());
}

static void workWaitsAndGoesOn(void) {
    prepare();
    expect_all_wait(calls, CALLS);
}

/* --- graphs that are built and changed node by node, of which the driver looks at the addresses --- */

#define PROTOTYPE(name, parameters, arguments) CUresult name parameters;
BUILDS(PROTOTYPE)
#undef PROTOTYPE
CUresult cuGraphCreate(CUgraph *graph, unsigned flags);

static struct { CUgraph graph; CUgraphNode node; } built[5]; /* one for each call, as no graph is for two threads at once */
static CUgraphExec changed;
static struct { CUdeviceptr to; size_t pitch; unsigned value, element; size_t width, height; } fills = {.value = 'n', .element = 4, .width = 16, .height = 1}; /* CUDA_MEMSET_NODE_PARAMS */

static CUresult node_added(void) {
    CUgraphNode another;
    return REAL(cuGraphAddMemsetNode)(&another, built[0].graph, &built[0].node, 1, &fills, context);
}
static CUresult child_added(void) {
    CUgraphNode another;
    return REAL(cuGraphAddChildGraphNode)(&another, built[1].graph, NULL, 0, built[2].graph);
}
static CUresult node_changed(void) { return REAL(cuGraphMemsetNodeSetParams)(built[3].node, &fills); }
static CUresult executable_changed(void) { return REAL(cuGraphExecMemsetNodeSetParams)(changed, built[4].node, &fills, context); }
static CUresult executable_updated(void) {
    struct { int result; void *from, *to; } info;
    return REAL(cuGraphExecUpdate_v2)(graph, recording, &info);
}
static CUresult texture_made(void) {
    unsigned long long texture;
    struct { int type; CUdeviceptr at; int format, channels; size_t bytes; char rest[120]; } texels = {.type = 2, .at = memory, .format = 3, .channels = 1, .bytes = 4096}; /* CUDA_RESOURCE_DESC of words */
    char description[104] = "";
    return REAL(cuTexObjectCreate)(&texture, &texels, description, NULL);
}

static void graphsAreBuiltAfterwards(void) {
    static const struct call builds[] = {CALL(node_added), CALL(child_added), CALL(node_changed), CALL(executable_changed), CALL(executable_updated), CALL(texture_made)};
    prepare();
    fills.to = memory;
    for (int i = 0; i < 5; i++) {
        OK(REAL(cuGraphCreate)(&built[i].graph, 0));
        OK(REAL(cuGraphAddMemsetNode)(&built[i].node, built[i].graph, NULL, 0, &fills, context));
    }
    OK(cu.cuGraphInstantiateWithFlags(&changed, built[4].graph, 0));
    expect_all_wait(builds, sizeof builds / sizeof builds[0]);
    OK(cu.cuGraphLaunch(changed, stream));
    OK(cu.cuStreamSynchronize(stream));
    OK(cu.cuMemcpyDtoH_v2(host, memory, 4));
    EXPECT_IS('n', *(unsigned *)host);
}

/* --- what does not wait --- */

static void questionsAreAnswered(void) {
    CUdeviceptr base, va;
    size_t size, free_now, total, stack;
    CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, CU_POINTER_ATTRIBUTE_IS_MANAGED, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    unsigned type, managed;
    int ordinal, value;
    void *pointer = NULL, *data[] = {&type, &pointer, &managed, &ordinal};
    prepare();
    OK(cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
    va = mapped(2 * MIB, made(2 * MIB));
    COMMAND_OK("park");
    CUdeviceptr all[] = {memory, va};
    for (int i = 0; i < 2; i++) {
        size_t bytes = i ? 2 * MIB : BYTES;
        OK(cu.cuMemGetAddressRange_v2(&base, &size, all[i] + 1000));
        EXPECT(base == all[i] && size == bytes);
        type = managed = 0, ordinal = -1;
        OK(cu.cuPointerGetAttributes(4, which, data, all[i] + 1000));
        EXPECT(type == CU_MEMORYTYPE_DEVICE && pointer == (void *)(uintptr_t)(all[i] + 1000) && !(managed & 0xff) && ordinal == 0);
        OK(cu.cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, all[i] + bytes - 1));
        EXPECT_IS(CU_MEMORYTYPE_DEVICE, type);
        OK(cu.cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, all[i]));
        EXPECT_IS(bytes, size);
    }
    EXPECT_IS(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, allowed_on(0, va));
    EXPECT_IS(CUDA_ERROR_NOT_FOUND, cu.cuMemGetAddressRange_v2(&base, &size, memory + BYTES));
    OK(cu.cuMemGetInfo_v2(&free_now, &total));
    OK(cu.cuCtxGetLimit(&stack, CU_LIMIT_STACK_SIZE));
    EXPECT_IS(4096, stack);
    OK(cu.cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 0));
    OK(cu.cuStreamQuery(stream));
    OK(cu.cuStreamSynchronize(stream));
    OK(cu.cuCtxSynchronize());
    COMMAND_OK("unpark");
    OK(cu.cuCtxGetLimit(&stack, CU_LIMIT_STACK_SIZE));
    EXPECT_IS(4096, stack);
}

static void freesReturnAtOnce(void) {
    CUdeviceptr d[4], small[2];
    prepare();
    size_t before = settled_memory();
    for (int i = 0; i < 4; i++) {
        OK(cu.cuMemAlloc_v2(&d[i], BYTES));
        write_pattern(d[i], BYTES, (unsigned)i);
    }
    OK(cu.cuMemAlloc_v2(&small[0], 1024)); /* the driver's own */
    OK(cu.cuMemAllocAsync(&small[1], 1024, stream));
    OK(cu.cuStreamSynchronize(stream));
    COMMAND_OK("park");
    OK(cu.cuMemFree_v2(d[0]));
    OK(cu.cuMemFreeAsync(d[1], stream));
    OK(cu.cuMemFree_v2(0));
    OK(cu.cuMemFree_v2(small[0]));
    OK(cu.cuMemFreeAsync(small[1], stream));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d[0]));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d[2] + 512));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(0x1234));
    COMMAND_OK("unpark");
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(before - 2 * BYTES, free_memory());
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuMemFree_v2(d[0]));
    COMMAND_OK("park");
    OK(cu.cuMemFree_v2(d[2]));
    COMMAND_OK("unpark");
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_IS(before - BYTES, free_memory());
    EXPECT_PATTERN(d[3], BYTES, 3);
    EXPECT_PATTERN(memory, BYTES, 1);
    OK(cu.cuMemFree_v2(d[3]));
}

static _Atomic int ended;
static _Atomic unsigned counted;
static void *count(void *unused) {
    while (!ended) counted++;
    return unused;
}

static void threadsThatComputeGoOn(void) {
    pthread_t thread;
    prepare();
    pthread_create(&thread, NULL, count, NULL);
    COMMAND_OK("park");
    unsigned then = counted;
    for (int i = 0; i < 200 && counted == then; i++) sleep_ms(5);
    EXPECT(counted != then);
    COMMAND_OK("unpark");
    ended = 1;
    pthread_join(thread, NULL);
}

/* --- what keeps it from being parked --- */

static void aCaptureIsLeftAlone(void) {
    CUgraph captured;
    CUgraphExec made_of_it;
    prepare();
    for (int mode = CU_STREAM_CAPTURE_MODE_GLOBAL; mode <= CU_STREAM_CAPTURE_MODE_RELAXED; mode++) {
        OK(cu.cuStreamBeginCapture_v2(stream, (CUstreamCaptureMode)mode));
        OK(cu.cuMemsetD8Async(memory, 'c', BYTES, stream));
        COMMAND_FAILS("busy", "park timeout-ms=50");
        OK(cu.cuMemcpyDtoHAsync_v2(host, memory, BYTES, stream));
        OK(cu.cuStreamEndCapture(stream, &captured));
        OK(cu.cuGraphInstantiateWithFlags(&made_of_it, captured, 0));
        COMMAND_OK("park");
        COMMAND_OK("unpark");
        OK(cu.cuGraphLaunch(made_of_it, stream));
        OK(cu.cuStreamSynchronize(stream));
        EXPECT(all_are(host, 'c', BYTES));
        memset(host, 0, BYTES);
    }
}

static void *capture_often(void *unused) {
    CUgraph captured;
    OK(cu.cuCtxSetCurrent(context));
    CUstream s = made_stream();
    for (int i = 0; !ended; i++) {
        OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
        OK(cu.cuMemsetD8Async(memory, (unsigned char)i, 64, s));
        if (i % 4 == 0) sleep_ms(1);
        OK(cu.cuStreamEndCapture(s, &captured));
        OK(cu.cuGraphDestroy(captured));
        if (i % 3 == 0) sleep_ms(2);
    }
    return unused;
}

static void capturesThatBeginMeanwhileAreUnharmed(void) {
    pthread_t thread;
    int parked = 0;
    prepare();
    pthread_create(&thread, NULL, capture_often, NULL);
    for (int i = 0; i < 400 && (i < 60 || !parked); i++) {
        const char *answer = command("park timeout-ms=1000");
        EXPECT(is_ok(answer) || is_error(answer, "busy"));
        if (!is_ok(answer)) continue;
        COMMAND_OK("unpark");
        parked++;
    }
    ended = 1;
    pthread_join(thread, NULL);
    EXPECT(parked > 0);
    EXPECT_PATTERN(memory, BYTES, 1);
}

static void workThatDoesNotEndIsLeftAlone(void) {
    CUdeviceptr d;
    prepare();
    double begun = now_ms();
    OK(spin(stream, 3000));
    COMMAND_FAILS("busy", "park timeout-ms=0");
    COMMAND_FAILS("busy", "park timeout-ms=80");
    EXPECT(now_ms() - begun >= 79 && now_ms() - begun < 2500);
    OK(launched()); /* everything goes on */
    OK(cu.cuMemAlloc_v2(&d, BYTES));
    EXPECT_PATTERN(memory + 64, 4, 65);
    COMMAND_OK("park timeout-ms=20000");
    EXPECT(now_ms() - begun >= 2999);
    COMMAND_OK("unpark");
    OK(cu.cuMemFree_v2(d));
    EXPECT_PATTERN(memory + 64, 4, 65);
}

static void aCopyThatRunsComesFirst(void) {
    prepare();
    memset(host, 'h', BYTES);
    OK(spin(stream, 60));
    OK(cu.cuMemcpyHtoDAsync_v2(memory, host, BYTES, stream));
    COMMAND_OK("park");
    memset(host, 0, BYTES);
    COMMAND_OK("unpark");
    OK(cu.cuMemcpyDtoH_v2(host, memory, BYTES));
    EXPECT(all_are(host, 'h', BYTES));
}

static void aContextThatFailedIsNotParked(void) {
    CUdeviceptr wild = 0x7654321000;
    uint64_t first = 0, words = 2, seed = 3;
    prepare();
    OK(launch(fill, stream, (void *[]){&wild, &first, &words, &seed}));
    COMMAND_FAILS("driver", "park");
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuCtxSynchronize());
    COMMAND_FAILS("driver", "park");
    COMMAND_FAILS("running", "unpark");
    EXPECT_IS(CUDA_ERROR_ILLEGAL_ADDRESS, cu.cuMemFree_v2(memory));
}

static void aThreadThatWaitsMayStillBeWaitedFor(void) {
    struct made blocked;
    prepare();
    for (int i = 0; i < 10; i++) {
        COMMAND_OK("park");
        start(&blocked, &calls[i % CALLS]);
        if (i % 2) sleep_ms(3);
        COMMAND_OK("unpark");
        COMMAND_OK("park");
        COMMAND_OK("unpark");
        expect_done(&blocked, 1);
    }
}

/* Whoever still waits for the first context, of which nobody wants to know any more, does not go on to the second. */
static void whoGaveUpWaitingSpoilsNoCapture(void) {
    CUcontext second = NULL;
    CUgraph captured = NULL;
    use_device(0);
    CUstream busy = made_stream();
    OK(cu.cuCtxCreate_v2(&second, 0, 0));
    CUstream s = made_stream();
    OK(cu.cuCtxPopCurrent_v2(&second));
    OK(spin(busy, 700));
    COMMAND_FAILS("busy", "park timeout-ms=50");
    OK(cu.cuCtxPushCurrent_v2(second));
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    sleep_ms(1000);
    OK(cu.cuStreamEndCapture(s, &captured));
    OK(cu.cuGraphDestroy(captured));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    OK(cu.cuCtxDestroy_v2(second));
}

/* --- a thread that ends --- */

static _Atomic int ending;

/* After the shim's own, which was there first. */
static void fill_at_the_end(void *unused) {
    (void)unused;
    ending = 1;
    OK(cu.cuMemsetD8_v2(memory, 1, 16));
}

static void *fill_and_end(void *key) {
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuMemFree_v2(0));
    pthread_setspecific(*(pthread_key_t *)key, key);
    return NULL;
}

static void *free_nothing(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuMemFree_v2(0));
    return unused;
}

/* The call is the thread's alone, though what it had before goes to the next thread. */
static void aCallAtTheEndOfAThreadIsWaitedFor(void) {
    pthread_t last, next;
    pthread_key_t key;
    setenv("TORPOR_SIM_FAULTS", "cuMemsetD8=delay:800", 1);
    context = use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    OK(pthread_key_create(&key, fill_at_the_end));
    pthread_create(&last, NULL, fill_and_end, &key);
    while (!ending) sleep_ms(1);
    sleep_ms(50);
    pthread_create(&next, NULL, free_nothing, NULL);
    pthread_join(next, NULL);
    COMMAND_FAILS("busy", "park timeout-ms=200");
    pthread_join(last, NULL);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
}

int main(void) {
    RUN(workWaitsAndGoesOn);
    RUN_REAL(graphsAreBuiltAfterwards, "the simulator has no graphs that are built node by node");
    RUN(questionsAreAnswered);
    RUN(freesReturnAtOnce);
    RUN(threadsThatComputeGoOn);
    RUN(aCaptureIsLeftAlone);
    RUN(capturesThatBeginMeanwhileAreUnharmed);
    RUN(workThatDoesNotEndIsLeftAlone);
    RUN(aCopyThatRunsComesFirst);
    RUN(aContextThatFailedIsNotParked);
    RUN(aThreadThatWaitsMayStillBeWaitedFor);
    RUN(whoGaveUpWaitingSpoilsNoCapture);
    RUN_SIMULATED(aCallAtTheEndOfAThreadIsWaitedFor, "faults are the simulator's");
    return summary();
}
