/* Pages are populated without a change to what is in them, where the kernel cannot do it as well. */
#include "harness.h"
#include "../shim/settings.h"
#include "../shim/threads.h"

#include <errno.h>
#include <sys/mman.h>

static _Atomic int refused;
static int older_kernel(void *at, size_t bytes, int advice) {
    (void)at, (void)bytes, (void)advice;
    refused++;
    return errno = EINVAL, -1;
}

#define madvise older_kernel
#include "../shim/pages.c"
#undef madvise

/* What pages.c asks of the rest of the shim. */
const struct settings *settings(void) {
    static const struct settings values = {.buffer_threads = 4, .buffer_huge = 1};
    return &values;
}
void thread_name(const char *name) { (void)name; }
int thread_start_joinable(pthread_t *thread, void *(*run)(void *), void *argument) { return !pthread_create(thread, NULL, run, argument); }

enum { BYTES = 160 << 20 };

static void whatIsWrittenBeforehandStays(void) {
    char *at = pages_map(BYTES);
    EXPECT(at != NULL);
    memset(at, 'c', BYTES / 2);
    pages_populate(at, BYTES);
    EXPECT(refused > 1);
    EXPECT(at[0] == 'c' && !memcmp(at, at + 1, BYTES / 2 - 1));
    unsigned char there[BYTES / 4096];
    size_t missing = 0;
    OK(mincore(at, BYTES, there));
    for (size_t i = 0; i < sizeof there; i++) missing += !(there[i] & 1);
    EXPECT_IS(0, missing);
    EXPECT(!at[BYTES / 2] && !at[BYTES - 1]);
    OK(real_munmap(at, BYTES));
}

int main(void) {
    RUN(whatIsWrittenBeforehandStays);
    return summary();
}
