/* What is asked about memory while it is parked is answered as before, at once. */
#include "parking.h"
#include "launch.h"
#include "virtual.h"

#include <pthread.h>

enum { BYTES = 4 * MIB, FIRST = CU_POINTER_ATTRIBUTE_CONTEXT, LAST = CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, ROOM = 32, P2P_TOKENS = 5 };

struct answer { CUresult one, several; unsigned char value[ROOM], values[ROOM]; };
static struct answer answers[3][LAST + 1];
static CUdeviceptr memory[3]; /* an allocation, a part of a pool, a mapping */
static handle_t handle;

static struct answer asked_for(CUpointer_attribute attribute, CUdeviceptr at) {
    struct answer a;
    void *into = a.values;
    memset(&a, 0x5a, sizeof a);
    a.one = cu.cuPointerGetAttribute(a.value, attribute, at);
    a.several = cu.cuPointerGetAttributes(1, &attribute, &into, at);
    return a;
}

static void prepare(void) {
    use_device(0);
    OK(cu.cuMemAlloc_v2(&memory[0], BYTES));
    OK(cu.cuMemAllocAsync(&memory[1], BYTES, NULL));
    handle = made(BYTES);
    memory[2] = mapped(BYTES, handle);
    OK(cu.cuCtxSynchronize());
    for (int m = 0; m < 3; m++)
        for (int a = FIRST; a <= LAST; a++) answers[m][a] = asked_for((CUpointer_attribute)a, memory[m] + 100);
}

/* A call that fails promises nothing about its output. */
static void expect_same(const char *call, int attribute, int m, const unsigned char *now, const unsigned char *then) {
    for (int i = 0; i < ROOM; i++)
        if (now[i] != then[i]) return fail_at(__FILE__, __LINE__, "%s: attribute %d of memory %d: byte %d is %02x, not %02x", call, attribute, m, i, now[i], then[i]);
}

static void expect_answers(void) {
    for (int m = 0; m < 3; m++)
        for (int a = FIRST; a <= LAST; a++) {
            if (a == P2P_TOKENS || a == CU_POINTER_ATTRIBUTE_BUFFER_ID) continue;
            struct answer now = asked_for((CUpointer_attribute)a, memory[m] + 100), *then = &answers[m][a];
            if (now.one != then->one || now.several != then->several) fail_at(__FILE__, __LINE__, "attribute %d of memory %d answers %d and %d, not %d and %d", a, m, now.one, now.several, then->one, then->several);
            if (!then->one) expect_same("cuPointerGetAttribute", a, m, now.value, then->value);
            if (!then->several) expect_same("cuPointerGetAttributes", a, m, now.values, then->values);
        }
}

static void everyAttributeIsAnsweredWhileParked(void) {
    prepare();
    COMMAND_OK("park");
    expect_answers();
    COMMAND_OK("unpark");
    expect_answers();
}

static void identitiesTellMemoryApart(void) {
    uint64_t ids[3], again;
    prepare();
    COMMAND_OK("park");
    for (int m = 0; m < 3; m++) OK(cu.cuPointerGetAttribute(&ids[m], CU_POINTER_ATTRIBUTE_BUFFER_ID, memory[m]));
    EXPECT(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    for (int m = 0; m < 3; m++) {
        OK(cu.cuPointerGetAttribute(&again, CU_POINTER_ATTRIBUTE_BUFFER_ID, memory[m] + MIB));
        EXPECT(again == ids[m]);
    }
    COMMAND_OK("unpark");
}

static void aHoleIsAnError(void) {
    CUpointer_attribute two[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED};
    unsigned type;
    void *holes[] = {&type, NULL};
    prepare();
    CUresult before = cu.cuPointerGetAttributes(2, two, holes, memory[0]);
    COMMAND_OK("park");
    EXPECT_IS(before, cu.cuPointerGetAttributes(2, two, holes, memory[0]));
    COMMAND_OK("unpark");
}

static void handlesAreAsked(void) {
    CUmemAllocationProp prop;
    handle_t again = 0;
    prepare();
    COMMAND_OK("park");
    OK(cu.cuMemGetAllocationPropertiesFromHandle(&prop, handle));
    EXPECT(prop.type == CU_MEM_ALLOCATION_TYPE_PINNED && prop.location.id == 0);
    OK(cu.cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)memory[2]));
    EXPECT(again == handle);
    COMMAND_OK("unpark");
    OK(cu.cuMemRelease(again));
}

/* --- by many threads, while the process is parked and unparked --- */

static _Atomic int enough;

static void *ask_on(void *context) {
    OK(cu.cuCtxSetCurrent(context));
    while (!enough)
        for (int m = 0; m < 3; m++) {
            struct answer a = asked_for(CU_POINTER_ATTRIBUTE_HOST_POINTER, memory[m]);
            EXPECT(a.one == answers[m][CU_POINTER_ATTRIBUTE_HOST_POINTER].one);
            a = asked_for(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, memory[m]);
            EXPECT_IS(CUDA_SUCCESS, a.one);
        }
    return NULL;
}

static void questionsMeanwhileAreAnswered(void) {
    pthread_t threads[3];
    CUcontext context = use_device(0);
    prepare();
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, ask_on, context);
    for (int i = 0; i < 20; i++) {
        COMMAND_OK("park");
        COMMAND_OK("unpark");
    }
    COMMAND_OK("park");
    enough = 1;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    COMMAND_OK("unpark");
}

int main(void) {
    RUN(everyAttributeIsAnsweredWhileParked);
    RUN(identitiesTellMemoryApart);
    RUN(aHoleIsAnError);
    RUN(handlesAreAsked);
    RUN(questionsMeanwhileAreAnswered);
    return summary();
}
