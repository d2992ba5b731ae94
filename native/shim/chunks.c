#include "chunks.h"

#include <stdlib.h>

static const size_t usual = 64 << 20;

static void link_free(struct part *t, struct frees *f) {
    t->frees = f;
    t->previous_free = NULL;
    t->next_free = f->first;
    *(f->first ? &f->first->previous_free : &f->last) = t;
    f->first = t;
}

static void unlink_free(struct part *t) {
    struct frees *f = t->frees;
    *(t->previous_free ? &t->previous_free->next_free : &f->first) = t->next_free;
    *(t->next_free ? &t->next_free->previous_free : &f->last) = t->previous_free;
    t->frees = NULL;
}

/* In the place of another, which is free no longer. */
static void replace_free(struct part *t, struct part *other) {
    struct frees *f = t->frees = other->frees;
    t->previous_free = other->previous_free;
    t->next_free = other->next_free;
    *(t->previous_free ? &t->previous_free->next_free : &f->first) = t;
    *(t->next_free ? &t->next_free->previous_free : &f->last) = t;
    other->frees = NULL;
}

static struct frees **frees_of(struct pool *p, const struct line *line) {
    struct frees **link = &p->pending;
    while (*link && !lines_equal(&(*link)->line, line)) link = &(*link)->next;
    return link;
}

/* NULL: out of memory. */
static struct frees *frees_for(struct pool *p, const struct line *line) {
    struct frees **link = frees_of(p, line), *f = *link;
    if (f) *link = f->next;
    else if (!(f = calloc(1, sizeof *f))) return NULL;
    f->line = *line;
    f->next = p->pending;
    return p->pending = f;
}

/* Those of streams that were destroyed, and of threads, which do not tell when they end. */
static void forget_empty(struct pool *p) {
    for (struct frees **link = &p->pending, *f; (f = *link);) {
        if (f->first || (f->line.stream && !f->line.thread)) link = &f->next;
        else *link = f->next, free(f);
    }
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
    if (size < usual && !piece_make(piece, p->device, usual, p->readers, p->writers, BY_GPUS)) return 1;
    return !piece_make(piece, p->device, size, p->readers, p->writers, BY_GPUS);
}

struct part *chunk_make(struct pool *p, size_t size) {
    struct piece_of_device piece;
    if (!make_piece(&piece, p, size)) return NULL;
    struct request request = {.bytes = piece.size, .pool = p->handle};
    struct chunk *c = chunk_new(p, piece.base, piece.size);
    if (!c || !piece_register(&piece, &request, c)) {
        if (c) free(c->first);
        free(c);
        piece_drop(&piece);
        return NULL;
    }
    link_free(c->first, &p->ready);
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

static int is_ready(const struct part *t) { return t && t->frees == &t->chunk->pool->ready; }

/* With the blocks' lock, as the next three. The second goes into the first, and both are free by the later of their marks. */
static void join(struct part *t, struct part *next) {
    int later = next->mark && (!t->mark || next->mark->number > t->mark->number);
    if (later) {
        unlink_free(t);
        replace_free(t, next);
        mark_drop(t->mark);
        t->mark = next->mark;
    } else {
        unlink_free(next);
        mark_drop(next->mark);
    }
    t->size += next->size;
    t->next = next->next;
    if (t->next) t->next->previous = t;
    *start_of(t->chunk, next->base) = NULL;
    free(next);
}

/* A line that may use one of them may use the other. */
static int are_alike(const struct part *t, const struct part *next) { return t && next && t->frees && t->frees == next->frees; }

static void join_alike(struct part *t) {
    if (are_alike(t, t->next)) join(t, t->next);
    if (are_alike(t->previous, t)) join(t->previous, t);
}

/* The rest keeps the mark and the place. It stays with the part where there is no memory for another. */
static void split(struct part *t, size_t size) {
    struct part *rest = t->size > size ? part_new(t->chunk, t->base + size, t->size - size) : NULL;
    if (!rest) return unlink_free(t);
    rest->mark = t->mark;
    if (rest->mark) rest->mark->references++;
    rest->previous = t;
    rest->next = t->next;
    if (rest->next) rest->next->previous = rest;
    t->next = *start_of(t->chunk, rest->base) = rest;
    t->size = size;
    replace_free(rest, t);
}

/* With the blocks' lock. */
static void make_ready(struct part *t) {
    unlink_free(t);
    mark_drop(t->mark);
    t->mark = NULL;
    link_free(t, &t->chunk->pool->ready);
    join_alike(t);
}

/* Of one line the oldest is reached first: where it is not, no other is. */
static void settle(struct frees *f, int ask) {
    while (f->last && mark_is_done(f->last->mark, ask)) {
        pthread_rwlock_wrlock(&blocks_lock);
        make_ready(f->last);
        pthread_rwlock_unlock(&blocks_lock);
    }
}

void parts_settle(struct pool *p) {
    for (struct frees *f = p->pending; f; f = f->next) settle(f, !f->leaving);
    forget_empty(p);
}

static struct part *better(struct part *best, const struct frees *f, size_t size) {
    for (struct part *t = f->first; t && (!best || best->size > size); t = t->next_free)
        if (t->size >= size && (!best || t->size < best->size)) best = t;
    return best;
}

struct part *part_find(struct pool *p, size_t size, const struct line *line) {
    struct frees *own = *frees_of(p, line);
    return better(own ? better(NULL, own, size) : NULL, &p->ready, size);
}

static int can_join(const struct part *t, const struct frees *own) { return t && t->frees && (is_ready(t) || t->frees == own); }

void parts_gather(struct pool *p, const struct line *line) {
    struct frees *own = *frees_of(p, line);
    if (!own) return;
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct part *t = own->first, *next; t; t = next) {
        next = t->next_free;
        for (struct part *n; can_join(n = t->next, own); join(t, n))
            if (n == next) next = n->next_free;
        for (struct part *before; can_join(before = t->previous, own); t = before) {
            if (before == next) next = before->next_free;
            join(before, t);
        }
    }
    pthread_rwlock_unlock(&blocks_lock);
}

void part_use(struct part *t, size_t size, const struct request *request) {
    struct chunk *c = t->chunk;
    struct pool *p = c->pool;
    pthread_rwlock_wrlock(&blocks_lock);
    split(t, size);
    t->request = *request;
    if (!c->taken++) p->idle -= c->size;
    pthread_rwlock_unlock(&blocks_lock);
    mark_drop(t->mark);
    t->mark = NULL;
    p->used += t->size;
    if (p->used > p->used_high) p->used_high = p->used;
}

/* Where there is no memory for its line it stays as it is, used by nobody. */
void part_free(struct part *t, struct mark *mark) {
    struct chunk *c = t->chunk;
    struct pool *p = c->pool;
    struct frees *f = mark && !mark->done ? frees_for(p, &mark->line) : &p->ready;
    if (!f) return mark_drop(mark);
    if (p->handle) p->used -= t->size;
    if (f == &p->ready) mark_drop(mark), mark = NULL;
    pthread_rwlock_wrlock(&blocks_lock);
    t->mark = mark;
    link_free(t, f);
    t->request = (struct request){0};
    if (!--c->taken) p->idle += c->size;
    join_alike(t);
    pthread_rwlock_unlock(&blocks_lock);
}

int chunk_is_done(const struct chunk *c) { return !c->taken && is_ready(c->first) && !c->first->next; }

struct mark *frees_latest(const struct pool *p, uint64_t up_to) {
    struct mark *latest = NULL;
    for (struct frees *f = p->pending; f; f = f->next)
        for (struct part *t = f->leaving ? NULL : f->first; t; t = t->next_free)
            if (!t->mark->done && t->mark->number <= up_to && (!latest || t->mark->number > latest->number)) latest = t->mark;
    return latest;
}

void frees_reached(struct pool *p, const struct mark *mark) {
    struct frees *f = *frees_of(p, &mark->line);
    for (struct part *t = f ? f->first : NULL; t; t = t->next_free)
        if (t->mark->number <= mark->number) t->mark->done = 1;
}

/* A new stream may get the handle, whose work does not come after. */
void frees_stream_gone(struct pool *p, CUstream stream) {
    for (struct frees *f = p->pending; f; f = f->next) {
        if (f->line.stream != stream) continue;
        for (struct part *t = f->first; t; t = t->next_free) t->mark->line.stream = NULL;
        f->line.stream = NULL;
    }
}

void frees_context_leaves(struct pool *p, CUcontext context, int leaves) {
    for (struct frees *f = p->pending; f; f = f->next)
        if (f->line.context == context) f->leaving = leaves;
}

/* Its events went with it, and so did its work. */
void frees_context_gone(struct pool *p, CUcontext context) {
    for (struct frees *f = p->pending; f; f = f->next) {
        if (f->line.context != context) continue;
        for (struct part *t = f->first; t; t = t->next_free) t->mark->event = NULL, t->mark->done = 1;
        settle(f, 0);
        f->line.stream = NULL;
    }
    forget_empty(p);
}

static void forget_parts(struct chunk *c) {
    for (struct part *t = c->first, *next; t; t = next) {
        next = t->next;
        if (t->frees) unlink_free(t);
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
