/* The mapping that the driver takes for a checkpoint, and all other mappings, in a process that is its own driver's thread for checkpoints. */
#include "buffer.h"
#include "outcome.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>

static int is_mapped(const void *address) { return mine(address).end != 0; }

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

/* Whole, anew, and to be kept. */
static void expect_fresh(size_t bytes) {
    unsigned long long taken = statistic("buffer"), kept = statistic("buffer_kept");
    char *at = take(bytes);
    memset(at, 1, bytes);
    EXPECT_IS(taken + 1, statistic("buffer"));
    EXPECT_IS(kept, statistic("buffer_kept"));
    OK(munmap(at, bytes));
    EXPECT(is_mapped(at));
}

static char *take_to_be_kept(size_t bytes) {
    setenv("TORPOR_BUFFER_KEEP", "1G", 1);
    become_the_restore_thread();
    return take(bytes);
}

static char *kept_buffer(size_t bytes) {
    char *at = take_to_be_kept(bytes);
    OK(munmap(at, bytes));
    EXPECT(is_mapped(at));
    return at;
}

static void aKeptBufferHasNoRate(void) {
    char line[8192] = "";
    char *at = kept_buffer(16 * MB);
    EXPECT(take(16 * MB) == at);
    ((__typeof__(torpor_statistics) *)dlsym(RTLD_DEFAULT, "torpor_statistics"))(line, sizeof line);
    EXPECT(strstr(line, " buffer_gbps=") && strstr(line, " to_host_gbps="));
    EXPECT(strstr(line, " buffer_kept=1 buffer_kept_bytes=16777216 buffer_kept_seconds="));
    EXPECT(!strstr(line, "buffer_kept_gbps"));
}

static void aBufferOfWhichAPartWasUnmappedIsNotKept(void) {
    char *at = take_to_be_kept(32 * MB);
    OK(munmap(at + 8 * MB, 4 * MB));
    OK(munmap(at, 32 * MB));
    EXPECT(!is_mapped(at) && !is_mapped(at + 32 * MB - 1));
    expect_fresh(32 * MB);
}

static void aKeptBufferOfWhichAPartIsUnmappedIsNotHandedOut(void) {
    char *at = kept_buffer(16 * MB);
    OK(munmap(at + 16 * MB - 4096, 1));
    EXPECT(!is_mapped(at + 16 * MB - 1) && is_mapped(at));
    expect_fresh(16 * MB);
}

static void aKeptBufferThatIsUnmappedIsNotHandedOut(void) {
    char *at = kept_buffer(16 * MB);
    OK(munmap(at, 16 * MB));
    EXPECT(!is_mapped(at));
    expect_fresh(16 * MB);
}

static void aKeptBufferThatIsUnmappedWithItsNeighbourIsNotHandedOut(void) {
    char *at = kept_buffer(16 * MB), *before = at - MB;
    void *got = mmap(before, MB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (skipped(got != before, "there is something before it")) return;
    OK(munmap(before, MB));
    EXPECT(is_mapped(at));
    OK(munmap(before, MB + 1)); /* nothing need be mapped there */
    EXPECT(!is_mapped(at) && is_mapped(at + 4096));
    expect_fresh(16 * MB);
}

static void aKeptBufferStaysWhereNothingIsUnmapped(void) {
    char *at = kept_buffer(16 * MB);
    EXPECT(munmap(at + 1, 4096) == -1 && errno == EINVAL);
    EXPECT(munmap(at, 0) == -1 && errno == EINVAL);
    if (!sanitized()) EXPECT(munmap(at, SIZE_MAX) == -1 && errno == EINVAL); /* ThreadSanitizer ends the process */
    EXPECT(take(16 * MB) == at);
    memset(at, 1, 16 * MB);
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
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = more_mib < 0 ? limit.rlim_max : (rlim_t)(kib_of(getpid(), "VmSize:") + more_mib * 1024) * 1024;
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

static void withoutThreadsItIsFilledAllTheSame(void) {
    no_more_threads();
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

int main(void) {
    RUN(theBufferIsAlignedAndOfHugePages);
    RUN(switchedOffTheDriversMappingIsUntouched);
    RUN(withoutHugePagesItCanBeKept);
    RUN(otherMappingsOfTheSameThreadAreUntouched);
    RUN(mappingsOfOtherThreadsAreUntouched);
    RUN(withoutCudaMappingsAreUntouched);
    RUN(errorsAreTheKernels);
    RUN(partsAndNeighboursAreUnmappedAsTheyAreNamed);
    RUN(aKeptBufferHasNoRate);
    RUN(aBufferOfWhichAPartWasUnmappedIsNotKept);
    RUN(aKeptBufferOfWhichAPartIsUnmappedIsNotHandedOut);
    RUN(aKeptBufferThatIsUnmappedIsNotHandedOut);
    RUN(aKeptBufferThatIsUnmappedWithItsNeighbourIsNotHandedOut);
    RUN(aKeptBufferStaysWhereNothingIsUnmapped);
    RUN(theBufferIsKeptForTheNextCheckpoint);
    RUN(beyondTheLimitItIsGivenBack);
    RUN(aSecondBufferAtOnceIsTheDriversOwn);
    RUN(withoutMemoryTheErrorIsTheKernelsAndTheNextTimeWorks);
    RUN(oneThreadFillsIt);
    RUN(manyThreadsFillIt);
    RUN(withoutThreadsItIsFilledAllTheSame);
    RUN(aChildsMappingsAreItsOwn);
    RUN(otherThreadsMayMapMeanwhile);
    return summary();
}
