/* Another library that stands in for the driver is preloaded beside the shim, before it or after it. */
#include "outcome.h"
#include "parking.h"

static const char *preload;

static void run_chained(void *unused) {
    char directory[4096];
    (void)unused;
    snprintf(directory, sizeof directory, "%s", getenv("TORPOR_LIBCUDA"));
    *strrchr(directory, '/') = 0;
    setenv("LD_LIBRARY_PATH", directory, 1);
    setenv("LD_PRELOAD", preload, 1);
    execl(output_path("tests/chained"), "chained", (char *)NULL);
}

/* How many calls the other one has seen. */
static int calls_with(const char *first, const char *second) {
    char both[2000], shim[900];
    int calls = -1;
    snprintf(shim, sizeof shim, "%s", first ? output_path(first) : "");
    snprintf(both, sizeof both, "%s:%s", shim, second ? output_path(second) : "");
    preload = both;
    struct outcome o = outcome_of(run_chained, NULL);
    if (o.status || *o.errors || sscanf(o.out, "calls=%d", &calls) != 1) fail_at(__FILE__, __LINE__, "%s: %d, %s%s", both, o.status, o.out, o.errors);
    outcome_free(&o);
    return calls;
}

/* The shim makes the allocation of physical memory, and its frees of that. */
static void expect_both(const char *other) {
    EXPECT(calls_with("libtorpor.so", other) >= 3);
    EXPECT(calls_with(other, "libtorpor.so") >= 3);
}

static void oneThatAsksForTheNextIsPassedThrough(void) { expect_both("tests/libcounter_next.so"); }
static void oneThatAsksTheDriversLibraryIsPassedThrough(void) { expect_both("tests/libcounter_handle.so"); }
static void withoutAnotherNoneIsCalled(void) { EXPECT_IS(0, calls_with("libtorpor.so", NULL)); }

int main(void) {
    if (sanitized() || !simulated()) return printf("  skipped: the program is linked against the simulator, and sanitizers want to be preloaded first\n"), summary();
    RUN(withoutAnotherNoneIsCalled);
    RUN(oneThatAsksForTheNextIsPassedThrough);
    RUN(oneThatAsksTheDriversLibraryIsPassedThrough);
    return summary();
}
