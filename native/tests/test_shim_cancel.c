/* Threads that are cancelled, or jump away, while a call of theirs waits: nothing is left behind. */
#include "parking.h"
#include "launch.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>

enum { BYTES = 4 * MIB };
static CUcontext context;
static CUdeviceptr memory;
static CUstream stream;
static CUfunction fill;
static _Atomic int begun, ended;
static char host[32 * MIB];

static void prepare(void) {
    context = use_device(0);
    stream = made_stream();
    fill = kernel("torpor_fill");
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    write_pattern(memory, BYTES, 1);
}

static CUresult launched(void) {
    uint64_t first = 0, count = 2, seed = 3;
    return launch(fill, stream, (void *[]){&memory, &first, &count, &seed});
}
static CUresult filled(void) { return cu.cuMemsetD8_v2(memory, 1, 16); }
static CUresult uploaded(void) { return cu.cuMemcpyHtoD_v2(memory, host, 16); }
static CUresult uploaded_much(void) { return cu.cuMemcpyHtoD_v2(memory, host, BYTES); }
static CUresult allocated(void) { CUdeviceptr d; return cu.cuMemAlloc_v2(&d, BYTES); }
static CUresult allocated_in_stream(void) { CUdeviceptr d; return cu.cuMemAllocAsync(&d, BYTES, stream); }
static CUresult limited(void) { return cu.cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 2048); }
static CUresult captured(void) { return cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED); }

static CUresult (*const calls[])(void) = {launched, filled, uploaded, uploaded_much, allocated, allocated_in_stream, limited, captured};
enum { CALLS = sizeof calls / sizeof calls[0] };

static void *make_call(void *call) {
    OK(cu.cuCtxSetCurrent(context));
    begun++;
    (*(CUresult (*const *)(void))call)();
    ended++;
    return NULL;
}

static void cancelledAtTheGate(void) {
    pthread_t threads[CALLS];
    void *how;
    prepare();
    COMMAND_OK("park");
    for (int i = 0; i < CALLS; i++) pthread_create(&threads[i], NULL, make_call, (void *)&calls[i]);
    while (begun < CALLS) sleep_ms(1);
    sleep_ms(50); /* most are at the gate by now; a thread that is not is cancelled when it comes there */
    for (int i = 0; i < CALLS; i++) pthread_cancel(threads[i]);
    for (int i = 0; i < CALLS; i++) {
        pthread_join(threads[i], &how);
        EXPECT(how == PTHREAD_CANCELED);
    }
    EXPECT_IS(0, ended);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 1);
    for (int i = 0; i < CALLS - 1; i++) OK(calls[i]());
    OK(cu.cuCtxSynchronize());
    COMMAND_OK("park"); /* nobody is thought to be in a call */
    COMMAND_OK("unpark");
}

static void *wait_elsewhere(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    begun++;
    OK(filled());
    ended++;
    return unused;
}

static void othersThatWaitGoOn(void) {
    pthread_t doomed, waiting;
    prepare();
    COMMAND_OK("park");
    pthread_create(&doomed, NULL, make_call, (void *)&calls[0]);
    pthread_create(&waiting, NULL, wait_elsewhere, NULL);
    while (begun < 2) sleep_ms(1);
    sleep_ms(50);
    pthread_cancel(doomed);
    pthread_join(doomed, NULL);
    COMMAND_OK("unpark");
    pthread_join(waiting, NULL);
    EXPECT_IS(1, ended);
}

/* --- a handler that jumps --- */

static sigjmp_buf away;
static void jump(int signal) { (void)signal; siglongjmp(away, 1); }

static void *jump_away(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    if (!sigsetjmp(away, 1)) {
        begun++;
        filled();
        ended++;
    }
    begun++;
    return unused;
}

static void aThreadThatJumpsAwayFromTheGate(void) {
    pthread_t thread;
    signal(SIGUSR1, jump);
    prepare();
    COMMAND_OK("park");
    pthread_create(&thread, NULL, jump_away, NULL);
    while (begun < 1) sleep_ms(1);
    sleep_ms(50);
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    EXPECT(begun == 2 && !ended);
    COMMAND_OK("unpark");
    OK(filled());
    COMMAND_OK("park");
    COMMAND_OK("unpark");
}

/* --- copies --- */

static void *copy_on(void *unused) {
    CUdeviceptr d = 0;
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuMemAlloc_v2(&d, sizeof host));
    for (;;) {
        begun = 1;
        OK(cu.cuMemcpyHtoD_v2(d, host, sizeof host));
        OK(cu.cuMemcpyDtoH_v2(host, d, sizeof host));
        pthread_testcancel();
    }
    return unused;
}

static void aCopierThatIsCancelled(void) {
    pthread_t thread;
    engine_takes_most("4");
    prepare();
    for (int round = 0; round < 5; round++) {
        begun = 0;
        pthread_create(&thread, NULL, copy_on, NULL);
        while (!begun) sleep_ms(1);
        sleep_ms(round * 3);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        copy_bytes(BYTES, (unsigned)round); /* the engine goes on */
    }
    EXPECT(by_engine() > 0);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
}

/* --- frees --- */

static void *free_memory_of_busy_stream(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    begun = 1;
    OK(cu.cuMemFree_v2(memory));
    pthread_testcancel();
    return unused;
}

static void aFreeThatWaitsForTheGpu(void) {
    pthread_t thread;
    CUgraph graph;
    prepare();
    stop_at(stream);
    pthread_create(&thread, NULL, free_memory_of_busy_stream, NULL);
    while (!begun) sleep_ms(1);
    sleep_ms(20);
    pthread_cancel(thread);
    go_on = 1;
    pthread_join(thread, NULL);
    OK(captured());
    OK(cu.cuStreamEndCapture(stream, &graph));
    OK(allocated());
    COMMAND_OK("park");
    COMMAND_OK("unpark");
}

int main(void) {
    RUN(cancelledAtTheGate);
    RUN(othersThatWaitGoOn);
    RUN(aThreadThatJumpsAwayFromTheGate);
    RUN(aCopierThatIsCancelled);
    RUN(aFreeThatWaitsForTheGpu);
    return summary();
}
