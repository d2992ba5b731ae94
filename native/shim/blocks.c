#include "blocks.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

pthread_rwlock_t blocks_lock = PTHREAD_RWLOCK_INITIALIZER;

static struct block *blocks;
static struct mapping **mappings; /* by address */
static size_t mapping_count, mapping_room;

/* An index with a mark that no address and no small number has, so that it is none of the driver's own handles. */
static const CUmemGenericAllocationHandle mark = 0x5450000000000000;
static struct block **named;
static unsigned named_count = 1, named_room; /* 0 names nothing */
static unsigned first_free = 1; /* none below it is */

_Atomic uint64_t blocks_returned;

uint64_t request_number(void) {
    static _Atomic uint64_t numbers;
    return atomic_fetch_add(&numbers, 1) + 1;
}

CUmemGenericAllocationHandle block_handle(struct block *block) { return mark | block->index; }

struct block *block_of_handle(CUmemGenericAllocationHandle handle) {
    CUmemGenericAllocationHandle index = handle ^ mark;
    return index && index < named_count ? named[index] : NULL;
}

int handle_looks_ours(CUmemGenericAllocationHandle handle) { return handle >> 48 == mark >> 48; }

struct block *block_first(void) { return blocks; }

struct block *block_add(CUmemGenericAllocationHandle handle, const CUmemAllocationProp *prop, size_t size) {
    struct block *block = calloc(1, sizeof *block);
    if (!block) return NULL;
    *block = (struct block){.next = blocks, .handle = handle, .prop = *prop, .size = size};
    if (blocks) blocks->previous = block;
    return blocks = block;
}

static unsigned free_index(void) {
    while (first_free < named_count && named[first_free]) first_free++;
    return first_free;
}

int block_name(struct block *block) {
    unsigned index = free_index();
    if (index >= named_room) {
        unsigned room = named_room ? named_room * 2 : 256;
        struct block **more = realloc(named, room * sizeof *more);
        if (!more) return 0;
        named = more;
        named_room = room;
    }
    if (index == named_count) named_count++;
    named[index] = block;
    block->index = index;
    return 1;
}

void block_remove(struct block *block) {
    if (block->index) named[block->index] = NULL;
    if (block->index && block->index < first_free) first_free = block->index;
    if (block->previous) block->previous->next = block->next;
    else blocks = block->next;
    if (block->next) block->next->previous = block->previous;
    free(block);
}

/* The index of the first that ends after the address. */
static size_t place(CUdeviceptr address) {
    size_t low = 0, high = mapping_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (mappings[middle]->base + mappings[middle]->size > address) high = middle;
        else low = middle + 1;
    }
    return low;
}

struct mapping *mapping_next(CUdeviceptr address) {
    size_t at = place(address);
    return at < mapping_count ? mappings[at] : NULL;
}

struct mapping *mapping_at(CUdeviceptr address) {
    struct mapping *next = mapping_next(address);
    return next && next->base <= address ? next : NULL;
}

struct mapping *mapping_add(CUdeviceptr base, struct block *block) {
    struct mapping *mapping = calloc(1, sizeof *mapping);
    size_t at = place(base);
    if (mapping && mapping_count == mapping_room) {
        size_t room = mapping_room ? mapping_room * 2 : 256;
        struct mapping **more = realloc(mappings, room * sizeof *more);
        if (!more) return free(mapping), NULL;
        mappings = more;
        mapping_room = room;
    }
    if (!mapping) return NULL;
    memmove(mappings + at + 1, mappings + at, (mapping_count++ - at) * sizeof *mappings);
    *mapping = (struct mapping){.base = base, .size = block->size, .block = block};
    block->mappings++;
    return mappings[at] = mapping;
}

void mapping_remove(struct mapping *mapping) {
    size_t at = place(mapping->base);
    memmove(mappings + at, mappings + at + 1, (--mapping_count - at) * sizeof *mappings);
    mapping->block->mappings--;
    free(mapping);
}

/* Who had the lock is gone. The memory is the parent's, and so are its addresses. */
void blocks_after_fork(void) {
    static const pthread_rwlock_t unlocked = PTHREAD_RWLOCK_INITIALIZER;
    blocks_lock = unlocked;
    blocks = NULL;
    mapping_count = 0;
    named_count = first_free = 1;
}
