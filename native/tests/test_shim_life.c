/* What else happens to a process whose copies the shim makes: forks, ends, signals, contexts that go, refusals. */
#include "shim.h"
#include "outcome.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { MB = 1 << 20, BYTES = 8 * MB, CHILD_STATUS = 7 };

static void copy_once(unsigned seed) { copy_bytes(BYTES, seed); }

static int thread_count(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) count += *entry->d_name != '.';
    closedir(tasks);
    return count;
}

/* A thread that has ended is still listed for a moment. */
static int threads_become(int most) {
    for (int i = 0; i < 500 && thread_count() > most; i++) sleep_ms(10);
    return thread_count();
}

static CUcontext start_engine(void) {
    engine_at_once("2");
    return use_device(0);
}

/* How many threads there are when the engine does not run; the simulator keeps those of streams that were destroyed. */
static int threads_at_rest(void) {
    CUstream streams[2];
    for (int i = 0; i < 2; i++) OK(cu.cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
    for (int i = 0; i < 2; i++) OK(cu.cuStreamDestroy_v2(streams[i]));
    return thread_count();
}

/* A thread that copies until it is told to stop, or until the process ends. */
static struct { CUcontext context; _Atomic int rounds, stop; pthread_t thread; } copier;

static void *copy_on(void *unused) {
    (void)unused;
    CUdeviceptr device = 0;
    char *out = pattern_of(BYTES, 1), *in = malloc(BYTES);
    OK(cu.cuCtxSetCurrent(copier.context));
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    while (!atomic_load(&copier.stop)) {
        CUresult up = cu.cuMemcpyHtoD_v2(device, out, BYTES), down = cu.cuMemcpyDtoH_v2(in, device, BYTES);
        if (atomic_load(&copier.stop)) break; /* the driver may be gone */
        int good = !up && !down && !memcmp(in, out, BYTES);
        EXPECT(good);
        if (!good) break;
        memset(in, 0, BYTES);
        atomic_fetch_add(&copier.rounds, 1);
    }
    free(out);
    free(in);
    return NULL;
}

static void await_rounds(int more) {
    int wanted = atomic_load(&copier.rounds) + more;
    for (int i = 0; i < 2000 && atomic_load(&copier.rounds) < wanted; i++) sleep_ms(5);
    EXPECT(atomic_load(&copier.rounds) >= wanted);
}

static void start_copying(void) {
    copier.context = start_engine();
    pthread_create(&copier.thread, NULL, copy_on, NULL);
    await_rounds(2);
}

static void stop_copying(void) {
    atomic_store(&copier.stop, 1);
    pthread_join(copier.thread, NULL);
}

/* --- fork and exec --- */

static void end_as_child(int status) {
    if (sanitized()) _exit(status); /* the leak check is not made for a fork of many threads */
    exit(status);
}

static void use_no_driver(void) {
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuInit(0));
    if (real_driver()) return; /* what it answers to the rest is its own affair */
    char *memory = calloc(1, BYTES);
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuMemcpyHtoD_v2(4096, memory, BYTES));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, cu.cuMemcpyDtoH_v2(memory, 4096, BYTES));
    free(memory);
}

static void fork_while_copying(void *how) {
    start_copying();
    for (int i = 0; i < 6; i++) {
        fflush(stdout);
        int pid = fork();
        if (!pid) {
            if (how) execlp("sh", "sh", "-c", how, (char *)NULL);
            use_no_driver();
            fflush(stdout);
            end_as_child(CHILD_STATUS);
        }
        EXPECT_IS(CHILD_STATUS, wait_child(pid));
        await_rounds(1);
    }
    stop_copying();
}

static void aChildForkedDuringACopyHasNoDriverAndDisturbsNobody(void) { EXPECT_QUIET(0, outcome_of(fork_while_copying, NULL)); }

static void aChildForkedDuringACopyMayBecomeAnotherProgram(void) { EXPECT_QUIET(0, outcome_of(fork_while_copying, "exit 7")); }

static void start_a_program(void *unused) {
    (void)unused;
    start_copying();
    for (int i = 0; i < 4; i++) EXPECT_IS(CHILD_STATUS << 8, system("exit 7"));
    await_rounds(1);
    stop_copying();
}

static void programsAreStartedDuringACopy(void) { EXPECT_QUIET(0, outcome_of(start_a_program, NULL)); }

static void copy_in_a_child(void *unused) {
    (void)unused;
    start_engine();
    copy_once(3);
    EXPECT_IS(1, statistic("to_device"));
    fflush(stdout);
}

static void childrenOfAProcessWithoutCudaHaveAnEngineEach(void) {
    int children[3];
    for (int i = 0; i < 3; i++) children[i] = start_child(copy_in_a_child, NULL);
    for (int i = 0; i < 3; i++) OK(wait_child(children[i]));
    copy_in_a_child(NULL);
}

static void aChildOfAProcessThatOnlyLoadedTheDriverHasAnEngine(void) {
    engine_at_once("2");
    load_driver();
    OK(wait_child(start_child(copy_in_a_child, NULL)));
}

/* --- ends --- */

static void exit_while_copying(void *unused) {
    (void)unused;
    start_copying();
    atomic_store(&copier.stop, 1);
    exit(CHILD_STATUS);
}

static void *exit_soon(void *unused) {
    (void)unused;
    await_rounds(2);
    atomic_store(&copier.stop, 1);
    exit(CHILD_STATUS);
}

static void exit_from_a_thread(void *unused) {
    pthread_t thread;
    copier.context = start_engine();
    pthread_create(&thread, NULL, exit_soon, NULL);
    copy_on(unused);
    for (;;) pause();
}

static void leave_while_copying(void *unused) {
    (void)unused;
    start_copying();
    _exit(CHILD_STATUS);
}

static void exec_while_copying(void *unused) {
    (void)unused;
    start_copying();
    execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
}

static void *exec_soon(void *unused) {
    await_rounds(2);
    execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
    return unused;
}

static void exec_from_a_thread(void *unused) {
    pthread_t thread;
    copier.context = start_engine();
    pthread_create(&thread, NULL, exec_soon, NULL);
    copy_on(unused);
}

static void return_after_a_copy(void *unused) {
    (void)unused;
    CUdeviceptr device;
    static char memory[BYTES];
    start_engine();
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    OK(cu.cuMemcpyHtoDAsync_v2(device, memory, BYTES, NULL));
    exit(CHILD_STATUS);
}

/* Several times, as they end at different points of a copy. */
static void expect_end(void (*program)(void *)) {
    for (int i = 0; i < (sanitized() ? 2 : 4); i++) {
        double begun = now_ms();
        EXPECT_QUIET(CHILD_STATUS, outcome_of(program, NULL));
        EXPECT(now_ms() - begun < 20000);
    }
}

static void exitDuringAnotherThreadsCopyEndsTheProcess(void) { expect_end(exit_while_copying); }
static void exitFromAThreadWhileMainCopiesEndsTheProcess(void) { expect_end(exit_from_a_thread); }
static void leavingAtOnceDuringACopyEndsTheProcess(void) { expect_end(leave_while_copying); }
static void execDuringACopyGivesWayToTheOtherProgram(void) { expect_end(exec_while_copying); }
static void execFromAThreadWhileMainCopiesGivesWay(void) { expect_end(exec_from_a_thread); }
static void returningRightAfterAnAsynchronousCopyEndsTheProcess(void) { expect_end(return_after_a_copy); }

static void copy_until_killed(void *unused) {
    copier.context = start_engine();
    copy_on(unused);
}

static void copy_often(void *unused) {
    (void)unused;
    start_engine();
    for (unsigned i = 0; i < (sanitized() ? 5 : 30); i++) copy_once(i);
}

static void aKillInTheMiddleOfACopyDisturbsNobodyElse(void) {
    size_t available, total;
    if (skipped(real_driver(), "nobody is killed in the middle of a real driver")) return;
    fresh_machine(1, "256M");
    int witness = start_child(copy_often, NULL);
    for (int i = 0; i < 8; i++) {
        int pid = start_child(copy_until_killed, NULL);
        sleep_ms(60 + 17 * i);
        kill(pid, SIGKILL);
        EXPECT_IS(-SIGKILL, wait_child(pid));
    }
    OK(wait_child(witness));
    start_engine();
    OK(cu.cuMemGetInfo_v2(&available, &total));
    EXPECT_IS(256 - 8, available / MB);
    copy_once(1);
}

static pthread_t copiers[3];

static void join_copiers(void) {
    atomic_store(&copier.stop, 1);
    for (int i = 0; i < 3; i++) pthread_join(copiers[i], NULL);
}

/* The handler comes after the engine's own, as it was there before. */
static void join_at_the_end(void *unused) {
    (void)unused;
    atexit(join_copiers);
    copier.context = start_engine();
    for (int i = 0; i < 3; i++) pthread_create(&copiers[i], NULL, copy_on, NULL);
    await_rounds(4);
    exit(CHILD_STATUS);
}

static void threadsThatCopyCanBeWaitedForAtTheEnd(void) {
    if (skipped(real_driver(), "a real driver may be gone by then")) return;
    expect_end(join_at_the_end);
}

/* What is left to do at the very end, when all exit handlers have run, as for static objects of C++. */
static struct { int wanted; CUcontext own; CUdeviceptr device; char *out, *in; } late;

static int good_or_gone(CUresult result) { return result == CUDA_SUCCESS || (real_driver() && result); }

static void copy_late(void) {
    EXPECT(good_or_gone(cu.cuMemcpyHtoD_v2(late.device, late.out, BYTES)));
    EXPECT(good_or_gone(cu.cuMemcpyDtoH_v2(late.in, late.device, BYTES)));
    EXPECT(real_driver() || !memcmp(late.in, late.out, BYTES));
}

static void finish_late(void) {
    if (!late.wanted) return;
    copy_late();
    EXPECT(good_or_gone(cu.cuMemFree_v2(late.device)));
    if (late.own) EXPECT(good_or_gone(cu.cuCtxDestroy_v2(late.own)));
    EXPECT(good_or_gone(cu.cuDevicePrimaryCtxRelease_v2(0)));
    late.wanted = 0;
}

static void __attribute__((destructor)) finish_last(void) { finish_late(); }

static void prepare_late(void) {
    late.out = pattern_of(BYTES, 5);
    late.in = calloc(1, BYTES);
    OK(cu.cuMemAlloc_v2(&late.device, BYTES));
    copy_late();
    memset(late.in, 0, BYTES);
    late.wanted = 1;
}

static void copy_after_the_end(void *unused) {
    (void)unused;
    start_engine();
    prepare_late();
    exit(CHILD_STATUS);
}

static void copy_after_the_end_in_another_context(void *unused) {
    (void)unused;
    start_engine();
    copy_once(1);
    OK(cu.cuCtxCreate_v2(&late.own, 0, 0));
    prepare_late();
    exit(CHILD_STATUS);
}

static void copy_in_a_handler(void *unused) {
    (void)unused;
    atexit(finish_late); /* before the engine's own, so that it runs after it */
    start_engine();
    prepare_late();
    exit(CHILD_STATUS);
}

static void destructorsStillCopyAndLetGo(void) { EXPECT_QUIET(CHILD_STATUS, outcome_of(copy_after_the_end, NULL)); }
static void destructorsDestroyTheirContexts(void) { EXPECT_QUIET(CHILD_STATUS, outcome_of(copy_after_the_end_in_another_context, NULL)); }
static void exitHandlersOfEarlierStillCopyAndLetGo(void) { EXPECT_QUIET(CHILD_STATUS, outcome_of(copy_in_a_handler, NULL)); }

/* --- signals --- */

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

static _Atomic int handled_by, handled;

static void note_thread(int signal) {
    (void)signal;
    atomic_store(&handled_by, (int)gettid());
    atomic_fetch_add(&handled, 1);
}

/* The only thread of the program holds it back, so that it waits for that one. */
static void expect_mine(int signal) {
    sigset_t set;
    struct sigaction action = {.sa_handler = note_thread};
    sigaction(signal, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, NULL);
    atomic_store(&handled, 0);
    kill(getpid(), signal);
    copy_once(2);
    EXPECT_IS(0, handled);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    EXPECT_IS(1, handled);
    EXPECT_IS(getpid(), handled_by);
}

static void signalsAreHandledByTheProgramsOwnThreads(void) {
    start_engine();
    copy_once(1);
    expect_mine(SIGTERM);
    expect_mine(SIGUSR1);
    expect_mine(SIGINT);
    expect_mine(SIGCHLD);
}

static void aProgramThatHoldsBackNothingKeepsItsMask(void) {
    sigset_t before, after;
    start_engine();
    sigprocmask(SIG_SETMASK, NULL, &before);
    copy_once(1);
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < SIGRTMIN; signal++) EXPECT_IS(sigismember(&before, signal), sigismember(&after, signal));
}

/* --- idle --- */

static long status_kib(const char *field) {
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field))) value = strtol(line + strlen(field) + 1, NULL, 10);
    fclose(file);
    return value;
}

static void whatIsNotUsedIsGivenUpAndComesBack(void) {
    setenv("TORPOR_COPY_IDLE_MS", sanitized() ? "2000" : "500", 1); /* longer than one copy and its check take */
    start_engine();
    int before = threads_at_rest();
    for (int round = 1; round <= 3; round++) {
        copy_once((unsigned)round);
        EXPECT_IS(before + 2, thread_count());
        EXPECT_IS(before, threads_become(before));
        EXPECT_IS(round, statistic("to_device"));
    }
}

static void pinnedMemoryThatIsNotUsedIsFreed(void) {
    if (skipped(real_driver() || sanitized(), "the simulator's pinned memory alone is counted as resident")) return;
    setenv("TORPOR_COPY_IDLE_MS", "150", 1);
    setenv("TORPOR_COPY_CHUNK", "64M", 1);
    start_engine();
    size_t bytes = 256 * (size_t)MB;
    char *memory = calloc(1, bytes);
    CUdeviceptr device;
    OK(cu.cuMemAlloc_v2(&device, bytes));
    int before = threads_at_rest();
    OK(cu.cuMemcpyDtoH_v2(memory, device, bytes));
    long used = status_kib("RssAnon:");
    threads_become(before);
    sleep_ms(100);
    long left = status_kib("RssAnon:");
    if (left > used - 200 * 1024) fail_at(__FILE__, __LINE__, "%ld KiB of %ld are still there", left, used);
    free(memory);
}

static void zeroKeepsTheBuffersForEver(void) {
    setenv("TORPOR_COPY_IDLE_MS", "0", 1);
    start_engine();
    int before = thread_count();
    copy_once(1);
    int after = thread_count();
    EXPECT(after >= before + 2);
    sleep_ms(500);
    EXPECT_IS(after, thread_count());
    copy_once(2);
}

static void copiesAtTheMomentOfGivingUpAreRight(void) {
    setenv("TORPOR_COPY_IDLE_MS", "1", 1);
    start_engine();
    for (int i = 0; i < (sanitized() ? 10 : 25); i++) {
        copy_once((unsigned)i);
        usleep((useconds_t)(i % 8 * 300));
    }
    EXPECT_IS(0, statistic("passed_aside"));
}

/* --- contexts --- */

static void contextsOneAfterTheOtherLeaveNothingBehind(void) {
    enum { CONTEXTS = 70 }; /* more than there is room for at once */
    int before = 0;
    setenv("TORPOR_COPY_MIN", "1M", 1);
    start_engine();
    for (int i = 0; i < CONTEXTS; i++) {
        CUcontext context;
        OK(cu.cuCtxCreate_v2(&context, 0, 0));
        copy_bytes(MB, (unsigned)i);
        OK(cu.cuCtxDestroy_v2(context));
        if (!i) before = thread_count();
    }
    EXPECT_IS(CONTEXTS, statistic("to_device"));
    EXPECT(threads_become(before) <= before);
    copy_once(2);
}

static void moreContextsAtOnceThanThereIsRoomForCopyAsWell(void) {
    enum { CONTEXTS = 66 };
    CUcontext contexts[CONTEXTS];
    if (skipped(real_driver(), "so many contexts are much memory")) return;
    setenv("TORPOR_COPY_CHUNK", "64K", 1);
    setenv("TORPOR_COPY_MIN", "1M", 1);
    start_engine();
    for (int i = 0; i < CONTEXTS; i++) {
        OK(cu.cuCtxCreate_v2(&contexts[i], 0, 0));
        OK(cu.cuCtxPopCurrent_v2(NULL));
        OK(cu.cuCtxSetCurrent(contexts[i]));
        copy_bytes(MB, (unsigned)i);
    }
    EXPECT_IS(64, statistic("to_device"));
    EXPECT_IS(2 * (CONTEXTS - 64), statistic("passed_other"));
    for (int i = 0; i < CONTEXTS; i++) OK(cu.cuCtxDestroy_v2(contexts[i]));
}

static void aPrimaryContextThatIsReleasedAndRetainedCopiesAnew(void) {
    CUcontext context;
    start_engine();
    int before = threads_at_rest();
    for (int i = 1; i <= 3; i++) {
        copy_once((unsigned)i);
        EXPECT_IS(i, statistic("to_device"));
        OK(cu.cuDevicePrimaryCtxRelease_v2(0));
        EXPECT_IS(before, threads_become(before));
        OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
        OK(cu.cuCtxSetCurrent(context));
    }
}

static void aPrimaryContextThatIsResetCopiesAnew(void) {
    CUcontext context;
    start_engine();
    for (int i = 1; i <= 3; i++) {
        copy_once((unsigned)i);
        EXPECT_IS(i, statistic("to_device"));
        OK(cu.cuDevicePrimaryCtxReset_v2(0));
        OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
        OK(cu.cuCtxSetCurrent(context));
    }
}

static void aPrimaryContextThatOthersHoldKeepsItsEngine(void) {
    CUcontext context;
    start_engine();
    OK(cu.cuDevicePrimaryCtxRetain(&context, 0));
    copy_once(1);
    int running = thread_count();
    OK(cu.cuDevicePrimaryCtxRelease_v2(0));
    EXPECT_IS(running, thread_count());
    copy_once(2);
    EXPECT_IS(running, thread_count());
    EXPECT_IS(2, statistic("to_device"));
}

static void aWrongContextIsAnsweredByTheDriver(void) {
    CUcontext context;
    start_engine();
    copy_once(1);
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDevicePrimaryCtxRelease_v2(99));
    EXPECT_IS(CUDA_ERROR_INVALID_DEVICE, cu.cuDevicePrimaryCtxReset_v2(99));
    OK(cu.cuCtxCreate_v2(&context, 0, 0));
    copy_once(2);
    OK(cu.cuCtxDestroy_v2(context));
    OK(cu.cuCtxSetCurrent(NULL));
    char *memory = calloc(1, BYTES);
    EXPECT(cu.cuMemcpyHtoD_v2(4096, memory, BYTES) != CUDA_SUCCESS);
    free(memory);
}

/* --- refusals --- */

static void copy_without(void *fault) {
    if (fault) setenv("TORPOR_SIM_FAULTS", fault, 1);
    start_engine();
    for (unsigned i = 0; i < 4; i++) copy_once(i);
    EXPECT_IS(0, statistic("to_device"));
    EXPECT_IS(8, statistic("passed_aside"));
}

/* The copies are the driver's, and that is said once. */
static void expect_left_to_the_driver(void (*program)(void *), void *argument) {
    struct outcome o = outcome_of(program, argument);
    EXPECT_IS(0, o.status);
    EXPECT_IS(1, line_count(o.errors));
    if (*o.out || strncmp(o.errors, "torpor: copies are left to the driver: ", 39)) fail_at(__FILE__, __LINE__, "it says: %s%s", o.out, o.errors);
    outcome_free(&o);
}

static void refusedPinnedMemoryLeavesTheCopiesToTheDriver(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    expect_left_to_the_driver(copy_without, "cuMemHostAlloc=2");
}

static void refusedStreamsLeaveTheCopiesToTheDriver(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    expect_left_to_the_driver(copy_without, "cuStreamCreate=2");
    expect_left_to_the_driver(copy_without, "cuStreamCreate#2=2"); /* one is there already */
}

static void refusedEventsLeaveTheCopiesToTheDriver(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    expect_left_to_the_driver(copy_without, "cuEventCreate#4=2"); /* the first is the copy's own */
}

/* Every thread asks for a stack that nobody has. */
static void copy_without_threads(void *unused) {
    (void)unused;
    pthread_attr_t attributes;
    start_engine();
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)1 << 46);
    pthread_setattr_default_np(&attributes);
    int before = thread_count();
    copy_without(NULL);
    EXPECT_IS(before, thread_count());
}

static void refusedThreadsLeaveTheCopiesToTheDriver(void) { expect_left_to_the_driver(copy_without_threads, NULL); }

static void copy_without_memory(void *unused) {
    (void)unused;
    struct rlimit limit;
    CUdeviceptr device;
    start_engine();
    char *out = pattern_of(BYTES, 1), *in = calloc(1, BYTES);
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim_t)status_kib("VmSize:") * 1024;
    setrlimit(RLIMIT_AS, &limit);
    for (int i = 0; i < 4; i++) {
        memset(in, 0, BYTES);
        OK(cu.cuMemcpyHtoD_v2(device, out, BYTES));
        OK(cu.cuMemcpyDtoH_v2(in, device, BYTES));
        EXPECT(!memcmp(in, out, BYTES));
    }
}

static void withoutHostMemoryTheCopiesAreTheDrivers(void) {
    if (skipped(sanitized() || real_driver(), "neither sanitizers nor a real driver stand a limit of memory")) return;
    expect_left_to_the_driver(copy_without_memory, NULL);
}

static void refusedPinnedMemoryIsAskedForInSmallerAmounts(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemHostAlloc#1-2=2", 1);
    engine_at_once("8");
    use_device(0);
    int before = thread_count();
    copy_once(1);
    EXPECT_IS(1, statistic("to_device"));
    EXPECT(thread_count() < before + 8 + 8); /* two lanes, and what the simulator needs for their streams */
}

/* --- libraries that go --- */

static void aClosedDriverIsStillThere(void) {
    start_engine();
    copy_once(1);
    dlclose(driver_library);
    dlclose(driver_library); /* once too often, as some do */
    copy_once(2);
    EXPECT_IS(2, statistic("to_device"));
}

static int load_later(void) {
    void *shim = dlopen(output_path("libtorpor.so"), RTLD_NOW);
    if (!shim) return printf("%s\n", dlerror()), 1;
    dlclose(shim);
    shim = dlopen(output_path("libtorpor.so"), RTLD_NOW);
    __typeof__(torpor_copy_to_device) *up = (__typeof__(torpor_copy_to_device) *)dlsym(shim, "torpor_copy_to_device");
    __typeof__(torpor_copy_to_host) *down = (__typeof__(torpor_copy_to_host) *)dlsym(shim, "torpor_copy_to_host");
    char *out = pattern_of(BYTES, 1), *in = calloc(1, BYTES);
    CUdeviceptr device;
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, up(4096, out, BYTES));
    start_engine();
    OK(cu.cuMemAlloc_v2(&device, BYTES));
    OK(up(device, out, BYTES));
    dlclose(shim);
    OK(down(in, device, BYTES));
    EXPECT(!memcmp(in, out, BYTES));
    free(out);
    free(in);
    return 0;
}

static void become_its_later_user(void *unused) {
    (void)unused;
    char self[4096] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) abort();
    unsetenv("LD_PRELOAD");
    execl(self, self, "load later", (char *)NULL);
}

static void loadedByNameItStaysWhenClosed(void) { EXPECT_QUIET(0, outcome_of(become_its_later_user, NULL)); }

int main(int count, char **words) {
    if (count > 1 && !strcmp(words[1], "load later")) return load_later();
    RUN(aChildForkedDuringACopyHasNoDriverAndDisturbsNobody);
    RUN(aChildForkedDuringACopyMayBecomeAnotherProgram);
    RUN(programsAreStartedDuringACopy);
    RUN(childrenOfAProcessWithoutCudaHaveAnEngineEach);
    RUN(aChildOfAProcessThatOnlyLoadedTheDriverHasAnEngine);
    RUN(exitDuringAnotherThreadsCopyEndsTheProcess);
    RUN(exitFromAThreadWhileMainCopiesEndsTheProcess);
    RUN(leavingAtOnceDuringACopyEndsTheProcess);
    RUN(execDuringACopyGivesWayToTheOtherProgram);
    RUN(execFromAThreadWhileMainCopiesGivesWay);
    RUN(returningRightAfterAnAsynchronousCopyEndsTheProcess);
    RUN(aKillInTheMiddleOfACopyDisturbsNobodyElse);
    RUN(threadsThatCopyCanBeWaitedForAtTheEnd);
    RUN(destructorsStillCopyAndLetGo);
    RUN(destructorsDestroyTheirContexts);
    RUN(exitHandlersOfEarlierStillCopyAndLetGo);
    RUN(aHandlerThatOpensAPageOnDemandIsServed);
    RUN(signalsAreHandledByTheProgramsOwnThreads);
    RUN(aProgramThatHoldsBackNothingKeepsItsMask);
    RUN(whatIsNotUsedIsGivenUpAndComesBack);
    RUN(pinnedMemoryThatIsNotUsedIsFreed);
    RUN(zeroKeepsTheBuffersForEver);
    RUN(copiesAtTheMomentOfGivingUpAreRight);
    RUN(contextsOneAfterTheOtherLeaveNothingBehind);
    RUN(moreContextsAtOnceThanThereIsRoomForCopyAsWell);
    RUN(aPrimaryContextThatIsReleasedAndRetainedCopiesAnew);
    RUN(aPrimaryContextThatIsResetCopiesAnew);
    RUN(aPrimaryContextThatOthersHoldKeepsItsEngine);
    RUN(aWrongContextIsAnsweredByTheDriver);
    RUN(refusedPinnedMemoryLeavesTheCopiesToTheDriver);
    RUN(refusedPinnedMemoryIsAskedForInSmallerAmounts);
    RUN(refusedStreamsLeaveTheCopiesToTheDriver);
    RUN(refusedEventsLeaveTheCopiesToTheDriver);
    RUN(refusedThreadsLeaveTheCopiesToTheDriver);
    RUN(withoutHostMemoryTheCopiesAreTheDrivers);
    RUN(aClosedDriverIsStillThere);
    RUN(loadedByNameItStaysWhenClosed);
    return summary();
}
