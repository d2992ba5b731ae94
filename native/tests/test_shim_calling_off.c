/* A park that nobody wants any more: its controller has hung up, or does not renew its lease. */
#include "launch.h"
#include "outcome.h"
#include "parking.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BYTES = 4 * MIB };
static CUdeviceptr memory;
static CUcontext context;

static void prepare(void) {
    context = use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    write_pattern(memory, BYTES, 1);
}

static void await_state(const char *state) {
    for (int i = 0; i < 4000 && !strstr(command("status"), state); i++) sleep_ms(5);
    EXPECT(strstr(command("status"), state));
}

static void send_all(int fd, const char *text) { EXPECT_IS(strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL)); }

static void expect_whole(void) {
    EXPECT_PATTERN(memory, BYTES, 1);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 1);
}

static void aControllerThatHangsUpEndsTheDrain(void) {
    prepare();
    stop_at(NULL); /* work that does not end by itself */
    int fd = connect_to(getpid());
    send_all(fd, "park timeout-ms=3600000\n");
    await_state("state=parking");
    close(fd);
    await_state("state=running");
    EXPECT_IS(0, status_of("parked_bytes"));
    go_on = 1;
    OK(cu.cuCtxSynchronize());
    expect_whole();
}

static void aParkThatWaitsForItsTurnIsDropped(void) {
    prepare();
    stop_at(NULL);
    int fd = connect_to(getpid()), second = connect_to(getpid());
    send_all(fd, "park timeout-ms=3600000\n");
    await_state("state=parking");
    send_all(second, "park\n");
    await_state("pending_commands=2");
    close(second);
    await_state("pending_commands=1");
    EXPECT(strstr(command("status"), "state=parking"));
    close(fd);
    await_state("state=running");
    go_on = 1;
    OK(cu.cuCtxSynchronize());
    expect_whole();
}

/* As `echo park | nc -U` does. */
static void whoOnlyEndsWhatItSaysIsAnswered(void) {
    char answer[1024] = "";
    prepare();
    stop_at(NULL);
    int fd = connect_to(getpid());
    send_all(fd, "park timeout-ms=60000\n");
    OK(shutdown(fd, SHUT_WR));
    await_state("state=parking");
    go_on = 1;
    EXPECT(recv(fd, answer, sizeof answer - 1, 0) > 0 && is_ok(answer));
    close(fd);
    COMMAND_OK("unpark");
    expect_whole();
}

/* A hang-up leaves a parked process parked, and does not end an unpark. */
static void onlyAParkIsCalledOff(void) {
    prepare();
    COMMAND_OK("park");
    EXPECT(strstr(command("status"), "state=parked"));
    int fd = connect_to(getpid());
    send_all(fd, "unpark\n");
    close(fd);
    await_state("state=running");
    expect_whole();
}

static _Atomic int stop, failed;
static _Atomic long rounds;

static void *launch_often(void *nothing) {
    CUstream s;
    OK(cu.cuCtxSetCurrent(context));
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    CUfunction function = kernel("torpor_spin");
    for (; !atomic_load(&stop); atomic_fetch_add(&rounds, 1))
        if (spin_by(function, s, 1) || cu.cuStreamSynchronize(s)) atomic_store(&failed, 1);
    return nothing;
}

/* Long before the work ends that the park waits for. */
static void otherWorkGoesOnWhileAParkWaits(void) {
    pthread_t thread;
    CUstream s;
    prepare();
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(pthread_create(&thread, NULL, launch_often, NULL));
    while (!atomic_load(&rounds)) sleep_ms(1);
    stop_at(s);
    int fd = connect_to(getpid());
    send_all(fd, "park timeout-ms=3600000\n");
    await_state("state=parking");
    long before = atomic_load(&rounds);
    for (int i = 0; i < 4000 && atomic_load(&rounds) < before + 3; i++) sleep_ms(5);
    EXPECT(atomic_load(&rounds) >= before + 3);
    EXPECT(strstr(command("status"), "state=parking"));
    go_on = 1;
    char answer[1024] = "";
    EXPECT(recv(fd, answer, sizeof answer - 1, 0) > 0 && is_ok(answer));
    close(fd);
    COMMAND_OK("unpark");
    atomic_store(&stop, 1);
    OK(pthread_join(thread, NULL));
    OK(failed);
    expect_whole();
}

/* --- leases --- */

static void aLeaseThatEndsUnparks(void) {
    prepare();
    COMMAND_OK("park lease-ms=200");
    await_state("state=running");
    EXPECT_IS(0, status_of("lease_ms"));
    expect_whole();
}

static void aLeaseThatIsRenewedDoesNot(void) {
    prepare();
    COMMAND_OK("park lease-ms=3600000");
    EXPECT_IS(3600000, status_of("lease_ms"));
    EXPECT(status_of("lease_left_ms") > 3000000);
    COMMAND_OK("lease");
    EXPECT_IS(3000000, number_of(command("lease lease-ms=3000000"), "lease_ms"));
    EXPECT(strstr(command("status"), "state=parked"));
    COMMAND_OK("lease lease-ms=0"); /* for ever */
    EXPECT_IS(0, status_of("lease_ms"));
    COMMAND_FAILS("argument", "lease");
    COMMAND_OK("lease lease-ms=50");
    await_state("state=running");
    expect_whole();
}

static void aLeaseIsOfAProcessThatIsParked(void) {
    prepare();
    COMMAND_FAILS("running", "lease");
    COMMAND_FAILS("argument", "lease now");
    COMMAND_FAILS("argument", "lease lease-ms=");
    COMMAND_FAILS("argument", "lease keep=1");
    COMMAND_FAILS("argument", "unpark lease-ms=5");
    COMMAND_FAILS("argument", "park lease-ms=3600001");
    COMMAND_OK("park lease-ms=3600000");
    COMMAND_OK("unpark");
    COMMAND_OK("park"); /* the lease of last time is over */
    EXPECT_IS(0, status_of("lease_ms"));
    COMMAND_OK("unpark");
    expect_whole();
}

static void withoutRoomItStaysParkedAndTriesAgain(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemCreate#2-3=2", 1); /* the first one is the program's */
    prepare();
    COMMAND_OK("park lease-ms=50");
    await_state("state=running"); /* by the third try */
    EXPECT_PATTERN(memory, BYTES, 1);
}

int main(void) {
    RUN(aControllerThatHangsUpEndsTheDrain);
    RUN(aParkThatWaitsForItsTurnIsDropped);
    RUN(whoOnlyEndsWhatItSaysIsAnswered);
    RUN(onlyAParkIsCalledOff);
    RUN(otherWorkGoesOnWhileAParkWaits);
    RUN(aLeaseThatEndsUnparks);
    RUN(aLeaseThatIsRenewedDoesNot);
    RUN(aLeaseIsOfAProcessThatIsParked);
    RUN(withoutRoomItStaysParkedAndTriesAgain);
    return summary();
}
