/* What programs are told when they ask for functions, and what the shim does to those that ask for nothing. */
#include "shim.h"
#include "finder.h"
#include "outcome.h"
#include "../shim/hooks.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

enum { MB = 1 << 20 };


/* Is the function in the library of that name? */
static int is_in(const char *library, const void *function) {
    Dl_info info;
    return function && dladdr(function, &info) && strstr(info.dli_fname, library) != NULL;
}
static int is_shims(const void *function) { return is_in("libtorpor.so", function); }
static int is_drivers(const void *function) { return is_in("libcuda.so", function); }

__asm__(".symver dlsym_old, dlsym@GLIBC_2.2.5");
void *dlsym_old(void *handle, const char *name);

/* --- dlsym --- */

static const char *const hooked[] = {
#define NAME(name, ...) #name,
    HOOKS(NAME)
#undef NAME
};
enum { HOOKED = sizeof hooked / sizeof hooked[0] };

/* The loader's own answer. */
static void *unhooked(void *handle, const char *name) {
    void *(*real)(void *, const char *) = (void *(*)(void *, const char *))finder_next("dlsym");
    EXPECT(!is_shims((void *)real));
    return real(handle, name);
}

static void aHandleAnswersTheWrappersOfWhatTheDriverHas(void) {
    int found = 0;
    load_driver();
    for (int i = 0; i < HOOKED; i++) {
        void *real = unhooked(driver_library, hooked[i]), *told = dlsym(driver_library, hooked[i]), *old = dlsym_old(driver_library, hooked[i]);
        if (told != old) fail_at(__FILE__, __LINE__, "%s: %p by one version, %p by the other", hooked[i], told, old);
        if (real ? !is_shims(told) || !is_drivers(real) : told != NULL) fail_at(__FILE__, __LINE__, "%s is %p, %p in the driver", hooked[i], told, real);
        found += real != NULL;
    }
    EXPECT(found >= 20);
}

static void aHandleAnswersTheRestAsTheLoaderDoes(void) {
    static const char *const names[] = {"cuMemHostAlloc", "cuMemFreeHost", "cuCtxSetCurrent", "cuModuleUnload", "cuGetErrorName", "cuNoSuchFunction", "cu", "", "printf"};
    load_driver();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) EXPECT(dlsym(driver_library, names[i]) == unhooked(driver_library, names[i]));
    EXPECT(is_drivers(dlsym(driver_library, "cuMemHostAlloc")));
}

/* The names begin like the driver's. */
static void otherLibrariesAreAnsweredAsTheLoaderDoes(void) {
    void *c = dlopen("libc.so.6", RTLD_NOW), *program = dlopen(NULL, RTLD_NOW);
    static const char *const names[] = {"printf", "mmap", "munmap", "dlsym", "cuserid", "cuNoSuchFunction", "qsort"};
    load_driver();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        EXPECT(dlsym(c, names[i]) == unhooked(c, names[i]));
        EXPECT(dlsym(program, names[i]) == unhooked(program, names[i]));
    }
    EXPECT(!is_shims(dlsym(c, "mmap")));
    EXPECT(is_shims(dlsym(program, "mmap")) || sanitized()); /* which have their own before it */
}

static void theGlobalScopeAnswersTheShim(void) {
    EXPECT(is_shims(dlsym(RTLD_DEFAULT, "cuMemcpyHtoD_v2")));
    EXPECT(is_shims(dlsym(RTLD_DEFAULT, "munmap")) || sanitized());
    EXPECT(is_shims(dlsym(RTLD_DEFAULT, "torpor_statistics")));
    EXPECT(!dlsym(RTLD_DEFAULT, "cuNoSuchFunction"));
    EXPECT(!dlsym(RTLD_DEFAULT, "torpor_find_dlsym"));
    EXPECT(dlsym(NULL, "cuInit") == dlsym(RTLD_DEFAULT, "cuInit"));
    EXPECT(dlsym_old(NULL, "cuInit") == dlsym(RTLD_DEFAULT, "cuInit"));
    load_driver();
    EXPECT(is_shims(dlsym(NULL, "cuInit")));
}

static void bothVersionsOfDlsymAreTheShims(void) {
    EXPECT(is_shims(dlvsym(RTLD_DEFAULT, "dlsym", "GLIBC_2.2.5")));
    EXPECT(is_shims(dlvsym(RTLD_DEFAULT, "dlsym", "GLIBC_2.34")));
    EXPECT(is_shims((void *)dlsym_old));
    EXPECT(is_shims((void *)dlsym));
}

/* The next one after whoever asks, which is not the shim. */
static void theNextFunctionIsTheOneAfterTheCaller(void) {
    void *c = dlopen("libc.so.6", RTLD_NOW), *of_c = dlsym(c, "getpagesize");
    EXPECT_IS(FINDERS_PAGE, getpagesize());
    EXPECT(is_in("libc.so", of_c));
    EXPECT(finder_next("getpagesize") == of_c);
    EXPECT(finder_next_old("getpagesize") == of_c);
    void *volatile mine = dlsym(RTLD_NEXT, "getpagesize"), *volatile mine_old = dlsym_old(RTLD_NEXT, "getpagesize");
    EXPECT(is_in("libfinder.so", mine) && mine_old == mine);
    EXPECT(!finder_next("cuInit"));
    EXPECT(!finder_next("no_such_function"));
    mine = dlsym(RTLD_NEXT, "cuInit");
    EXPECT(is_shims(mine));
}

static void theErrorIsTheLoadersOwn(void) {
    load_driver();
    dlerror();
    EXPECT(!dlsym(driver_library, "cuNoSuchFunction"));
    const char *text = dlerror();
    EXPECT(text && strstr(text, "cuNoSuchFunction") && strstr(text, "undefined symbol"));
    EXPECT(!dlerror());
    EXPECT(!dlsym(RTLD_DEFAULT, "no_such_function"));
    text = dlerror();
    EXPECT(text && strstr(text, "no_such_function"));
    EXPECT(dlsym(driver_library, "cuMemcpyHtoD_v2"));
    EXPECT(!dlerror());
}

/* Not even the search for the driver leaves an error behind. */
static void beforeTheDriverIsLoadedNoErrorIsLeft(void) {
    void *c = dlopen("libc.so.6", RTLD_NOW), *stub = NULL;
    dlerror();
    EXPECT(dlsym(c, "printf"));
    EXPECT(!dlerror());
    stub = dlopen(output_path("tests/libinterposer.so"), RTLD_NOW);
    EXPECT(dlsym(stub, "mmap"));
    EXPECT(!dlerror());
}

/* --- cuGetProcAddress --- */

static void *by_version(const char *name, int version, cuuint64_t flags, int *status) {
    CUdriverProcAddressQueryResult found = (CUdriverProcAddressQueryResult)-1;
    void *told = &found;
    CUresult result = cu.cuGetProcAddress_v2(name, &told, version, flags, &found);
    *status = result ? -(int)result : (int)found;
    return told;
}

static void *real_by_version(const char *name, int version, cuuint64_t flags, int *status) {
    CUdriverProcAddressQueryResult found = (CUdriverProcAddressQueryResult)-1;
    void *told = &found;
    __typeof__(cuGetProcAddress_v2) *real = (__typeof__(cuGetProcAddress_v2) *)unhooked(driver_library, "cuGetProcAddress_v2");
    CUresult result = real(name, &told, version, flags, &found);
    *status = result ? -(int)result : (int)found;
    return told;
}

static void procAddressAnswersTheWrappersOfEachVersionAndForm(void) {
    int status;
    load_driver();
    OK(cu.cuInit(0));
    EXPECT(is_shims((void *)cu.cuGetProcAddress_v2));
    EXPECT(by_version("cuMemcpyHtoD", 13000, CU_GET_PROC_ADDRESS_DEFAULT, &status) == dlsym(driver_library, "cuMemcpyHtoD_v2"));
    EXPECT(by_version("cuMemcpyHtoD", 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM, &status) == dlsym(driver_library, "cuMemcpyHtoD_v2"));
    EXPECT(by_version("cuMemcpyHtoD", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status) == dlsym(driver_library, "cuMemcpyHtoD_v2_ptds"));
    EXPECT(by_version("cuMemcpyDtoHAsync", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status) == dlsym(driver_library, "cuMemcpyDtoHAsync_v2_ptsz"));
    EXPECT(by_version("cuCtxDestroy", 13000, 0, &status) == dlsym(driver_library, "cuCtxDestroy_v2"));
    EXPECT(is_shims(by_version("cuMemcpyHtoD", 13000, 0, &status)));
    EXPECT(is_shims(by_version("cuMemcpy", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &status)));
    EXPECT(is_shims(by_version("cuInit", 13000, 0, &status)));
}

/* Wherever the driver answers a function that is hooked, it is its wrapper, and all else is what the driver says. */
static void procAddressAnswersTheRestAsTheDriverDoes(void) {
    static const char *const names[] = {"cuMemcpyHtoD", "cuMemcpyHtoD_v2", "cuMemcpy", "cuMemAlloc", "cuCtxDestroy", "cuNoSuchFunction", "", "cuCheckpointProcessLock", "cuGetProcAddress"};
    static const int versions[] = {0, 2000, 3020, 4000, 7000, 12000, 12080, 13000};
    load_driver();
    OK(cu.cuInit(0));
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
        for (size_t v = 0; v < sizeof versions / sizeof versions[0]; v++)
            for (cuuint64_t flags = 0; flags <= 3; flags++) {
                int status, real_status;
                void *told = by_version(names[n], versions[v], flags, &status), *real = real_by_version(names[n], versions[v], flags, &real_status);
                EXPECT_IS(real_status, status);
                if (status || !real) continue;
                if (told != real && !is_shims(told)) fail_at(__FILE__, __LINE__, "%s of %d is %p, not %p", names[n], versions[v], told, real);
            }
}

static void procAddressWithoutAStatusIsAnsweredAsTheDriverDoes(void) {
    void *told = NULL;
    load_driver();
    OK(cu.cuInit(0));
    OK(cu.cuGetProcAddress_v2("cuMemcpyHtoD", &told, 13000, 0, NULL));
    EXPECT(is_shims(told));
}

static void procAddressWithNullIsPassedOn(void) {
    void *told = NULL;
    if (skipped(real_driver(), "a real driver crashes, with the shim and without")) return;
    load_driver();
    OK(cu.cuInit(0));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuGetProcAddress_v2("cuMemcpyHtoD", NULL, 13000, 0, NULL));
    EXPECT_IS(CUDA_ERROR_INVALID_VALUE, cu.cuGetProcAddress_v2(NULL, &told, 13000, 0, NULL));
}

/* The ABI of CUDA 11.3. */
static void theOlderProcAddressAnswersTheWrappersAsWell(void) {
    CUresult (*older)(const char *, void **, int, cuuint64_t);
    void *told = NULL;
    load_driver();
    older = (__typeof__(older))dlsym(driver_library, "cuGetProcAddress");
    OK(cu.cuInit(0));
    EXPECT(is_shims((void *)older));
    OK(older("cuMemcpyDtoH", &told, 13000, 0));
    EXPECT(told == dlsym(driver_library, "cuMemcpyDtoH_v2"));
    EXPECT_IS(CUDA_ERROR_NOT_FOUND, older("cuNoSuchFunction", &told, 13000, 0));
    OK(older("cuMemHostAlloc", &told, 13000, 0));
    EXPECT(is_drivers(told));
}

/* --- drivers that lack something --- */

static void whatTheDriverLacksIsNotHandedOut(void) {
    void *stub = dlopen(output_path("tests/stub/libcuda.so.1"), RTLD_NOW);
    for (int i = 0; i < HOOKED; i++) {
        int has = unhooked(stub, hooked[i]) != NULL;
        EXPECT_IS(has, dlsym(stub, hooked[i]) != NULL);
    }
    EXPECT(!dlsym(stub, "cuMemcpyDtoH_v2"));
    EXPECT(is_shims(dlsym(stub, "cuMemcpyHtoD_v2")));
}

/* Other parameters than theirs, and as many as none of them has. */
typedef CUresult any_function(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static void whatTheDriverLacksIsNotFoundByWhoeverCallsItAllTheSame(void) {
    void *stub = dlopen(output_path("tests/stub/libcuda.so.1"), RTLD_NOW);
    for (int i = 0; i < HOOKED; i++) {
        any_function *wrapper = (any_function *)dlsym(RTLD_DEFAULT, hooked[i]);
        if (unhooked(stub, hooked[i])) continue;
        CUresult result = wrapper(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        if (result != CUDA_ERROR_NOT_FOUND) fail_at(__FILE__, __LINE__, "%s answers %d", hooked[i], result);
    }
    EXPECT_IS(0, statistic("to_device") + statistic("to_host"));
}

static void aDriverThatLacksWhatTheEngineNeedsCopiesByItself(void) {
    void *stub = dlopen(output_path("tests/stub/libcuda.so.1"), RTLD_NOW);
    char *memory = calloc(1, 8 * MB);
    engine_at_once("2");
    OK(((__typeof__(cuInit) *)dlsym(stub, "cuInit"))(0));
    EXPECT_IS(CUDA_ERROR_NOT_SUPPORTED, ((__typeof__(cuMemcpyHtoD_v2) *)dlsym(stub, "cuMemcpyHtoD_v2"))(4096, memory, 8 * MB));
    EXPECT_IS(1, statistic("passed_aside"));
    free(memory);
}

static void beforeTheDriverIsLoadedItIsNotInitialised(void) {
    CUdevice device;
    void *told = NULL;
    char byte = 0;
    engine_at_once("2");
#define GLOBAL(name) ((__typeof__(name) *)dlsym(RTLD_DEFAULT, #name))
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, GLOBAL(cuInit)(0));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, GLOBAL(cuMemcpyHtoD_v2)(4096, &byte, 1));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, GLOBAL(cuMemcpyDtoH_v2)(&byte, 4096, 64 * MB));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, GLOBAL(cuGetProcAddress_v2)("cuInit", &told, 13000, 0, NULL));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, GLOBAL(cuCtxDestroy_v2)(NULL));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, GLOBAL(cuDevicePrimaryCtxRelease_v2)(0));
    EXPECT_IS(CUDA_ERROR_NOT_INITIALIZED, GLOBAL(torpor_copy_to_device)(4096, &byte, 64 * MB));
    use_device(0);
    OK(GLOBAL(cuInit)(0));
    OK(cu.cuDeviceGet(&device, 0));
    copy_bytes(4 * MB, 0);
    EXPECT_IS(1, statistic("to_device"));
}

/* --- programs --- */

static void run_linked(void *unused) {
    (void)unused;
    char directory[4096];
    const char *path = getenv("TORPOR_LIBCUDA");
    snprintf(directory, sizeof directory, "%s", path && *path ? path : "");
    if (strrchr(directory, '/')) {
        *strrchr(directory, '/') = 0;
        setenv("LD_LIBRARY_PATH", directory, 1);
    }
    engine_at_once("2");
    execl(output_path("tests/linked"), "linked", (char *)NULL);
}

static void aProgramThatIsLinkedAgainstTheDriverIsServed(void) {
    struct outcome o = outcome_of(run_linked, NULL);
    EXPECT_IS(0, o.status);
    if (!strstr(o.out, "to_device=1 ") || !strstr(o.out, "to_host=1 ") || *o.errors) fail_at(__FILE__, __LINE__, "it says: %s%s", o.out, o.errors);
    outcome_free(&o);
}

static pthread_barrier_t start;
static _Atomic int good;

static void *load_and_copy(void *unused) {
    CUcontext context;
    char *memory = malloc(4 * MB), *back = calloc(1, 4 * MB);
    CUdeviceptr device;
    const char *path = getenv("TORPOR_LIBCUDA");
    memset(memory, 5, 4 * MB);
    pthread_barrier_wait(&start);
    void *library = dlopen(path && *path ? path : "libcuda.so.1", RTLD_NOW);
#define CALL(name, ...) (((__typeof__(name) *)dlsym(library, #name))(__VA_ARGS__) == CUDA_SUCCESS)
    int fine = CALL(cuInit, 0) && CALL(cuDevicePrimaryCtxRetain, &context, 0) && CALL(cuCtxSetCurrent, context) && CALL(cuMemAlloc_v2, &device, 4 * MB)
        && CALL(cuMemcpyHtoD_v2, device, memory, 4 * MB) && CALL(cuMemcpyDtoH_v2, back, device, 4 * MB) && !memcmp(memory, back, 4 * MB);
    atomic_fetch_add(&good, fine);
    free(memory);
    free(back);
    return unused;
}

static void race(void *unused) {
    pthread_t threads[4];
    engine_at_once("2");
    pthread_barrier_init(&start, NULL, 4);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, load_and_copy, unused);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    EXPECT_IS(4, good);
    EXPECT(statistic("to_device") >= 1 && !statistic("passed_aside"));
}

static void threadsMayRaceToLoadTheDriver(void) {
    for (int i = 0; i < (sanitized() || real_driver() ? 3 : 12); i++) EXPECT_QUIET(0, outcome_of(race, NULL));
}

/* --- processes without CUDA --- */

static int with_shim;

static void run_shell(void *command) {
    if (!with_shim) unsetenv("LD_PRELOAD");
    setenv("TORPOR_COPY", "wrong", 1);
    execlp("sh", "sh", "-c", command, (char *)NULL);
}

/* What a command says with the shim is what it says without. */
static void expect_same(const char *command) {
    with_shim = 0;
    struct outcome without = outcome_of(run_shell, (void *)(uintptr_t)command);
    with_shim = 1;
    struct outcome with = outcome_of(run_shell, (void *)(uintptr_t)command);
    EXPECT_IS(without.status, with.status);
    if (strcmp(without.out, with.out)) fail_at(__FILE__, __LINE__, "%s: \"%s\", not \"%s\"", command, with.out, without.out);
    if (strcmp(without.errors, with.errors)) fail_at(__FILE__, __LINE__, "%s: \"%s\", not \"%s\"", command, with.errors, without.errors);
    outcome_free(&without);
    outcome_free(&with);
}

static void aProcessWithoutCudaDoesWhatItDid(void) {
    if (skipped(sanitized(), "their libraries are seen in programs without them")) return;
    expect_same("ls -l /etc/passwd && cat /etc/passwd");
    expect_same("ls /no/such/directory");
    expect_same("exit 3");
    expect_same("kill -TERM $$");
    expect_same("ls /proc/self/fd");
    expect_same("ls /proc/self/task | wc -l");
    expect_same("echo a | sed s/a/b/ | sort | grep b");
}

/* Anonymous memory that follows a library directly is its own, so that only names are compared. */
static void aProcessWithoutCudaMapsTheLibraryAlone(void) {
    if (skipped(sanitized(), "they map much")) return;
    expect_same("cat /proc/self/maps | grep -v -e libtorpor -e libpthread -e libdl | awk '{ print $6 }' | sort -u");
    expect_same("grep -c '\\[heap\\]' /proc/self/maps");
    expect_same("awk '/VmLck|VmPin|Threads/' /proc/self/status");
}

int main(void) {
    RUN(aHandleAnswersTheWrappersOfWhatTheDriverHas);
    RUN(aHandleAnswersTheRestAsTheLoaderDoes);
    RUN(otherLibrariesAreAnsweredAsTheLoaderDoes);
    RUN(theGlobalScopeAnswersTheShim);
    RUN(bothVersionsOfDlsymAreTheShims);
    RUN(theNextFunctionIsTheOneAfterTheCaller);
    RUN(theErrorIsTheLoadersOwn);
    RUN(beforeTheDriverIsLoadedNoErrorIsLeft);
    RUN(procAddressAnswersTheWrappersOfEachVersionAndForm);
    RUN(procAddressAnswersTheRestAsTheDriverDoes);
    RUN(procAddressWithoutAStatusIsAnsweredAsTheDriverDoes);
    RUN(procAddressWithNullIsPassedOn);
    RUN(theOlderProcAddressAnswersTheWrappersAsWell);
    RUN(whatTheDriverLacksIsNotHandedOut);
    RUN(whatTheDriverLacksIsNotFoundByWhoeverCallsItAllTheSame);
    RUN(aDriverThatLacksWhatTheEngineNeedsCopiesByItself);
    RUN(beforeTheDriverIsLoadedItIsNotInitialised);
    RUN(aProgramThatIsLinkedAgainstTheDriverIsServed);
    RUN(threadsMayRaceToLoadTheDriver);
    RUN(aProcessWithoutCudaDoesWhatItDid);
    RUN(aProcessWithoutCudaMapsTheLibraryAlone);
    return summary();
}
