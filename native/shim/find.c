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

/* A program that opens a library looks something up in it before it calls it: the first look that the shim gets at what it imports. */
void *torpor_dlsym_in(void *handle, const char *name) {
    driver_bind_libraries();
    void *found = torpor_find_dlsym()(handle, name);
    return found && !strncmp(name, "cu", 2) ? stand_in(found) : found;
}

static const struct driver *_Atomic ready;

#define DECLARE(name, like, ...) __typeof__(like) name;
COPIES(DECLARE) OTHERS(DECLARE) ALLOCATIONS(DECLARE) POOLS(DECLARE) VIRTUAL(DECLARE)
#undef DECLARE

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

/* Without a lock: the loader has one of its own, and who holds that may come here. */
static const struct driver *find_driver(void) {
    const struct driver *nobody = NULL;
    void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD); /* never closed, so that it stays loaded */
    struct driver *table = library ? malloc(sizeof *table) : NULL;
    if (!table) return NULL;
    fill(table, library);
    if (atomic_compare_exchange_strong(&ready, &nobody, table)) lifecycle_begin();
    else free(table);
    return atomic_load(&ready);
}

const struct driver *driver(void) {
    const struct driver *known = atomic_load_explicit(&ready, memory_order_acquire);
    return known ? known : find_driver();
}

static const struct hook { const char *name; size_t real; void *wrapper; } hooks[] = {
#define HOOK(name, like, ...) {#name, offsetof(struct driver, name), (void *)name},
    HOOKS(HOOK)
#undef HOOK
};
enum { HOOK_COUNT = sizeof hooks / sizeof hooks[0] };

/* By the address that was found, not by the name that was asked for: the version that the program gets is the driver's choice. */
void *stand_in(void *function) {
    const struct driver *d = driver();
    for (size_t i = 0; d && i < HOOK_COUNT; i++)
        if (function == *(void *const *)((const char *)d + hooks[i].real)) return hooks[i].wrapper;
    return function;
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
    const struct driver *d = atomic_load(&ready);
    for (size_t i = 0; i < HOOK_COUNT; i++) {
        if (strcmp(name, hooks[i].name)) continue;
        if (!bound) return firsts[i];
        if (bound == *(void *const *)((const char *)d + hooks[i].real)) return hooks[i].wrapper;
    }
    return NULL;
}

void driver_bind_libraries(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!imports_have_new() || (!atomic_load(&ready) && !imports_driver_is_loaded())) return;
    pthread_once(&once, find_firsts);
    const struct driver *d = preloaded ? driver() : NULL;
    if (d) imports_rebind(choose, (const void *)d->cuInit);
}

EXPORT CUresult cuGetProcAddress(const char *symbol, void **pfn, int version, cuuint64_t flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    driver_bind_libraries();
    CUresult result = d->cuGetProcAddress(symbol, pfn, version, flags);
    if (!result && pfn && *pfn) *pfn = stand_in(*pfn);
    return result;
}

EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int version, cuuint64_t flags, CUdriverProcAddressQueryResult *status) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    driver_bind_libraries();
    CUresult result = d->cuGetProcAddress_v2(symbol, pfn, version, flags, status);
    if (!result && pfn && *pfn) *pfn = stand_in(*pfn);
    return result;
}
