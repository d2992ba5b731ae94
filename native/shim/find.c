/* Where the real functions are, and what programs are told when they ask for one. */
#define _GNU_SOURCE
#include "driver.h"
#include "imports.h"
#include "lifecycle.h"
#include "torpor.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef void *dlsym_function(void *handle, const char *name);

/* Written once, by whoever comes first; everybody finds the same. */
__attribute__((visibility("hidden"))) dlsym_function *_Atomic torpor_real_dlsym;
__attribute__((visibility("hidden"))) dlsym_function *torpor_find_dlsym(void);
__attribute__((visibility("hidden"))) void *torpor_dlsym_in(void *handle, const char *name);

EARLY dlsym_function *torpor_find_dlsym(void) {
    dlsym_function *found = atomic_load(&torpor_real_dlsym);
    if (found) return found;
    found = (dlsym_function *)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
    if (!found) found = (dlsym_function *)dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    if (!found) abort(); /* no glibc has neither */
    atomic_store(&torpor_real_dlsym, found);
    return found;
}

/* RTLD_DEFAULT and RTLD_NEXT mean something else for each caller, which the loader knows by the return address: those calls
 * are passed on by a jump. All others go to torpor_dlsym_in, by a jump as well. */
__asm__(
    ".text\n"
    ".globl torpor_dlsym_old, torpor_dlsym_new\n"
    ".hidden torpor_real_dlsym, torpor_find_dlsym, torpor_dlsym_in\n"
    ".type torpor_dlsym_old, @function\n"
    ".type torpor_dlsym_new, @function\n"
    "torpor_dlsym_old:\n"
    "torpor_dlsym_new:\n"
    ".cfi_startproc\n"
    "    endbr64\n"
    "    leaq 1(%rdi), %rax\n" /* RTLD_NEXT is -1, RTLD_DEFAULT is 0 */
    "    cmpq $1, %rax\n"
    "    ja torpor_dlsym_in\n"
    "    movq torpor_real_dlsym(%rip), %rax\n"
    "    testq %rax, %rax\n"
    "    jnz 1f\n"
    "    pushq %rdi\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    pushq %rsi\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    subq $8, %rsp\n"
    "    .cfi_adjust_cfa_offset 8\n"
    "    call torpor_find_dlsym\n"
    "    addq $8, %rsp\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "    popq %rsi\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "    popq %rdi\n"
    "    .cfi_adjust_cfa_offset -8\n"
    "1:  jmp *%rax\n"
    ".cfi_endproc\n"
    ".size torpor_dlsym_old, . - torpor_dlsym_old\n"
    ".size torpor_dlsym_new, . - torpor_dlsym_new\n"
    ".symver torpor_dlsym_old, dlsym@GLIBC_2.2.5\n"
    ".symver torpor_dlsym_new, dlsym@@GLIBC_2.34\n");

static const struct driver *_Atomic ready;
static int is_interposer(const void *caller);

/* A program that opens a library looks something up in it before it calls it: the first look that the shim gets at what it imports. */
void *torpor_dlsym_in(void *handle, const char *name) {
    driver_bind_libraries();
    void *found = torpor_find_dlsym()(handle, name);
    if (!found || strncmp(name, "cu", 2) || is_interposer(__builtin_return_address(0))) return found;
    return stand_in(found);
}


#define DECLARE(name, like, ...) __typeof__(like) name;
COPIES(DECLARE) OTHERS(DECLARE) ALLOCATIONS(DECLARE) POOLS(DECLARE) VIRTUAL(DECLARE)
#undef DECLARE

static const struct hook { const char *name; size_t real; void *wrapper; } hooks[] = {
#define HOOK(name, like, ...) {#name, offsetof(struct driver, name), (void *)name},
    HOOKS(HOOK)
#undef HOOK
};
enum { HOOK_COUNT = sizeof hooks / sizeof hooks[0] };

/* Other libraries that are preloaded and stand in for the driver, too, and come after this one. */
enum { MOST_INTERPOSERS = 4 };

/* The driver as it is called, which is through the next of them, and as it is found by those who go past them. */
struct chain {
    struct driver driver; /* first: that is what others know */
    void *real[HOOK_COUNT];
    const void *interposers[MOST_INTERPOSERS]; /* where each is loaded */
};

/* Whoever finds a wrapper in the global scope may call one that this driver has no function for. It takes any arguments, as
 * the caller is the one that clears them away. */
static CUresult missing(void) { return CUDA_ERROR_NOT_FOUND; }

static void fill(struct driver *table, void *library) {
    dlsym_function *find = torpor_find_dlsym();
#define FIND(name, ...) table->name = (__typeof__(table->name))find(library, #name);
    HOOKS(FIND) CALLED(FIND) OPTIONAL(FIND)
#define HAS(name, ...) && table->name
    table->complete = 1 ENGINE_NEEDS(HAS);
    table->can_park = table->complete PARKING_NEEDS(HAS);
#undef HAS
#define REPLACE(name, ...) if (!table->name) table->name = (__typeof__(table->name))(void *)missing;
    HOOKS(REPLACE)
#undef REPLACE
#undef FIND
}

/* The C library's own, past a library that has one of its own, too. */
static dlsym_function *libcs_dlsym(void) {
    static const char *const places[][2] = {{"libc.so.6", "GLIBC_2.34"}, {"libc.so.6", "GLIBC_2.2.5"}, {"libdl.so.2", "GLIBC_2.2.5"}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        void *library = dlopen(places[i][0], RTLD_LAZY | RTLD_NOLOAD), *found = library ? dlvsym(library, "dlsym", places[i][1]) : NULL;
        if (library) dlclose(library);
        if (found) return (dlsym_function *)found;
    }
    return torpor_find_dlsym();
}

static const void *loaded_at(const void *address) {
    Dl_info info;
    return dladdr(address, &info) ? info.dli_fbase : NULL;
}

static void note_interposer(struct chain *chain, const void *function) {
    const void *at = loaded_at(function);
    int i = 0;
    while (i < MOST_INTERPOSERS - 1 && chain->interposers[i] && chain->interposers[i] != at) i++;
    chain->interposers[i] = at;
}

/* The loader takes RTLD_NEXT for what comes after this library, by where the call returns to. */
static void find_next(struct chain *chain, void *library) {
    dlsym_function *find = libcs_dlsym();
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        void **called = (void **)((char *)&chain->driver + hooks[i].real);
        chain->real[i] = find(library, hooks[i].name);
        void *next = chain->real[i] ? find(RTLD_NEXT, hooks[i].name) : NULL;
        if (next && next != chain->real[i] && next != hooks[i].wrapper) *called = next;
        if (chain->real[i] && *called != chain->real[i]) note_interposer(chain, *called);
    }
}

/* Without a lock: the loader has one of its own, and who holds that may come here. */
static const struct driver *find_driver(void) {
    const struct driver *nobody = NULL;
    void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD); /* never closed, so that it stays loaded */
    struct chain *chain = library ? calloc(1, sizeof *chain) : NULL;
    if (!chain) return NULL;
    fill(&chain->driver, library);
    find_next(chain, library);
    if (atomic_compare_exchange_strong(&ready, &nobody, &chain->driver)) lifecycle_begin();
    else free(chain);
    return atomic_load(&ready);
}

const struct driver *driver(void) {
    const struct driver *known = atomic_load_explicit(&ready, memory_order_acquire);
    return known ? known : find_driver();
}

/* By the address that was found, not by the name that was asked for: the version that the program gets is the driver's choice. */
void *stand_in(void *function) {
    const struct chain *chain = (const struct chain *)driver();
    for (size_t i = 0; chain && i < HOOK_COUNT; i++)
        if (chain->real[i] && (function == chain->real[i] || function == *(void *const *)((const char *)&chain->driver + hooks[i].real))) return hooks[i].wrapper;
    return function;
}

/* It asks for what it is to call itself: the wrapper would call it again. */
static int is_interposer(const void *caller) {
    const struct chain *chain = (const struct chain *)atomic_load(&ready);
    const void *at = chain && chain->interposers[0] ? loaded_at(caller) : NULL;
    for (int i = 0; at && i < MOST_INTERPOSERS; i++)
        if (chain->interposers[i] == at) return 1;
    return 0;
}

/* What the global scope has for each hook, and for dlsym: there another preloaded library may come first. */
static void *firsts[HOOK_COUNT], *first_dlsym, *real_dlsyms[2];
static int preloaded;

static void find_firsts(void) {
    dlsym_function *find = torpor_find_dlsym();
    preloaded = find(RTLD_DEFAULT, "torpor_shim_version") == (void *)torpor_shim_version;
    for (size_t i = 0; i < HOOK_COUNT && preloaded; i++) firsts[i] = find(RTLD_DEFAULT, hooks[i].name);
    first_dlsym = find(RTLD_DEFAULT, "dlsym");
    real_dlsyms[0] = (void *)find;
    real_dlsyms[1] = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
}

static void *choose_dlsym(const void *bound) {
    if (!bound) return first_dlsym;
    return bound == real_dlsyms[0] || bound == real_dlsyms[1] ? first_dlsym : NULL;
}

static void *choose(const char *name, const void *bound) {
    if (!strcmp(name, "dlsym")) return choose_dlsym(bound);
    if (name[0] != 'c' || name[1] != 'u' || name[2] < 'A' || name[2] > 'Z') return NULL;
    const struct chain *chain = (const struct chain *)atomic_load(&ready);
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        if (strcmp(name, hooks[i].name)) continue;
        if (!bound) return firsts[i];
        if (bound == chain->real[i]) return hooks[i].wrapper;
    }
    return NULL;
}

/* An address in it. */
static const void *libcudas_own(const struct driver *d) {
    const struct chain *chain = (const struct chain *)d;
    for (size_t i = 0; i < HOOK_COUNT; i++)
        if (chain->real[i]) return chain->real[i];
    return NULL;
}

void driver_bind_libraries(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!imports_have_new() || (!atomic_load(&ready) && !imports_driver_is_loaded())) return;
    pthread_once(&once, find_firsts);
    const struct driver *d = preloaded ? driver() : NULL;
    if (d) imports_rebind(choose, libcudas_own(d));
}

EXPORT CUresult cuGetProcAddress(const char *symbol, void **pfn, int version, cuuint64_t flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    driver_bind_libraries();
    CUresult result = d->cuGetProcAddress(symbol, pfn, version, flags);
    if (!result && pfn && *pfn && !is_interposer(__builtin_return_address(0))) *pfn = stand_in(*pfn);
    return result;
}

EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int version, cuuint64_t flags, CUdriverProcAddressQueryResult *status) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    driver_bind_libraries();
    CUresult result = d->cuGetProcAddress_v2(symbol, pfn, version, flags, status);
    if (!result && pfn && *pfn && !is_interposer(__builtin_return_address(0))) *pfn = stand_in(*pfn);
    return result;
}
