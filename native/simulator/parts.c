/* How a pool divides what it takes from the device. A part that was freed is its stream's at once, and everybody's when the free was reached. */
#define _GNU_SOURCE
#include "pool.h"

#include <stdlib.h>

enum { CHUNK = 32 << 20 };

static _Atomic int chunk_count;

int chunks_any(void) { return atomic_load(&chunk_count) != 0; }

static uint64_t round_up(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

static void merge_free(struct chunk *chunk) {
    for (struct part *p = chunk->parts; p->next;) {
        struct part *next = p->next;
        if (p->live || next->live || p->stream != next->stream) {
            p = next;
            continue;
        }
        if (next->number > p->number) p->number = next->number;
        p->extent += next->extent;
        p->next = next->next;
        free(next);
    }
}

static int reached(const struct part *part) { return !part->live && (!part->stream || op_done(part->stream, part->number)); }

void parts_settle(CUmemoryPool pool) {
    for (struct chunk *c = pool->chunks; c; c = c->next) {
        for (struct part *p = c->parts; p; p = p->next)
            if (reached(p)) p->stream = NULL;
        merge_free(c);
    }
}

void parts_freed(CUmemoryPool pool, CUstream stream, uint64_t number) {
    for (struct chunk *c = pool->chunks; c; c = c->next) {
        for (struct part *p = c->parts; p; p = p->next)
            if (!p->live && p->stream == stream && p->number <= number) p->stream = NULL;
        merge_free(c);
    }
}

static void chunk_drop(struct chunk *chunk) {
    chunk->pool->reserved -= chunk->range->size;
    block_drop(chunk->range->block);
    range_release(chunk->range);
    free(chunk->parts);
    free(chunk);
    atomic_fetch_sub(&chunk_count, 1);
}

static int unused(const struct chunk *chunk) { return !chunk->parts->next && !chunk->parts->live && !chunk->parts->stream; }

void chunks_trim(CUmemoryPool pool, uint64_t keep) {
    for (struct chunk **link = &pool->chunks; *link;) {
        struct chunk *chunk = *link;
        if (!unused(chunk) || pool->reserved - chunk->range->size < keep) {
            link = &chunk->next;
            continue;
        }
        *link = chunk->next;
        chunk_drop(chunk);
    }
}

static struct chunk *chunk_fill(CUmemoryPool pool, struct range *range, struct block *block) {
    struct chunk *chunk = calloc(1, sizeof *chunk);
    struct part *part = calloc(1, sizeof *part);
    if (!chunk || !part) return free(chunk), free(part), NULL;
    *part = (struct part){.extent = range->size};
    *chunk = (struct chunk){.next = pool->chunks, .pool = pool, .range = range, .parts = part};
    range->block = block;
    range->chunk = chunk;
    pool->reserved += range->size;
    if (pool->reserved > pool->reserved_high) pool->reserved_high = pool->reserved;
    atomic_fetch_add(&chunk_count, 1);
    return pool->chunks = chunk;
}

static struct chunk *chunk_take(CUmemoryPool pool, size_t size) {
    if (pool->props.maxSize && pool->reserved + size > pool->props.maxSize) return NULL;
    struct range *range = range_reserve(size, PAGE_ALIGN, 0);
    struct block *block = range ? block_create(size, size, pool->props.location.id) : NULL;
    struct chunk *chunk = block ? chunk_fill(pool, range, block) : NULL;
    if (!chunk && block) block_drop(block);
    if (!chunk && range) range_release(range);
    return chunk;
}

/* The pool's flag decides whether what another stream has freed may be used as soon as it is reached, or when somebody has waited for it. */
static int usable(CUmemoryPool pool, const struct part *part, CUstream stream) {
    if (part->live) return 0;
    return !part->stream || part->stream == stream || (pool->reuse[CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC] && reached(part));
}

static struct part *first_fit(CUmemoryPool pool, struct chunk *chunk, size_t extent, CUstream stream) {
    for (struct part *p = chunk->parts; p; p = p->next)
        if (p->extent >= extent && usable(pool, p, stream)) return p;
    return NULL;
}

static int part_use(CUmemoryPool pool, struct part *part, size_t bytes, size_t extent) {
    if (part->extent > extent) {
        struct part *rest = malloc(sizeof *rest);
        if (!rest) return 0;
        *rest = *part;
        rest->at += extent;
        rest->extent -= extent;
        part->next = rest;
        part->extent = extent;
    }
    part->size = bytes;
    part->live = 1;
    part->stream = NULL;
    part->number = 0;
    part->id = memory_id();
    pool->used += extent;
    if (pool->used > pool->used_high) pool->used_high = pool->used;
    return 1;
}

int part_take(CUmemoryPool pool, size_t bytes, CUstream stream, CUdeviceptr *address) {
    size_t extent = round_up(bytes, SMALL_ALIGN);
    struct chunk *chunk = pool->chunks;
    struct part *part = NULL;
    if (pool->reuse[CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC]) parts_settle(pool); /* so that neighbours become one */
    while (chunk && !(part = first_fit(pool, chunk, extent, stream))) chunk = chunk->next;
    if (!chunk) chunk = chunk_take(pool, round_up(extent, CHUNK));
    if (!chunk) chunk = chunk_take(pool, round_up(extent, PAGE_ALIGN)); /* little is left */
    if (!chunk) return 0;
    if (!part) part = chunk->parts;
    *address = chunk->range->base + part->at;
    return part_use(pool, part, bytes, extent);
}

static struct part *holding(const struct range *range, CUdeviceptr address) {
    size_t inside = address - range->base;
    struct part *p = range->chunk->parts;
    while (p && inside >= p->at + p->extent) p = p->next;
    return p;
}

struct part *part_at(const struct range *range, CUdeviceptr address) {
    struct part *part = holding(range, address);
    return part && part->live ? part : NULL;
}

/* What runs may use what is freed later in its stream; that this has become several parts, or one with others, is nothing to it. */
size_t part_reach(const struct range *range, CUdeviceptr at, size_t bytes, unsigned how, CUcontext by) {
    struct part *part = holding(range, at);
    int need = how & WRITES ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_READ;
    if (!part || (by && (range->chunk->pool->access[by->device] & need) != need)) return 0;
    size_t inside = at - range->base - part->at, left = part->extent - inside;
    if (how & RUNNING) return reached(part) ? 0 : bytes < left ? bytes : left;
    return part->live && inside <= part->size && bytes <= part->size - inside ? bytes : 0;
}

void part_free(const struct range *range, struct part *part, CUstream stream, uint64_t number) {
    struct chunk *chunk = range->chunk;
    part->live = 0;
    part->stream = stream;
    part->number = number;
    chunk->pool->used -= part->extent;
    merge_free(chunk);
}

/* As drivers 580 do: the memory is used again, and counts as used for ever. */
void part_free_counted(const struct range *range, struct part *part) {
    size_t extent = part->extent;
    part_free(range, part, NULL, 0);
    range->chunk->pool->used += extent;
}
