/* The mapping that the driver takes for a checkpoint, and all other mappings. */
#include "shim.h"
#include "outcome.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { MB = 1 << 20, HUGE = 2 * MB, TAKEN = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE };


static int no_huge_pages(void) {
    char text[64] = "[never]";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file && !fgets(text, sizeof text, file)) *text = 0;
    if (file) fclose(file);
    return strstr(text, "[never]") != NULL;
}

/* What /proc says of the mapping that holds an address, or of the largest one for NULL. */
struct mapping { unsigned long start, end; long resident, huge; int advised; };

static struct mapping mapping_of(int pid, const void *address) {
    char path[64], line[512];
    struct mapping now = {0}, found = {0};
    unsigned long at = (unsigned long)address, start, end, inode = 0;
    int writable = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        char permissions[8];
        if (sscanf(line, "%lx-%lx %7s %*x %*s %lu", &start, &end, permissions, &inode) == 4) now = (struct mapping){.start = start, .end = end}, writable = permissions[1] == 'w';
        sscanf(line, "Rss: %ld kB", &now.resident);
        sscanf(line, "AnonHugePages: %ld kB", &now.huge);
        if (strncmp(line, "VmFlags:", 8)) continue;
        now.advised = strstr(line, " hg") != NULL;
        if (at ? at >= now.start && at < now.end : writable && !inode && now.resident > found.resident) found = now;
    }
    if (file) fclose(file);
    return found;
}

static struct mapping mine(const void *address) { return mapping_of(getpid(), address); }
static int is_mapped(const void *address) { return mine(address).end != 0; }

/* --- in this process, which is its own driver's thread for checkpoints --- */

static void *become_the_restore_thread(void) {
    void *library = dlopen(output_path("tests/stub/libcuda.so.1"), RTLD_NOW);
    if (!library) abort();
    OK(((__typeof__(cuInit) *)dlsym(library, "cuInit"))(0));
    return library;
}

static char *take(size_t bytes) { return mmap(NULL, bytes, PROT_READ | PROT_WRITE, TAKEN, -1, 0); }

static void theBufferIsAlignedAndOfHugePages(void) {
    size_t bytes = 40 * MB + 4096;
    become_the_restore_thread();
    char *at = take(bytes);
    EXPECT(at != MAP_FAILED);
    EXPECT_IS(0, (uintptr_t)at % HUGE);
    EXPECT(mine(at).advised);
    EXPECT(mine(at).resident >= 40 * 1024);
    if (!skipped(no_huge_pages(), "this kernel gives no huge pages")) EXPECT(mine(at).huge >= 20 * 1024);
    for (size_t i = 0; i < bytes; i += 4096) EXPECT(!at[i]);
    memset(at, 1, bytes);
    EXPECT_IS(1, statistic("buffer"));
    EXPECT_IS(bytes, statistic("buffer_bytes"));
    OK(munmap(at, bytes));
    EXPECT(!is_mapped(at) && !is_mapped(at + bytes - 1));
    EXPECT_IS(0, statistic("buffer_kept"));
}

static void switchedOffTheDriversMappingIsUntouched(void) {
    setenv("TORPOR_BUFFER_HUGE", "0", 1);
    setenv("TORPOR_BUFFER_KEEP", "0", 1);
    become_the_restore_thread();
    char *at = take(40 * MB);
    EXPECT(!mine(at).advised);
    EXPECT_IS(0, statistic("buffer"));
    OK(munmap(at, 40 * MB));
    EXPECT(!is_mapped(at));
}

static void withoutHugePagesItCanBeKept(void) {
    setenv("TORPOR_BUFFER_HUGE", "0", 1);
    setenv("TORPOR_BUFFER_KEEP", "1G", 1);
    become_the_restore_thread();
    char *at = take(40 * MB);
    EXPECT(!mine(at).advised);
    OK(munmap(at, 40 * MB));
    EXPECT(is_mapped(at));
    EXPECT(take(40 * MB) == at);
    EXPECT_IS(1, statistic("buffer_kept"));
}

static void expect_untouched(void *address, size_t bytes, int protection, int flags, int fd) {
    char *at = mmap(address, bytes, protection, flags, fd, 0);
    if (at == MAP_FAILED) fail_at(__FILE__, __LINE__, "mmap with flags %x: %s", (unsigned)flags, strerror(errno));
    EXPECT(!mine(at).advised);
    OK(munmap(at, bytes));
    EXPECT(!is_mapped(at));
}

static void otherMappingsOfTheSameThreadAreUntouched(void) {
    int both = PROT_READ | PROT_WRITE, fd = memfd_create("file", MFD_CLOEXEC);
    setenv("TORPOR_BUFFER_KEEP", "1G", 1);
    become_the_restore_thread();
    OK(ftruncate(fd, 8 * MB));
    expect_untouched(NULL, 4 * MB - 1, both, TAKEN, -1);
    expect_untouched(NULL, 8 * MB, both, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    expect_untouched(NULL, 8 * MB, both, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1);
    expect_untouched(NULL, 8 * MB, both, TAKEN | MAP_NORESERVE, -1);
    expect_untouched(NULL, 8 * MB, both, TAKEN | MAP_STACK, -1);
    expect_untouched(NULL, 8 * MB, PROT_READ, TAKEN, -1);
    expect_untouched(NULL, 8 * MB, both | PROT_EXEC, TAKEN, -1);
    expect_untouched(NULL, 8 * MB, both, MAP_PRIVATE | MAP_POPULATE, fd);
    void *free_place = mmap(NULL, 8 * MB, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    OK(munmap(free_place, 8 * MB));
    expect_untouched(free_place, 8 * MB, both, TAKEN, -1);
    EXPECT_IS(0, statistic("buffer"));
}

static void *map_elsewhere(void *unused) {
    expect_untouched(NULL, 40 * MB, PROT_READ | PROT_WRITE, TAKEN, -1);
    return unused;
}

static void mappingsOfOtherThreadsAreUntouched(void) {
    pthread_t thread;
    become_the_restore_thread();
    pthread_create(&thread, NULL, map_elsewhere, NULL);
    pthread_join(thread, NULL);
    EXPECT_IS(0, statistic("buffer"));
}

static void withoutCudaMappingsAreUntouched(void) { map_elsewhere(NULL); }

static void errorsAreTheKernels(void) {
    become_the_restore_thread();
    errno = 0;
    EXPECT(mmap(NULL, 0, PROT_READ | PROT_WRITE, TAKEN, -1, 0) == MAP_FAILED && errno == EINVAL);
    errno = 0;
    EXPECT(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 9999, 0) == MAP_FAILED && errno == EBADF);
    errno = 0;
    EXPECT(take((size_t)1 << 50) == MAP_FAILED && errno == ENOMEM);
    errno = 0;
    EXPECT(munmap((void *)1, 4096) == -1 && errno == EINVAL);
    EXPECT(munmap(NULL, 0) == -1);
    EXPECT_IS(0, statistic("buffer"));
}

/* munmap of a part of the buffer, from its beginning, its middle and its end; and of what lies next to it. */
static void partsAndNeighboursAreUnmappedAsTheyAreNamed(void) {
    setenv("TORPOR_BUFFER_KEEP", "1G", 1);
    become_the_restore_thread();
    char *at = take(32 * MB);
    char *next = mmap(at + 32 * MB, MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    memset(at, 7, 32 * MB);
    if (next == at + 32 * MB) {
        OK(munmap(next, MB));
        EXPECT(!is_mapped(next));
    }
    OK(munmap(at + 8 * MB, 4 * MB));
    EXPECT(!is_mapped(at + 8 * MB) && is_mapped(at) && is_mapped(at + 12 * MB));
    OK(munmap(at + 24 * MB, 8 * MB));
    EXPECT(!is_mapped(at + 24 * MB) && is_mapped(at + 24 * MB - 1));
    OK(munmap(at, 8 * MB));
    EXPECT(!is_mapped(at) && is_mapped(at + 12 * MB));
    EXPECT(at[12 * MB] == 7 && at[24 * MB - 1] == 7);
    OK(munmap(at, 24 * MB));
    EXPECT(!is_mapped(at + 12 * MB));
    char *another = take(32 * MB);
    memset(another, 1, 32 * MB);
    OK(munmap(another, 32 * MB));
}

static void theBufferIsKeptForTheNextCheckpoint(void) {
    setenv("TORPOR_BUFFER_KEEP", "64M", 1);
    become_the_restore_thread();
    char *at = take(16 * MB);
    OK(munmap(at, 16 * MB));
    EXPECT(is_mapped(at));
    EXPECT(take(8 * MB + 5) == at); /* a smaller one */
    OK(munmap(at, 8 * MB + 5));
    EXPECT(is_mapped(at + 16 * MB - 1));
    EXPECT_IS(1, statistic("buffer"));
    EXPECT_IS(1, statistic("buffer_kept"));
    char *larger = take(48 * MB);
    EXPECT(mine(larger).resident >= 48 * 1024);
    memset(larger, 1, 48 * MB);
    EXPECT_IS(0, (uintptr_t)larger % HUGE);
    EXPECT(mine(larger).advised);
    EXPECT(larger == at || !is_mapped(at));
    EXPECT_IS(2, statistic("buffer_kept"));
    OK(munmap(larger, 48 * MB));
    EXPECT(is_mapped(larger) && is_mapped(larger + 48 * MB - 1));
}

static void beyondTheLimitItIsGivenBack(void) {
    setenv("TORPOR_BUFFER_KEEP", "16M", 1);
    become_the_restore_thread();
    char *at = take(16 * MB);
    OK(munmap(at, 16 * MB));
    EXPECT(is_mapped(at));
    char *larger = take(16 * MB + 1);
    OK(munmap(larger, 16 * MB + 1));
    EXPECT(!is_mapped(larger) && !is_mapped(larger + 16 * MB) && !is_mapped(at));
    at = take(16 * MB);
    EXPECT_IS(2, statistic("buffer"));
    EXPECT_IS(1, statistic("buffer_kept"));
    OK(munmap(at, 16 * MB));
    EXPECT(is_mapped(at));
}

static void aSecondBufferAtOnceIsTheDriversOwn(void) {
    setenv("TORPOR_BUFFER_KEEP", "1G", 1);
    become_the_restore_thread();
    char *one = take(16 * MB), *other = take(16 * MB);
    EXPECT(other != MAP_FAILED && other != one && !mine(other).advised);
    EXPECT_IS(1, statistic("buffer"));
    memset(one, 1, 16 * MB);
    memset(other, 2, 16 * MB);
    OK(munmap(other, 16 * MB));
    EXPECT(!is_mapped(other));
    EXPECT(one[16 * MB - 1] == 1);
    OK(munmap(one, 16 * MB));
    EXPECT(is_mapped(one));
}

static void limit_memory(long more_mib) {
    struct rlimit limit;
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file)) sscanf(line, "VmSize: %ld kB", &kib);
    fclose(file);
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = more_mib < 0 ? limit.rlim_max : (rlim_t)(kib + more_mib * 1024) * 1024;
    setrlimit(RLIMIT_AS, &limit);
}

static void withoutMemoryTheErrorIsTheKernelsAndTheNextTimeWorks(void) {
    if (skipped(sanitized(), "sanitizers do not stand a limit of memory")) return;
    setenv("TORPOR_BUFFER_KEEP", "1G", 1);
    become_the_restore_thread();
    for (int kept = 0; kept < 2; kept++) {
        limit_memory(20);
        errno = 0;
        EXPECT(take(64 * MB) == MAP_FAILED && errno == ENOMEM);
        limit_memory(-1);
        char *at = take(64 * MB);
        memset(at, 1, 64 * MB);
        OK(munmap(at, 64 * MB));
        EXPECT(is_mapped(at));
        if (!kept) OK(munmap(take(96 * MB), 96 * MB));
        limit_memory(20);
        EXPECT(take(256 * MB) == MAP_FAILED && errno == ENOMEM); /* the one that was kept is gone */
        EXPECT(!is_mapped(at));
        limit_memory(-1);
    }
}

static void expect_filled_by(char *threads) {
    setenv("TORPOR_BUFFER_THREADS", threads, 1);
    become_the_restore_thread();
    size_t bytes = 300 * (size_t)MB;
    char *at = take(bytes);
    EXPECT(mine(at).resident >= 300 * 1024);
    for (size_t i = 0; i < bytes; i += 4096) EXPECT(!at[i]);
    OK(munmap(at, bytes));
    EXPECT(!is_mapped(at));
}

static void oneThreadFillsIt(void) { expect_filled_by("1"); }
static void manyThreadsFillIt(void) { expect_filled_by("64"); }

/* Each asks for a stack that nobody has. */
static void withoutThreadsItIsFilledAllTheSame(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)1 << 46);
    pthread_setattr_default_np(&attributes);
    expect_filled_by("8");
}

static void unmap_in_the_child(void *buffer) {
    char *at = *(char **)buffer;
    EXPECT(at[MB] == 1);
    map_elsewhere(NULL);
    OK(munmap(at, 16 * MB));
    EXPECT(!is_mapped(at));
}

static void aChildsMappingsAreItsOwn(void) {
    setenv("TORPOR_BUFFER_KEEP", "1G", 1);
    become_the_restore_thread();
    char *at = take(16 * MB);
    memset(at, 1, 16 * MB);
    OK(wait_child(start_child(unmap_in_the_child, &at)));
    EXPECT(at[MB] == 1);
    OK(munmap(at, 16 * MB));
    EXPECT(is_mapped(at));
    OK(wait_child(start_child(unmap_in_the_child, &at)));
    EXPECT(take(16 * MB) == at);
}

static _Atomic int stop;

static void *map_and_unmap(void *seed) {
    for (unsigned i = *(unsigned *)seed; !atomic_load(&stop); i++) {
        size_t bytes = (1 + i % 8) * MB;
        char *at = take(bytes);
        if (at == MAP_FAILED) continue;
        at[0] = at[bytes - 1] = (char)i;
        OK(munmap(at, bytes));
    }
    return NULL;
}

static void otherThreadsMayMapMeanwhile(void) {
    pthread_t threads[3];
    unsigned seeds[3] = {0, 3, 5};
    int rounds = sanitized() ? 15 : 100;
    setenv("TORPOR_BUFFER_KEEP", "12M", 1);
    become_the_restore_thread();
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, map_and_unmap, &seeds[i]);
    for (int i = 0; i < rounds; i++) {
        size_t bytes = (size_t)(4 + i % 16) * MB;
        char *at = take(bytes);
        EXPECT(at != MAP_FAILED && !((uintptr_t)at % HUGE));
        memset(at, i, bytes);
        OK(munmap(at, bytes));
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    EXPECT_IS(rounds, statistic("buffer") + statistic("buffer_kept"));
}

/* --- a target, by the driver's checkpoints --- */

static const char *const *no_settings = (const char *const[]){NULL};
#define ENVIRONMENT(...) (const char *const[]){__VA_ARGS__, NULL}

static void round_trip(struct target *t) {
    suspend(t->pid);
    resume(t->pid);
    EXPECT(answered_ok(t, "check"));
}

/* The words that the shim says at the end of a target, between this and told(). */
static int errors;
static struct target start_told(const char *const *environment, const char *memory) {
    load_driver(); /* the settings that follow are the target's alone */
    setenv("TORPOR_LOG", "info", 1);
    setenv("TORPOR_COPY", "0", 1); /* nothing else to tell */
    errors = capture_errors();
    return start_target(environment, memory, NULL, NULL);
}

static unsigned long long told(const char *text, const char *name) {
    char word[64];
    snprintf(word, sizeof word, " %s=", name);
    const char *at = strstr(text, word);
    if (!at) fail_at(__FILE__, __LINE__, "no %s in: %s", name, text);
    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static char *finish_told(struct target *t) {
    OK(finish(t));
    return captured_errors(errors);
}

static void expect_contents(const char *const *environment, unsigned taken, unsigned kept) {
    struct target t = start_told(environment, "40M");
    round_trip(&t);
    EXPECT(answered_ok(&t, "fill 7"));
    round_trip(&t);
    char *text = finish_told(&t);
    EXPECT_IS(taken, told(text, "buffer"));
    EXPECT_IS(kept, told(text, "buffer_kept"));
    EXPECT((taken + kept) * 40ULL * MB <= told(text, "buffer_bytes") + told(text, "buffer_kept_bytes"));
    free(text);
}

static void contentsSurviveInHugePages(void) { expect_contents(no_settings, 2, 0); }
static void contentsSurviveInABufferThatIsKept(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_KEEP=16G"), 1, 1); }
static void contentsSurviveInTheDriversOwnMapping(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_HUGE=0", "TORPOR_BUFFER_KEEP=0"), 0, 0); }
static void contentsSurviveWithOneThread(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_THREADS=1"), 2, 0); }
static void contentsSurviveWithManyThreads(void) { expect_contents(ENVIRONMENT("TORPOR_BUFFER_THREADS=64"), 2, 0); }

static void aSuspendedTargetIsInHugePages(void) {
    if (skipped(no_huge_pages(), "this kernel gives no huge pages") || skipped(sanitized(), "its own memory is larger")) return;
    load_driver();
    struct target t = start_target(no_settings, "256M", NULL, NULL);
    suspend(t.pid);
    struct mapping buffer = mapping_of(t.pid, NULL);
    EXPECT(buffer.resident >= 256 * 1024);
    EXPECT(buffer.huge >= 128 * 1024);
    EXPECT_IS(0, buffer.start % HUGE);
    resume(t.pid);
    EXPECT(mapping_of(t.pid, NULL).resident < 200 * 1024);
    EXPECT(answered_ok(&t, "check"));
    OK(finish(&t));
}

static void aKeptBufferGrowsAndIsUsedForLess(void) {
    struct target t = start_told(ENVIRONMENT("TORPOR_BUFFER_KEEP=16G"), "40M");
    round_trip(&t);
    EXPECT(answered_ok(&t, "alloc 64M"));
    round_trip(&t);
    EXPECT(answered_ok(&t, "free"));
    round_trip(&t);
    EXPECT(answered_ok(&t, "alloc 200M"));
    round_trip(&t);
    char *text = finish_told(&t);
    EXPECT_IS(1, told(text, "buffer"));
    EXPECT_IS(3, told(text, "buffer_kept"));
    free(text);
}

static void aBufferAboveTheLimitIsNotKept(void) {
    struct target t = start_told(ENVIRONMENT("TORPOR_BUFFER_KEEP=8M"), "40M");
    round_trip(&t);
    round_trip(&t);
    char *text = finish_told(&t);
    EXPECT_IS(2, told(text, "buffer"));
    EXPECT_IS(0, told(text, "buffer_kept"));
    free(text);
}

static long kib_of(int pid, const char *field) {
    char path[64], line[256];
    long value = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field))) value = strtol(line + strlen(field), NULL, 10);
    if (file) fclose(file);
    return value;
}

static void manyCheckpointsLeaveNothingBehind(void) {
    if (skipped(sanitized(), "their own memory comes and goes")) return;
    load_driver();
    struct target t = start_target(no_settings, "40M", NULL, NULL);
    round_trip(&t);
    long mapped = kib_of(t.pid, "VmSize:"), resident = kib_of(t.pid, "RssAnon:"), threads = kib_of(t.pid, "Threads:");
    for (int i = 0; i < 10; i++) round_trip(&t);
    EXPECT(labs(kib_of(t.pid, "VmSize:") - mapped) < 30 * 1024);
    EXPECT(kib_of(t.pid, "RssAnon:") - resident < 30 * 1024);
    EXPECT(kib_of(t.pid, "Threads:") <= threads);
    OK(finish(&t));
}

static void limit_of(int pid, rlim_t bytes) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    OK(prlimit(pid, RLIMIT_AS, &limit, NULL));
}

static void withoutMemoryTheDriverRefusesAndTheTargetRunsOn(void) {
    if (skipped(sanitized() || real_driver(), "neither sanitizers nor a real driver stand a limit of memory")) return;
    load_driver();
    struct target t = start_target(ENVIRONMENT("TORPOR_BUFFER_KEEP=1G"), "40M", NULL, NULL);
    for (int kept = 0; kept < 2; kept++) {
        limit_of(t.pid, (rlim_t)kib_of(t.pid, "VmSize:") * 1024 + 16 * MB);
        OK(lock_within(t.pid, 1000));
        EXPECT_IS(CUDA_ERROR_OUT_OF_MEMORY, cu.cuCheckpointProcessCheckpoint(t.pid, NULL));
        EXPECT_IS(CU_PROCESS_STATE_LOCKED, state_of(t.pid));
        OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
        EXPECT(answered_ok(&t, "check"));
        limit_of(t.pid, RLIM_INFINITY);
        round_trip(&t);
        EXPECT(answered_ok(&t, "alloc 200M")); /* more than is kept */
    }
    OK(finish(&t));
}

static void aRestoreThatFailsLeavesTheBufferForTheNext(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    load_driver();
    struct target t = start_target(ENVIRONMENT("TORPOR_SIM_FAULTS=cuCheckpointProcessRestore#1=999;cuCheckpointProcessRestore#3=after,999", "TORPOR_BUFFER_KEEP=1G"), "40M", NULL, NULL);
    suspend(t.pid);
    EXPECT_IS(999, cu.cuCheckpointProcessRestore(t.pid, NULL));
    EXPECT_IS(CU_PROCESS_STATE_CHECKPOINTED, state_of(t.pid));
    resume(t.pid);
    EXPECT(answered_ok(&t, "check"));
    suspend(t.pid);
    EXPECT_IS(999, cu.cuCheckpointProcessRestore(t.pid, NULL));
    OK(cu.cuCheckpointProcessUnlock(t.pid, NULL));
    EXPECT(answered_ok(&t, "check"));
    round_trip(&t);
    OK(finish(&t));
}

/* --- a program that copies while it is suspended --- */

struct copying { int tell; };

static void copy_until_told(void *argument) {
    struct copying *copying = argument;
    size_t bytes = 16 * MB;
    CUdeviceptr device;
    char *out = malloc(bytes), *in = malloc(bytes), end;
    engine_at_once("2");
    setenv("TORPOR_COPY_IDLE_MS", "20", 1);
    use_device(0);
    OK(cu.cuMemAlloc_v2(&device, bytes));
    fcntl(copying->tell, F_SETFL, O_NONBLOCK);
    for (unsigned round = 0; read(copying->tell, &end, 1) < 0; round++) {
        for (size_t i = 0; i < bytes; i += 64) memcpy(out + i, &(size_t){i * 31 + round}, sizeof i);
        memset(in, 0, bytes);
        OK(cu.cuMemcpyHtoD_v2(device, out, bytes));
        OK(cu.cuMemcpyDtoH_v2(in, device, bytes));
        for (size_t i = 0; i < bytes; i += 64) EXPECT(!memcmp(in + i, out + i, sizeof i));
    }
    EXPECT(statistic("to_device") > 0 && statistic("to_host") > 0);
}

static void aProgramIsSuspendedInTheMiddleOfItsCopies(void) {
    int tell[2], rounds = sanitized() ? 5 : 12;
    if (pipe2(tell, O_CLOEXEC)) abort();
    struct copying copying = {tell[0]};
    int pid = start_child(copy_until_told, &copying);
    load_driver();
    for (int i = 0; i < 200 && (int)state_of(pid) != CU_PROCESS_STATE_RUNNING; i++) sleep_ms(20);
    sleep_ms(200);
    for (int i = 0; i < rounds; i++) {
        sleep_ms(17 * (i % 5));
        OK(lock_within(pid, 10000));
        OK(cu.cuCheckpointProcessCheckpoint(pid, NULL));
        sleep_ms(i % 3 * 25); /* longer than the engine keeps its buffers */
        resume(pid);
    }
    if (write(tell[1], "", 1) != 1) abort();
    OK(wait_child(pid));
}

int main(void) {
    RUN(theBufferIsAlignedAndOfHugePages);
    RUN(switchedOffTheDriversMappingIsUntouched);
    RUN(withoutHugePagesItCanBeKept);
    RUN(otherMappingsOfTheSameThreadAreUntouched);
    RUN(mappingsOfOtherThreadsAreUntouched);
    RUN(withoutCudaMappingsAreUntouched);
    RUN(errorsAreTheKernels);
    RUN(partsAndNeighboursAreUnmappedAsTheyAreNamed);
    RUN(theBufferIsKeptForTheNextCheckpoint);
    RUN(beyondTheLimitItIsGivenBack);
    RUN(aSecondBufferAtOnceIsTheDriversOwn);
    RUN(withoutMemoryTheErrorIsTheKernelsAndTheNextTimeWorks);
    RUN(oneThreadFillsIt);
    RUN(manyThreadsFillIt);
    RUN(withoutThreadsItIsFilledAllTheSame);
    RUN(aChildsMappingsAreItsOwn);
    RUN(otherThreadsMayMapMeanwhile);
    RUN(contentsSurviveInHugePages);
    RUN(contentsSurviveInABufferThatIsKept);
    RUN(contentsSurviveInTheDriversOwnMapping);
    RUN(contentsSurviveWithOneThread);
    RUN(contentsSurviveWithManyThreads);
    RUN(aSuspendedTargetIsInHugePages);
    RUN(aKeptBufferGrowsAndIsUsedForLess);
    RUN(aBufferAboveTheLimitIsNotKept);
    RUN(manyCheckpointsLeaveNothingBehind);
    RUN(withoutMemoryTheDriverRefusesAndTheTargetRunsOn);
    RUN(aRestoreThatFailsLeavesTheBufferForTheNext);
    RUN(aProgramIsSuspendedInTheMiddleOfItsCopies);
    return summary();
}
