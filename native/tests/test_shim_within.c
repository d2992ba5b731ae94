/* Calls within calls, as a profiler's callbacks make them: the outer one is still under way when the inner one has returned. */
#include "parking.h"
#include "launch.h"

#include <pthread.h>
#include <signal.h>

enum { BYTES = 4 * MIB };
static CUcontext context;
static CUdeviceptr memory, other;
static CUstream stream;
static _Atomic int begun, inside, ended;
static CUresult outer, inner;

/* While the thread is held up in the driver. */
static void call_again(int signal) {
    (void)signal;
    inner = cu.cuMemsetD8Async(other, 2, 16, stream);
    inside = 1;
}

static void *fill_slowly(void *unused) {
    OK(cu.cuCtxSetCurrent(context));
    begun = 1;
    outer = cu.cuMemsetD16_v2(memory, 7, BYTES / 2); /* is held up before it begins */
    ended = 1;
    return unused;
}

static void theOuterCallIsNotForgotten(void) {
    pthread_t thread;
    setenv("TORPOR_SIM_FAULTS", "cuMemsetD16_v2#1=delay:1000", 1);
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = call_again, .sa_flags = SA_RESTART}, NULL);
    context = use_device(0);
    stream = made_stream();
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    OK(cu.cuMemAlloc_v2(&other, BYTES));
    pthread_create(&thread, NULL, fill_slowly, NULL);
    while (!begun) sleep_ms(1);
    sleep_ms(50);
    pthread_kill(thread, SIGUSR1);
    while (!inside) sleep_ms(1);
    const char *answer = command("park timeout-ms=60000");
    EXPECT(is_ok(answer));
    EXPECT(ended); /* it was waited for */
    COMMAND_OK("unpark");
    pthread_join(thread, NULL);
    OK(inner);
    OK(outer);
    OK(cu.cuCtxSynchronize());
    short first = 0;
    OK(cu.cuMemcpyDtoH_v2(&first, memory, sizeof first));
    EXPECT_IS(7, first);
}

int main(void) {
    RUN_SIMULATED(theOuterCallIsNotForgotten, "a fault");
    return summary();
}
