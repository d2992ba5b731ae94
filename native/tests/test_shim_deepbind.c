/* Libraries that are opened with RTLD_DEEPBIND, which the loader binds to the driver itself. */
#include "broken_calls.h"
#include "outcome.h"
#include "parking.h"
#include "plugin.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BYTES = 4 * MIB };
static const char *const libraries[] = {"tests/libplugin.so", "tests/liblazy.so"};
static CUdeviceptr memory;
static CUcontext context;
static struct {
    __typeof__(plugin_alloc) *alloc;
    __typeof__(plugin_free) *release;
    __typeof__(plugin_fill) *fills[3];
    __typeof__(plugin_range) *range;
} plugin;

static void *opened(int lazy) {
    void *library = dlopen(output_path(libraries[lazy]), (lazy ? RTLD_LAZY : RTLD_NOW) | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!library) fail_at(__FILE__, __LINE__, "%s", dlerror());
    return library;
}

static void find_all(void *library) {
    plugin.alloc = (__typeof__(plugin.alloc))dlsym(library, "plugin_alloc");
    plugin.release = (__typeof__(plugin.release))dlsym(library, "plugin_free");
    plugin.fills[0] = (__typeof__(plugin.fills[0]))dlsym(library, "plugin_fill");
    plugin.fills[1] = (__typeof__(plugin.fills[0]))dlsym(library, "plugin_fill_by_table");
    plugin.fills[2] = (__typeof__(plugin.fills[0]))dlsym(library, "plugin_fill_by_name");
    plugin.range = (__typeof__(plugin.range))dlsym(library, "plugin_range");
}

/* The simulator has the address of its library; it must be the one that the plugin is linked against. */
static void prepare(int lazy, int late) {
    load_driver();
    if (!late) find_all(opened(lazy));
    context = use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    OK(cu.cuMemsetD8_v2(memory, 1, BYTES));
    if (late) find_all(opened(lazy));
}

static void expect_filled(CUdeviceptr at, unsigned char value) {
    static unsigned char bytes[BYTES];
    OK(cu.cuMemcpyDtoH_v2(bytes, at, BYTES));
    EXPECT(all_are((const char *)bytes, (char)value, BYTES));
}

static void expect_shared(int lazy, int late) {
    CUdeviceptr its = 0, base = 0;
    size_t size = 0;
    prepare(lazy, late);
    for (unsigned char i = 0; i < 3; i++) {
        OK(plugin.fills[i](memory, i, BYTES));
        expect_filled(memory, i);
    }
    OK(plugin.range(&base, &size, memory + 4096));
    EXPECT(base == memory && size == BYTES);
    OK(plugin.alloc(&its, BYTES));
    OK(cu.cuMemsetD8_v2(its, 9, BYTES));
    EXPECT_IS(2 * BYTES, number_of(command("park"), "bytes"));
    COMMAND_OK("unpark");
    expect_filled(its, 9);
    expect_filled(memory, 2);
    size_t before = free_memory();
    OK(plugin.release(memory));
    OK(cu.cuMemFree_v2(its));
    EXPECT_IS(2 * BYTES, free_memory() - before);
}

static void itUsesTheSameMemoryAsItsHost(void) { expect_shared(0, 0); }
static void boundAtTheFirstCallItDoes(void) { expect_shared(1, 0); }
static void openedLaterItDoes(void) { expect_shared(0, 1); }
static void openedLaterAndBoundAtTheFirstCallItDoes(void) { expect_shared(1, 1); }

static _Atomic int calling, result;

static void *fill_meanwhile(void *which) {
    OK(cu.cuCtxSetCurrent(context));
    atomic_store(&calling, 1);
    atomic_store(&result, (int)plugin.fills[*(int *)which](memory, 7, BYTES));
    return NULL;
}

static int thread_waits(void) { return status_of("parked_bytes") > 0; }

static void expect_waits(int lazy, int while_parked) {
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        if (!i) prepare(lazy, 0);
        if (while_parked && !i) { /* another copy, which is loaded while memory is away */
            COMMAND_OK("park");
            find_all(opened(!lazy));
        } else COMMAND_OK("park");
        atomic_store(&result, -1);
        atomic_store(&calling, 0);
        OK(pthread_create(&thread, NULL, fill_meanwhile, &i));
        while (!atomic_load(&calling)) sleep_ms(1);
        EXPECT(thread_waits());
        sleep_ms(20);
        EXPECT_IS(-1, atomic_load(&result));
        COMMAND_OK("unpark");
        OK(pthread_join(thread, NULL));
        OK(atomic_load(&result));
        OK(cu.cuCtxSynchronize());
        expect_filled(memory, 7);
        OK(cu.cuMemsetD8_v2(memory, 1, BYTES));
    }
}

static void whileParkedItsCallsWait(void) { expect_waits(0, 0); }
static void boundAtTheFirstCallTheyWait(void) { expect_waits(1, 0); }
static void openedWhileParkedItsCallsWait(void) { expect_waits(0, 1); }

/* Nobody looks anything up in it with the shim's dlsym. */
static void whatNobodyHasLookedIntoIsFoundByThePark(void) {
    prepare(0, 0);
    void *library = opened(1);
    __typeof__(dlsym) *real = (__typeof__(real))dlvsym(dlopen("libc.so.6", RTLD_NOW), "dlsym", "GLIBC_2.34");
    if (skipped(!real, "this C library has its dlsym elsewhere")) return;
    plugin.fills[0] = (__typeof__(plugin.fills[0]))real(library, "plugin_fill");
    COMMAND_OK("park");
    pthread_t thread;
    int first = 0;
    atomic_store(&result, -1);
    OK(pthread_create(&thread, NULL, fill_meanwhile, &first));
    while (!atomic_load(&calling)) sleep_ms(1);
    sleep_ms(20);
    EXPECT_IS(-1, atomic_load(&result));
    COMMAND_OK("unpark");
    OK(pthread_join(thread, NULL));
    OK(atomic_load(&result));
    expect_filled(memory, 7);
}

static void whatCannotBeWrittenToKeepsTheProcessFromParking(void) {
    context = use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    OK(cu.cuMemsetD8_v2(memory, 1, BYTES));
    void *library = opened(0);
    if (skipped(!break_calls(SYS_mprotect, SYS_mprotect, EACCES), "no system call can be made to fail")) return;
    find_all(library);
    COMMAND_FAILS("off", "park");
    EXPECT(strstr(command("park"), "libplugin.so calls the driver past the shim"));
    EXPECT(strstr(command("status"), "state=running"));
    expect_filled(memory, 1);
}

/* Closed and opened again, at the same address or another. */
static void whatIsOpenedAgainIsBoundAgain(void) {
    prepare(0, 1);
    for (unsigned char i = 0; i < 20; i++) {
        void *library = opened(i % 2);
        find_all(library);
        OK(plugin.fills[i % 3](memory, i, BYTES));
        COMMAND_OK("park");
        COMMAND_OK("unpark");
        expect_filled(memory, i);
        dlclose(library);
        dlclose(library);
    }
}

int main(void) {
    RUN_IF(!sanitized(), itUsesTheSameMemoryAsItsHost, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), boundAtTheFirstCallItDoes, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), openedLaterItDoes, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), openedLaterAndBoundAtTheFirstCallItDoes, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), whileParkedItsCallsWait, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), boundAtTheFirstCallTheyWait, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), openedWhileParkedItsCallsWait, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), whatNobodyHasLookedIntoIsFoundByThePark, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), whatCannotBeWrittenToKeepsTheProcessFromParking, "sanitizers refuse RTLD_DEEPBIND");
    RUN_IF(!sanitized(), whatIsOpenedAgainIsBoundAgain, "sanitizers refuse RTLD_DEEPBIND");
    return summary();
}
