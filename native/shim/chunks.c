#include "chunks.h"

#include <stdlib.h>

static const size_t usual = 64 << 20;

static void link_free(struct part *t) {
    struct pool *p = t->chunk->pool;
    t->previous_free = NULL;
    t->next_free = p->frees;
    if (p->frees) p->frees->previous_free = t;
    p->frees = t;
}

static void unlink_free(struct part *t) {
    if (t->previous_free) t->previous_free->next_free = t->next_free;
    else t->chunk->pool->frees = t->next_free;
    if (t->next_free) t->next_free->previous_free = t->previous_free;
}

static struct part **start_of(struct chunk *c, CUdeviceptr address) { return &c->starts[(address - c->base) / GRANULE]; }

static struct part *part_new(struct chunk *c, CUdeviceptr base, size_t size) {
    struct part *t = malloc(sizeof *t);
    if (!t) return NULL;
    *t = (struct part){.chunk = c, .base = base, .size = size};
    return t;
}

static struct chunk *chunk_new(struct pool *p, CUdeviceptr base, size_t size) {
    struct chunk *c = calloc(1, sizeof *c + size / GRANULE * sizeof *c->starts);
    if (c) c->pool = p, c->base = base, c->size = size, c->first = c->starts[0] = part_new(c, base, size);
    if (c && c->first) return c;
    free(c);
    return NULL;
}

static void link_chunk(struct chunk *c) {
    struct pool *p = c->pool;
    c->next = p->chunks;
    if (c->next) c->next->previous = c;
    p->chunks = c;
    p->reserved += c->size;
    if (p->reserved > p->reserved_high) p->reserved_high = p->reserved;
}

static void unlink_chunk(struct chunk *c) {
    struct pool *p = c->pool;
    if (c->previous) c->previous->next = c->next;
    else p->chunks = c->next;
    if (c->next) c->next->previous = c->previous;
    p->reserved -= c->size;
    p->idle -= c->size;
}

static int make_piece(struct piece_of_device *piece, const struct pool *p, size_t size) {
    if (size < usual && !piece_make(piece, p->device, usual, p->accessors, BY_GPUS)) return 1;
    return !piece_make(piece, p->device, size, p->accessors, BY_GPUS);
}

struct part *chunk_make(struct pool *p, size_t size) {
    struct piece_of_device piece;
    if (!make_piece(&piece, p, size)) return NULL;
    struct request request = {.bytes = piece.size, .pool = p->handle};
    struct chunk *c = chunk_new(p, piece.base, piece.size);
    if (c) c->first->is_free = 1;
    if (!c || !piece_register(&piece, &request, c)) {
        if (c) free(c->first);
        free(c);
        piece_drop(&piece);
        return NULL;
    }
    link_free(c->first);
    link_chunk(c);
    p->idle += c->size;
    return c->first;
}

struct part *chunk_adopt(struct pool *p, struct mapping *allocation) {
    struct chunk *c = chunk_new(p, allocation->base, allocation->size);
    if (!c) return NULL;
    c->taken = 1;
    link_chunk(c);
    allocation->request = (struct request){.bytes = c->size};
    allocation->block->chunk = c;
    return c->first;
}

/* With the blocks' lock, as the next two. The second goes into the first. */
static void join(struct part *t, struct part *next) {
    int later = next->mark && (!t->mark || next->mark->number > t->mark->number);
    struct mark *mark = later ? next->mark : t->mark;
    mark_drop(later ? t->mark : next->mark);
    t->mark = mark;
    t->size += next->size;
    t->next = next->next;
    if (t->next) t->next->previous = t;
    *start_of(t->chunk, next->base) = NULL;
    unlink_free(next);
    free(next);
}

/* Whoever may use one of them may use the other. */
static int are_alike(const struct part *t, const struct part *next) {
    if (!t || !next || !t->is_free || !next->is_free) return 0;
    return t->mark == next->mark || (t->mark && next->mark && marks_are_of_one_stream(t->mark, next->mark));
}

/* The rest keeps the mark. It stays with the part where there is no memory for another. */
static void split(struct part *t, size_t size) {
    struct part *rest = t->size > size ? part_new(t->chunk, t->base + size, t->size - size) : NULL;
    if (!rest) return;
    rest->is_free = 1;
    rest->mark = t->mark;
    if (rest->mark) rest->mark->references++;
    rest->previous = t;
    rest->next = t->next;
    if (rest->next) rest->next->previous = rest;
    t->next = *start_of(t->chunk, rest->base) = rest;
    t->size = size;
    link_free(rest);
}

static void settle(struct part *t, int ask) {
    if (!t->mark || !mark_is_done(t->mark, ask)) return;
    mark_drop(t->mark);
    t->mark = NULL;
}

static int may_use(struct part *t, CUcontext context, CUstream stream, int ask) {
    if (mark_is_before(t->mark, context, stream)) return 1;
    settle(t, ask);
    return !t->mark;
}

struct part *part_find(struct pool *p, size_t size, CUcontext context, CUstream stream, int ask) {
    struct part *best = NULL;
    for (struct part *t = p->frees; t && (!best || best->size > size); t = t->next_free)
        if (t->size >= size && (!best || t->size < best->size) && may_use(t, context, stream, ask)) best = t;
    return best;
}

void parts_gather(struct pool *p, CUcontext context, CUstream stream) {
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct chunk *c = p->chunks; c; c = c->next)
        for (struct part *t = c->first; t; t = t->next)
            while (t->is_free && t->next && t->next->is_free && may_use(t, context, stream, 1) && may_use(t->next, context, stream, 1)) join(t, t->next);
    pthread_rwlock_unlock(&blocks_lock);
}

void part_use(struct part *t, size_t size, const struct request *request) {
    struct chunk *c = t->chunk;
    struct pool *p = c->pool;
    pthread_rwlock_wrlock(&blocks_lock);
    split(t, size);
    t->is_free = 0;
    t->request = *request;
    if (!c->taken++) p->idle -= c->size;
    pthread_rwlock_unlock(&blocks_lock);
    unlink_free(t);
    mark_drop(t->mark);
    t->mark = NULL;
    p->used += t->size;
    if (p->used > p->used_high) p->used_high = p->used;
}

void part_free(struct part *t, struct mark *mark) {
    struct chunk *c = t->chunk;
    struct pool *p = c->pool;
    if (p->handle) p->used -= t->size;
    t->mark = mark;
    link_free(t);
    pthread_rwlock_wrlock(&blocks_lock);
    t->is_free = 1;
    t->request = (struct request){0};
    if (!--c->taken) p->idle += c->size;
    settle(t, 0);
    if (are_alike(t, t->next)) join(t, t->next);
    if (are_alike(t->previous, t)) join(t->previous, t);
    pthread_rwlock_unlock(&blocks_lock);
}

int chunk_is_done(struct chunk *c) {
    if (c->taken) return 0;
    for (struct part *t = c->first; t; t = t->next) {
        settle(t, 1);
        if (t->mark) return 0;
    }
    return 1;
}

void chunk_await(struct chunk *c) {
    for (struct part *t = c->first; t; t = t->next) mark_await(t->mark);
}

static void forget_parts(struct chunk *c) {
    for (struct part *t = c->first, *next; t; t = next) {
        next = t->next;
        unlink_free(t);
        mark_drop(t->mark);
        free(t);
    }
}

/* What is parked has nothing left but its addresses. */
void chunk_drop(struct chunk *c) {
    struct piece_of_device piece;
    pthread_rwlock_wrlock(&blocks_lock);
    struct mapping *m = mapping_at(c->base);
    int parked = m->block->parked;
    piece_unregister(m, &piece);
    pthread_rwlock_unlock(&blocks_lock);
    if (parked) piece_free_address(&piece);
    else piece_drop(&piece);
    unlink_chunk(c);
    forget_parts(c);
    free(c);
}

struct part *part_holding(const struct chunk *c, CUdeviceptr address) {
    size_t at = (address - c->base) / GRANULE;
    while (!c->starts[at]) at--;
    return c->starts[at];
}

struct request *request_at(CUdeviceptr base, struct mapping **mapping, struct part **part) {
    struct mapping *m = mapping_at(base);
    struct part *t = m && m->block->chunk ? part_holding(m->block->chunk, base) : NULL;
    struct request *request = !m ? NULL : t ? &t->request : &m->request;
    if (mapping) *mapping = m;
    if (part) *part = t;
    return request && (t ? t->base : m->base) == base && request->bytes && !request->freed ? request : NULL;
}
