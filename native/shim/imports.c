/* By the relocations that the loader has carried out (System V ABI, AMD64 supplement, 4.4). */
#define _GNU_SOURCE
#include "imports.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct library {
    uintptr_t base, relro, relro_end;
    const Elf64_Dyn *dynamic;
};
struct wanted { uintptr_t address; struct library found; };

static int holds(const struct dl_phdr_info *info, uintptr_t address) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz) return 1;
    }
    return 0;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *data) {
    struct wanted *wanted = data;
    struct library *l = &wanted->found;
    (void)size;
    if (!holds(info, wanted->address)) return 0;
    l->base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const Elf64_Phdr *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_DYNAMIC) l->dynamic = (const Elf64_Dyn *)(l->base + p->p_vaddr);
        if (p->p_type == PT_GNU_RELRO) l->relro = l->base + p->p_vaddr, l->relro_end = l->relro + p->p_memsz;
    }
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
