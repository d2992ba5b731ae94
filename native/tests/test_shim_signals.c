/* Signals are for the program's threads; those that an access to memory raises are served. */
#include "engine.h"
#include "outcome.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>

static struct { char *at; long page; _Atomic int faults, by; } watched;

static void open_page(int signal, siginfo_t *info, void *context) {
    (void)context;
    char *address = info->si_addr;
    if (address < watched.at || address >= watched.at + watched.page) _exit(128 + signal);
    atomic_fetch_add(&watched.faults, 1);
    atomic_store(&watched.by, (int)gettid());
    mprotect(watched.at, (size_t)watched.page, PROT_READ | PROT_WRITE);
}

static void watch(char *memory, int protection) {
    struct sigaction action = {.sa_sigaction = open_page, .sa_flags = SA_SIGINFO};
    watched.page = sysconf(_SC_PAGESIZE);
    watched.at = memory + BYTES / 2;
    atomic_store(&watched.faults, 0);
    sigaction(SIGSEGV, &action, NULL);
    mprotect(watched.at, (size_t)watched.page, protection);
}

/* As garbage collectors do it. */
static void aHandlerThatOpensAPageOnDemandIsServed(void) {
    CUdeviceptr device;
    char *text = pattern_of(BYTES, 9), *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    start_engine();
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    memcpy(memory, text, BYTES);
    watch(memory, PROT_NONE);
    OK(cu.cuMemcpyHtoD_v2(device, memory, BYTES));
    EXPECT_IS(1, watched.faults);
    EXPECT(watched.by != getpid());
    memset(memory, 0, BYTES);
    watch(memory, PROT_READ);
    OK(cu.cuMemcpyDtoH_v2(memory, device, BYTES));
    EXPECT_IS(1, watched.faults);
    EXPECT(watched.by != getpid());
    EXPECT(!memcmp(memory, text, BYTES));
    EXPECT_IS(1, statistic("to_device"));
    free(text);
}

static char handled_by[16];
static _Atomic int handled;

static void note_thread(int signal) {
    (void)signal;
    prctl(PR_GET_NAME, handled_by);
    atomic_fetch_add(&handled, 1);
}

/* The only thread of the program holds it back during a copy. So do the simulator's threads; a real driver may have some that do not. */
static void expect_not_the_shims(int signal) {
    sigset_t set;
    struct sigaction action = {.sa_handler = note_thread};
    sigaction(signal, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, NULL);
    atomic_store(&handled, 0);
    kill(getpid(), signal);
    copy_once(2);
    if (simulated()) EXPECT_IS(0, handled);
    EXPECT_IS(0, shim_threads_open_to(signal));
    EXPECT_IS(2, shim_threads_become(2));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    for (int i = 0; i < 500 && !handled; i++) sleep_ms(10);
    EXPECT_IS(1, handled);
    if (is_shims_name(handled_by)) fail_at(__FILE__, __LINE__, "signal %d was handled by %s", signal, handled_by);
}

static void noSignalIsHandledByTheShimsThreads(void) {
    start_engine();
    copy_once(1);
    expect_not_the_shims(SIGTERM);
    expect_not_the_shims(SIGUSR1);
    expect_not_the_shims(SIGINT);
    expect_not_the_shims(SIGCHLD);
}

static void aProgramThatHoldsBackNothingKeepsItsMask(void) {
    sigset_t before, after;
    start_engine();
    sigprocmask(SIG_SETMASK, NULL, &before);
    copy_once(1);
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < SIGRTMIN; signal++) EXPECT_IS(sigismember(&before, signal), sigismember(&after, signal));
}

/* --- cores --- */

static int cores_of(const char *thread) {
    cpu_set_t set;
    return sched_getaffinity(atoi(thread), sizeof set, &set) ? 0 : CPU_COUNT(&set);
}

/* Of the shim's threads, the fewest. */
static int fewest_cores(void) {
    int fewest = 1 << 20;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));)
        if (is_shims(entry->d_name) && cores_of(entry->d_name) < fewest) fewest = cores_of(entry->d_name);
    closedir(tasks);
    return fewest;
}

static void aThreadThatIsPinnedDoesNotPinTheShims(void) {
    cpu_set_t before, one;
    OK(sched_getaffinity(0, sizeof before, &before));
    int core = 0, all = CPU_COUNT(&before);
    if (skipped(all < 2, "one core")) return;
    while (!CPU_ISSET(core, &before)) core++;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    OK(sched_setaffinity(0, sizeof one, &one));
    start_engine();
    copy_bytes(BYTES, 1);
    EXPECT(by_engine() > 0);
    EXPECT_IS(all, fewest_cores());
    EXPECT_IS(1, cores_of("0")); /* the program's own stays where it is */
}

int main(void) {
    RUN(aHandlerThatOpensAPageOnDemandIsServed);
    RUN(noSignalIsHandledByTheShimsThreads);
    RUN(aProgramThatHoldsBackNothingKeepsItsMask);
    RUN(aThreadThatIsPinnedDoesNotPinTheShims);
    return summary();
}
