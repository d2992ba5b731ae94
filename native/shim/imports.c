/* By the relocations that the loader has carried out (System V ABI, AMD64 supplement, 4.4). */
#define _GNU_SOURCE
#include "imports.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct library {
    uintptr_t base, end, relro, relro_end;
    const Elf64_Dyn *dynamic;
    const char *name;
};
struct wanted { uintptr_t address; struct library found; };

static int holds(const struct dl_phdr_info *info, uintptr_t address) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz) return 1;
    }
    return 0;
}

static struct library library_of(const struct dl_phdr_info *info) {
    struct library l = {.base = info->dlpi_addr, .name = info->dlpi_name};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *p = &info->dlpi_phdr[i];
        uintptr_t at = l.base + p->p_vaddr;
        if (p->p_type == PT_LOAD && at + p->p_memsz > l.end) l.end = at + p->p_memsz;
        if (p->p_type == PT_DYNAMIC) l.dynamic = (const Elf64_Dyn *)at;
        if (p->p_type == PT_GNU_RELRO) l.relro = at, l.relro_end = at + p->p_memsz;
    }
    return l;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *data) {
    struct wanted *wanted = data;
    (void)size;
    if (!holds(info, wanted->address)) return 0;
    wanted->found = library_of(info);
    return 1;
}

static uint64_t entry(const struct library *l, Elf64_Sxword tag) {
    const Elf64_Dyn *d = l->dynamic;
    while (d->d_tag != DT_NULL && d->d_tag != tag) d++;
    return d->d_tag == tag ? d->d_un.d_val : 0;
}

/* The loader has put addresses in place of offsets, but need not. */
static const void *table(const struct library *l, Elf64_Sxword tag) {
    uint64_t at = entry(l, tag);
    return (const void *)(at && at < l->base ? l->base + at : at);
}

/* Where the loader has protected whole pages after it had filled them. */
static int is_read_only(const struct library *l, uintptr_t at) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return at >= l->relro / page * page && at < l->relro_end / page * page;
}

static void look_through(const struct library *l, const Elf64_Rela *r, size_t bytes, const char *function, struct imports *found) {
    const Elf64_Sym *symbols = table(l, DT_SYMTAB);
    const char *names = table(l, DT_STRTAB);
    if (!r || !symbols || !names) return;
    for (const Elf64_Rela *end = r + bytes / sizeof *r; r < end && found->count < MOST_SLOTS; r++) {
        uint64_t type = ELF64_R_TYPE(r->r_info);
        if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) || strcmp(names + symbols[ELF64_R_SYM(r->r_info)].st_name, function)) continue;
        uintptr_t at = l->base + r->r_offset;
        found->slots[found->count++] = (struct slot){.at = (void **)at, .read_only = is_read_only(l, at)};
    }
}

struct imports imports_find(const void *address, const char *function) {
    struct wanted wanted = {.address = (uintptr_t)address};
    struct imports found = {.count = 0};
    const struct library *l = &wanted.found;
    if (!dl_iterate_phdr(look_at, &wanted) || !l->dynamic) return found;
    look_through(l, table(l, DT_JMPREL), entry(l, DT_PLTRELSZ), function, &found);
    look_through(l, table(l, DT_RELA), entry(l, DT_RELASZ), function, &found);
    return found;
}

static int allow(const struct slot *slot, int protection) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return !slot->read_only || !mprotect((void *)((uintptr_t)slot->at / page * page), page, protection);
}

static void put(const struct slot *slot, void *function) {
    if (!allow(slot, PROT_READ | PROT_WRITE)) return;
    __atomic_store_n(slot->at, function, __ATOMIC_RELEASE);
    allow(slot, PROT_READ);
}

void imports_redirect(struct imports *imports, void *to) {
    for (int i = 0; i < imports->count; i++) {
        struct slot *slot = &imports->slots[i];
        slot->before = __atomic_load_n(slot->at, __ATOMIC_ACQUIRE);
        put(slot, to);
    }
}

void imports_give_back(const struct imports *imports) {
    for (int i = 0; i < imports->count; i++) put(&imports->slots[i], imports->slots[i].before);
}

/* --- libraries that were opened with RTLD_DEEPBIND: the loader binds them to the driver, past what is preloaded --- */

/* What the loader says of its list; libraries are added at its end. */
struct list { unsigned long long adds, subs; size_t count; };

/* Written and read with the loader's lock of its list, which dl_iterate_phdr holds and ThreadSanitizer does not see. */
#define WITH_LOADER __attribute__((no_sanitize("thread")))
static struct { struct list list; char stubborn[256]; int is_stubborn; } seen;

static struct list list_of(const struct dl_phdr_info *info) { return (struct list){.adds = info->dlpi_adds, .subs = info->dlpi_subs}; }
static int same(const struct list *one, const struct list *other) { return one->adds == other->adds && one->subs == other->subs; }

WITH_LOADER static int compare_first(struct dl_phdr_info *info, size_t size, void *changed) {
    struct list now = list_of(info);
    (void)size;
    *(int *)changed = !same(&now, &seen.list);
    return 1;
}

static int is_driver(struct dl_phdr_info *info, size_t size, void *nothing) {
    const char *name = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    (void)size;
    (void)nothing;
    return name && !strcmp(name + 1, "libcuda.so.1");
}

int imports_driver_is_loaded(void) { return dl_iterate_phdr(is_driver, NULL); }

int imports_have_new(void) {
    int changed = 0;
    dl_iterate_phdr(compare_first, &changed);
    return changed;
}

static int count_one(struct dl_phdr_info *info, size_t size, void *data) {
    struct list *list = data;
    (void)size;
    list->adds = info->dlpi_adds;
    list->subs = info->dlpi_subs;
    list->count++;
    return 0;
}

/* How many symbols there are, or in the usual form how many come before the library's own. 0: a library without its own does not tell. */
static size_t count_symbols(const struct library *l) {
    const uint32_t *gnu = table(l, DT_GNU_HASH), *plain = table(l, DT_HASH);
    size_t count = gnu ? gnu[1] : plain ? plain[1] : 0;
    return count > 1 ? count : 0;
}

/* Most libraries import nothing that matters, and have many relocations. */
static int imports_any(const struct library *l, import_choice *choose) {
    const Elf64_Sym *symbols = table(l, DT_SYMTAB);
    const char *names = table(l, DT_STRTAB);
    if (!symbols || !names) return 0;
    size_t count = count_symbols(l);
    for (size_t i = 1; i < count; i++)
        if (symbols[i].st_shndx == SHN_UNDEF && choose(names + symbols[i].st_name, NULL)) return 1;
    return !count;
}

static int is_import(const Elf64_Rela *r) {
    uint64_t type = ELF64_R_TYPE(r->r_info);
    return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT || (type == R_X86_64_64 && !r->r_addend);
}

static int stays(const struct library *l, const struct slot *slot, import_choice *choose, const char *name) {
    const void *bound = __atomic_load_n(slot->at, __ATOMIC_ACQUIRE);
    uintptr_t value = (uintptr_t)bound;
    void *chosen = choose(name, value >= l->base && value < l->end ? NULL : bound);
    if (!chosen || chosen == bound) return 1;
    put(slot, chosen);
    return __atomic_load_n(slot->at, __ATOMIC_ACQUIRE) == chosen;
}

WITH_LOADER static void rebind(const struct library *l, const Elf64_Rela *r, size_t bytes, import_choice *choose) {
    const Elf64_Sym *symbols = table(l, DT_SYMTAB);
    const char *names = table(l, DT_STRTAB);
    for (size_t i = 0; r && i < bytes / sizeof *r; i++, r++) {
        const Elf64_Sym *symbol = &symbols[ELF64_R_SYM(r->r_info)];
        if (!is_import(r) || symbol->st_shndx != SHN_UNDEF) continue;
        uintptr_t at = l->base + r->r_offset;
        struct slot slot = {.at = (void **)at, .read_only = is_read_only(l, at)};
        if (stays(l, &slot, choose, names + symbol->st_name) || seen.is_stubborn) continue;
        strncpy(seen.stubborn, l->name && *l->name ? l->name : "the program", sizeof seen.stubborn - 1);
        seen.is_stubborn = 1;
    }
}

struct look { import_choice *choose; uintptr_t except; struct list list; size_t at; int stale; };

WITH_LOADER static int look_through_new(struct dl_phdr_info *info, size_t size, void *data) {
    struct look *look = data;
    (void)size;
    if (info->dlpi_subs != look->list.subs) return look->stale = 1; /* the numbers are others' now */
    size_t first = info->dlpi_subs == seen.list.subs ? seen.list.count : 0;
    if (look->at++ < first || holds(info, look->except) || holds(info, (uintptr_t)look_through_new)) return look->at >= look->list.count;
    struct library l = library_of(info);
    if (l.dynamic && imports_any(&l, look->choose)) {
        rebind(&l, table(&l, DT_JMPREL), entry(&l, DT_PLTRELSZ), look->choose);
        rebind(&l, table(&l, DT_RELA), entry(&l, DT_RELASZ), look->choose);
    }
    return look->at >= look->list.count;
}

/* A dlopen() that another thread is in has put its libraries into the list, and may not have bound them yet. */
static void await_loader(void) { dlsym(RTLD_DEFAULT, "torpor_shim_version"); }

WITH_LOADER static int note(struct dl_phdr_info *info, size_t size, void *list) {
    (void)size;
    if (info->dlpi_subs == ((struct list *)list)->subs) seen.list = *(struct list *)list;
    return 1;
}

int imports_rebind(import_choice *choose, const void *except) {
    struct look look;
    do {
        look = (struct look){.choose = choose, .except = (uintptr_t)except};
        dl_iterate_phdr(count_one, &look.list);
        await_loader();
        dl_iterate_phdr(look_through_new, &look);
    } while (look.stale);
    dl_iterate_phdr(note, &look.list);
    return !imports_stubborn();
}

WITH_LOADER static int read_stubborn(struct dl_phdr_info *info, size_t size, void *name) {
    (void)info;
    (void)size;
    if (seen.is_stubborn) *(const char **)name = seen.stubborn;
    return 1;
}

const char *imports_stubborn(void) {
    const char *name = NULL;
    dl_iterate_phdr(read_stubborn, &name);
    return name;
}
