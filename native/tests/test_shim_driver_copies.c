/* The copies that a driver makes between the buffer of a checkpoint and other memory, and those it makes besides. */
#include "buffer.h"
#include "threads.h"
#include "outcome.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>

enum { BYTES = 24 * MB, PIECE = 2 * MB };

static void (*copy)(void *to, const void *from, size_t bytes);
static void **import;
static char *outside; /* twice a piece */

static void begin(const char *threads) {
    setenv("TORPOR_BUFFER_THREADS", threads, 1);
    void *library = become_the_restore_thread();
    copy = (__typeof__(copy))dlsym(library, "stub_copy");
    import = ((void **(*)(void))dlsym(library, "stub_import"))();
    outside = mmap(NULL, 2 * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (outside == MAP_FAILED) abort();
}

static char *begin_and_take(const char *threads) {
    begin(threads);
    char *buffer = take(BYTES);
    EXPECT(buffer != MAP_FAILED);
    return buffer;
}

static _Thread_local uint32_t state = 1;
static uint32_t random_below(uint32_t limit) { return (state = state * 1664525 + 1013904223) % limit; }

static void fill(char *at, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) at[i] = (char)(random_below(1 << 16) >> 8);
}

/* And nothing around them. */
static void expect_copied(char *to, const char *from, size_t bytes) {
    char before = to[-1], after = to[bytes];
    copy(to, from, bytes);
    EXPECT(!memcmp(to, from, bytes));
    EXPECT(to[-1] == before && to[bytes] == after);
}

static void thoseFromAndToTheBufferAreMadeByManyThreads(void) {
    char *buffer = begin_and_take("4");
    fill(outside, 2 * PIECE);
    expect_copied(buffer + PIECE, outside, PIECE);
    while (!shim_threads()) sleep_ms(1); /* a thread may name itself late */
    EXPECT(shim_threads() <= 3);
    EXPECT_IS(1, statistic("buffer_copies"));
    EXPECT_IS(PIECE, statistic("buffer_copies_bytes"));
    expect_copied(outside + PIECE - 1, buffer + PIECE, PIECE);
    EXPECT_IS(2, statistic("buffer_copies"));
    EXPECT_IS(2 * PIECE, statistic("buffer_copies_bytes"));
    OK(munmap(buffer, BYTES));
    EXPECT_IS(0, shim_threads_become(0));
}

static void allSizesAndAlignmentsAreCopied(void) {
    char *buffer = begin_and_take("5");
    fill(outside, 2 * PIECE);
    for (int i = 0; i < (sanitized() ? 100 : 600); i++) {
        size_t bytes = 1 + random_below(i % 4 ? PIECE : 300000), there = 1 + random_below(BYTES - PIECE - 1), here = 1 + random_below(PIECE - 1);
        if (i % 2) expect_copied(buffer + there, outside + here, bytes);
        else expect_copied(outside + here, buffer + there, bytes);
    }
    EXPECT(statistic("buffer_copies") > 50);
}

static void othersAreTheDriversOwn(void) {
    char *buffer = begin_and_take("4");
    fill(outside, 2 * PIECE);
    expect_copied(outside + PIECE, outside, PIECE - 1);
    expect_copied(buffer + 1, outside, (256 << 10) - 1);
    expect_copied(outside + 1, buffer, (256 << 10) - 1);
    char *next = mmap(buffer + BYTES, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (next == buffer + BYTES) expect_copied(buffer + BYTES - MB, outside, PIECE); /* more than the buffer */
    EXPECT_IS(0, statistic("buffer_copies"));
    expect_copied(buffer + 1, outside, 256 << 10);
    EXPECT_IS(1, statistic("buffer_copies"));
}

static void expect_only_with_a_buffer(int kept) {
    setenv("TORPOR_BUFFER_KEEP", kept ? "1G" : "0", 1);
    begin("2");
    void *own = *import;
    EXPECT_IS(0, mine(import).writable);
    for (int i = 0; i < 3; i++) {
        char *buffer = take(BYTES);
        EXPECT(*import != own);
        EXPECT_IS(0, mine(import).writable);
        copy(buffer, outside, PIECE);
        OK(munmap(buffer, BYTES));
        EXPECT(*import == own);
        EXPECT_IS(0, mine(import).writable);
        EXPECT_IS(0, shim_threads_become(0));
        copy(outside + PIECE, outside, PIECE);
    }
    EXPECT_IS(3, statistic("buffer_copies"));
}

static void theDriverHasItsOwnMemcpyBackWithoutABuffer(void) { expect_only_with_a_buffer(0); }
static void theDriverHasItsOwnMemcpyBackWhileABufferIsKept(void) { expect_only_with_a_buffer(1); }

static void theDriverHasItsOwnMemcpyBackAfterAPartWasUnmapped(void) {
    begin("2");
    void *own = *import;
    char *buffer = take(BYTES);
    OK(munmap(buffer + 8 * MB, 4 * MB));
    EXPECT(*import == own);
    expect_copied(buffer + MB, outside, PIECE);
    EXPECT_IS(0, statistic("buffer_copies"));
    OK(munmap(buffer, BYTES));
    EXPECT((buffer = take(BYTES)) != MAP_FAILED && *import != own);
    expect_copied(buffer + MB, outside, PIECE);
    EXPECT_IS(1, statistic("buffer_copies"));
}

static void cudaMayBeInitialisedAgainMeanwhile(void) {
    begin("2");
    void *own = *import;
    char *buffer = take(BYTES);
    become_the_restore_thread();
    EXPECT(*import != own);
    OK(munmap(buffer, BYTES));
    EXPECT(*import == own);
    expect_copied(outside + PIECE, outside, PIECE - 1);
}

static void expect_the_drivers_own(void) {
    void *own = *import;
    char *buffer = take(BYTES);
    EXPECT(*import == own);
    fill(outside, PIECE);
    expect_copied(buffer + 1, outside, PIECE);
    EXPECT_IS(0, statistic("buffer_copies"));
    EXPECT_IS(0, shim_threads_become(0));
    OK(munmap(buffer, BYTES));
}

static void oneThreadLeavesThemToTheDriver(void) {
    begin("1");
    expect_the_drivers_own();
}

static void switchedOffTheyAreTheDriversOwn(void) {
    setenv("TORPOR_BUFFER_HUGE", "0", 1);
    begin("4");
    expect_the_drivers_own();
}

/* As a kernel's policy may refuse it. */
static void refuse_mprotect(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static void aDriverThatCannotBeWrittenToGoesOnAlone(void) {
    if (skipped(sanitized(), "their threads need mprotect")) return;
    begin("4");
    refuse_mprotect();
    expect_the_drivers_own();
}

static void withoutThreadsOneCopiesAll(void) {
    no_more_threads();
    char *buffer = begin_and_take("8");
    fill(outside, 2 * PIECE);
    expect_copied(buffer + MB, outside, PIECE);
    EXPECT_IS(1, statistic("buffer_copies"));
    EXPECT_IS(0, shim_threads());
}

static void copy_in_the_child(void *buffer) {
    alarm(20);
    expect_copied((char *)buffer + 1, outside, PIECE);
    expect_copied(outside + 1, (char *)buffer + PIECE, PIECE);
}

static void aChildCopiesToo(void) {
    char *buffer = begin_and_take("4");
    fill(outside, 2 * PIECE);
    expect_copied(buffer + MB, outside, PIECE);
    OK(wait_child(start_child(copy_in_the_child, buffer)));
    expect_copied(buffer + MB, outside + 3, PIECE);
}

static _Atomic int stop;

static void *copy_meanwhile(void *buffer) {
    char *at = buffer, *mine = malloc(PIECE + 2);
    fill(mine, PIECE + 2);
    for (int i = 0; !atomic_load(&stop); i++) {
        expect_copied(at + 1, mine + i % 3, MB);
        expect_copied(mine + 1, at + 1, MB);
    }
    free(mine);
    return NULL;
}

static void severalThreadsMayCopyAtOnce(void) {
    pthread_t threads[2];
    char *buffer = begin_and_take("3");
    fill(outside, 2 * PIECE);
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, copy_meanwhile, buffer + (8 + 8 * i) * MB);
    for (int i = 0; i < (sanitized() ? 50 : 400); i++) expect_copied(buffer + 1 + i, outside + 1 + i % 5, PIECE);
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    EXPECT(statistic("buffer_copies") > 0);
}

/* Helpers that were told to end and those of the next buffer may meet. */
static void buffersComeAndGo(void) {
    begin("4");
    fill(outside, 2 * PIECE);
    for (int i = 0; i < (sanitized() ? 30 : 200); i++) {
        char *buffer = take(4 * MB);
        for (int k = 0; k < 3; k++) expect_copied(buffer + 1 + k, outside + i % 7, PIECE);
        if (i % 5 == 0) usleep(2000); /* they sleep */
        expect_copied(outside + 1, buffer + 1, PIECE);
        OK(munmap(buffer, 4 * MB));
    }
    EXPECT_IS(0, shim_threads_become(0));
}

static void theProcessMayEndMeanwhile(void *unused) {
    (void)unused;
    char *buffer = begin_and_take("4");
    copy(buffer, outside, PIECE);
    usleep(5000);
    exit(0);
}

static void helpersDoNotKeepAProcessFromEnding(void) { EXPECT_QUIET(0, outcome_of(theProcessMayEndMeanwhile, NULL)); }

int main(void) {
    RUN(thoseFromAndToTheBufferAreMadeByManyThreads);
    RUN(allSizesAndAlignmentsAreCopied);
    RUN(othersAreTheDriversOwn);
    RUN(theDriverHasItsOwnMemcpyBackWithoutABuffer);
    RUN(theDriverHasItsOwnMemcpyBackWhileABufferIsKept);
    RUN(theDriverHasItsOwnMemcpyBackAfterAPartWasUnmapped);
    RUN(cudaMayBeInitialisedAgainMeanwhile);
    RUN(oneThreadLeavesThemToTheDriver);
    RUN(switchedOffTheyAreTheDriversOwn);
    RUN(aDriverThatCannotBeWrittenToGoesOnAlone);
    RUN(withoutThreadsOneCopiesAll);
    RUN(aChildCopiesToo);
    RUN(severalThreadsMayCopyAtOnce);
    RUN(buffersComeAndGo);
    RUN(helpersDoNotKeepAProcessFromEnding);
    return summary();
}
