#include "parcel.h"
#include "attributes.h"
#include "chunks.h"
#include "contexts.h"
#include "engine.h"
#include "left.h"
#include "threads.h"
#include "virtual_memory.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

static CUdevice device_of(const struct block *block) { return block->prop.location.id; }
static int can_go(const struct block *block) { return block->stays == STAYS_NOWHERE && !block->parked && context_on(device_of(block)); }
static int is_idle(const struct block *block) { return block->chunk && !block->chunk->taken; } /* it goes when the others are parked */
static int is_parked(const struct block *block) { return block->parked && !block->lost; }

/* With the lock. */
static struct extent add_up(void) {
    struct extent sum = {.left = left_bytes()};
    for (CUdevice device = 0; device < MAX_DEVICES; device++) sum.device[device].used = context_on(device) != NULL, sum.device[device].left = left_on(device);
    for (struct block *b = block_first(); b; b = b->next) {
        CUdevice device = device_of(b);
        int parked = is_parked(b), left = !parked && !can_go(b);
        if (is_idle(b) || b->lost) continue;
        *(parked ? &sum.parked : left ? &sum.left : &sum.parkable) += b->size;
        sum.device[device].used = 1;
        if (parked) sum.device[device].parked += b->size;
        if (left) sum.device[device].left += b->size;
    }
    return sum;
}

struct extent blocks_extent(void) {
    pthread_rwlock_rdlock(&blocks_lock);
    struct extent sum = add_up();
    pthread_rwlock_unlock(&blocks_lock);
    return sum;
}

void blocks_try_extent(struct extent *sum) {
    enum { TRIES = 20 };
    for (int i = 0; i < TRIES; i++, poll(NULL, 0, 1)) {
        if (pthread_rwlock_tryrdlock(&blocks_lock)) continue;
        *sum = add_up();
        pthread_rwlock_unlock(&blocks_lock);
        return;
    }
}

static struct mapping *next_of(struct mapping *m) { return m ? mapping_next(m->base + m->size) : mapping_next(0); }

static int collect(struct parcel *parcel, int (*belongs)(const struct block *), uint64_t without) {
    size_t count = 0;
    pthread_rwlock_rdlock(&blocks_lock);
    for (struct block *b = block_first(); b; b = b->next) count++;
    struct block **list = malloc((count + 1) * sizeof *list);
    free(parcel->blocks);
    *parcel = (struct parcel){.blocks = list};
    for (struct block *b = block_first(); b && list; b = b->next) {
        b->moving = belongs(b) && !(without >> device_of(b) & 1);
        if (!b->moving) continue;
        if (!b->parked) b->place = parcel->bytes;
        list[parcel->count++] = b;
        parcel->bytes += b->size;
    }
    pthread_rwlock_unlock(&blocks_lock);
    return list != NULL;
}

int parcel_pack(struct parcel *parcel) {
    if (!collect(parcel, can_go, 0)) return 0;
    attributes_learn();
    return 1;
}

int parcel_repack(struct parcel *parcel, uint64_t without) { return collect(parcel, is_parked, without); }

uint64_t parcel_give_up(void) {
    uint64_t bytes = 0;
    pthread_rwlock_wrlock(&blocks_lock);
    for (struct block *b = block_first(); b; b = b->next)
        if (is_parked(b)) b->lost = 1, bytes += b->size;
    pthread_rwlock_unlock(&blocks_lock);
    return bytes;
}

void parcel_forget(struct parcel *parcel) {
    free(parcel->blocks);
    *parcel = (struct parcel){0};
}

static int failed(struct failure *failure, const char *call, CUresult result) {
    *failure = (struct failure){.call = call, .result = result};
    return 0;
}

static int failed_on(struct failure *failure, const char *call, CUresult result, CUdevice device) {
    *failure = (struct failure){.call = call, .result = result, .device = device, .lost = context_has_failed(result)};
    return 0;
}

/* A block that is mapped nowhere, or only for other devices, is copied through a mapping of its own. */
static CUresult open_window(struct block *b) {
    const struct driver *d = driver();
    uint64_t own = 1ULL << device_of(b);
    CUresult result = d->cuMemAddressReserve(&b->at, b->size, 0, 0, 0);
    if (result) return result;
    if (!(result = d->cuMemMap(b->at, b->size, 0, b->handle, 0))) {
        if (!(result = map_allow(b->at, b->size, own, own))) return b->windowed = 1, CUDA_SUCCESS;
        d->cuMemUnmap(b->at, b->size);
    }
    d->cuMemAddressFree(b->at, b->size);
    return result;
}

static void close_windows(struct parcel *parcel) {
    const struct driver *d = driver();
    for (size_t i = 0; i < parcel->count; i++) {
        struct block *b = parcel->blocks[i];
        if (b->windowed) d->cuMemUnmap(b->at, b->size), d->cuMemAddressFree(b->at, b->size);
        b->windowed = 0;
    }
}

/* Where each block can be written by its own device. */
static int open_windows(struct parcel *parcel, struct failure *failure) {
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < parcel->count; i++) parcel->blocks[i]->at = 0;
    pthread_rwlock_rdlock(&blocks_lock);
    for (struct mapping *m = next_of(NULL); m; m = next_of(m))
        if (m->writers >> device_of(m->block) & 1) m->block->at = m->base;
    pthread_rwlock_unlock(&blocks_lock);
    for (size_t i = 0; i < parcel->count && !result; i++)
        if (!parcel->blocks[i]->at) result = open_window(parcel->blocks[i]);
    if (!result) return 1;
    close_windows(parcel);
    return failed(failure, "the mapping of a block for its copy", result);
}

/* What goes to or from one device. */
struct load {
    CUdevice device;
    enum direction direction;
    struct piece *pieces;
    size_t count;
    CUresult result;
    pthread_t thread;
    int threaded;
};

static CUresult carry_in(struct load *load, CUcontext context) {
    CUcontext popped;
    CUresult result = driver()->cuCtxPushCurrent_v2(context);
    if (result) return result;
    result = engine_move(context, load->direction, load->pieces, load->count);
    driver()->cuCtxPopCurrent_v2(&popped);
    return result;
}

/* In a context that is made for it. */
static CUresult carry_alone(struct load *load) {
    CUcontext made = NULL, popped;
    CUresult result = driver()->cuCtxCreate_v2(&made, 0, load->device);
    if (result) return result;
    driver()->cuCtxPopCurrent_v2(&popped);
    result = carry_in(load, made);
    engine_close(made);
    driver()->cuCtxDestroy_v2(made);
    return result;
}

/* Memory is a device's, and outlives the program's contexts: one that has failed, or has ended meanwhile, takes none of it along. */
static void *carry(void *argument) {
    struct load *load = argument;
    CUcontext list[MAX_CONTEXTS];
    int count = contexts_on(load->device, list);
    load->result = CUDA_ERROR_INVALID_CONTEXT;
    for (int i = 0; i < count && context_has_failed(load->result); i++) load->result = carry_in(load, list[i]);
    if (context_has_failed(load->result)) {
        CUresult alone = carry_alone(load);
        if (!alone || !count) load->result = alone;
    }
    return NULL;
}

static struct load *load_for(struct load *loads, int *count, CUdevice device) {
    for (int i = 0; i < *count; i++)
        if (loads[i].device == device) return &loads[i];
    loads[*count] = (struct load){.device = device};
    return &loads[(*count)++];
}

static struct piece piece_at(const struct block *b, const struct shelf *shelf, size_t offset, size_t bytes) {
    struct piece piece = {.device = b->at + offset, .bytes = bytes, .file = shelf->file};
    if (shelf->file) piece.offset = b->place + offset;
    else piece.host = shelf->base + b->place + offset;
    return piece;
}

/* What of it there is to copy: all of it, or the parts of a pool's chunk that are used, in runs. pieces: NULL to count them. */
static size_t pieces_of(const struct block *b, const struct shelf *shelf, struct piece *pieces) {
    size_t count = 0;
    if (!b->chunk) {
        if (pieces) *pieces = piece_at(b, shelf, 0, b->size);
        return 1;
    }
    for (const struct part *t = b->chunk->first; t; t = t->next) {
        if (t->frees) continue;
        size_t offset = t->base - b->chunk->base;
        while (t->next && !t->next->frees) t = t->next;
        if (pieces) pieces[count] = piece_at(b, shelf, offset, t->base + t->size - b->chunk->base - offset);
        count++;
    }
    return count;
}

/* One list for each device, in one array. */
static int sort(struct parcel *parcel, enum direction direction, struct piece *pieces, const struct shelf *shelf, struct load *loads) {
    int count = 0;
    size_t at = 0;
    for (size_t i = 0; i < parcel->count; i++) load_for(loads, &count, device_of(parcel->blocks[i]))->count += pieces_of(parcel->blocks[i], shelf, NULL);
    for (int l = 0; l < count; at += loads[l++].count) loads[l].pieces = pieces + at, loads[l].direction = direction;
    for (int l = 0; l < count; l++) {
        size_t n = 0;
        for (size_t i = 0; i < parcel->count; i++) {
            struct block *b = parcel->blocks[i];
            if (device_of(b) == loads[l].device) n += pieces_of(b, shelf, loads[l].pieces + n);
        }
    }
    return count;
}

static uint64_t sum(const struct load *loads, int count) {
    uint64_t bytes = 0;
    for (int l = 0; l < count; l++)
        for (size_t i = 0; i < loads[l].count; i++) bytes += loads[l].pieces[i].bytes;
    return bytes;
}

/* NULL: all was carried. */
static const struct load *carry_all(struct load *loads, int count) {
    const struct load *failing = NULL;
    for (int l = 1; l < count; l++) loads[l].threaded = thread_start_joinable(&loads[l].thread, carry, &loads[l]);
    for (int l = 0; l < count; l++)
        if (!loads[l].threaded) carry(&loads[l]);
    for (int l = 0; l < count; l++) {
        if (loads[l].threaded) pthread_join(loads[l].thread, NULL);
        if (loads[l].result) failing = &loads[l];
    }
    return failing;
}

static int copy(struct parcel *parcel, enum direction direction, const struct shelf *shelf, struct failure *failure) {
    struct load loads[MAX_DEVICES];
    size_t count = 1;
    for (size_t i = 0; i < parcel->count; i++) count += pieces_of(parcel->blocks[i], shelf, NULL);
    struct piece *pieces = malloc(count * sizeof *pieces);
    if (!pieces) return failed(failure, "the list of copies", CUDA_ERROR_OUT_OF_MEMORY);
    int opened = open_windows(parcel, failure);
    int devices = opened ? sort(parcel, direction, pieces, shelf, loads) : 0;
    const struct load *failing = carry_all(loads, devices);
    parcel->copied = sum(loads, devices);
    if (opened) close_windows(parcel);
    free(pieces);
    return failing ? failed_on(failure, "a copy", failing->result, failing->device) : opened;
}

int parcel_copy_out(struct parcel *parcel, const struct shelf *shelf, struct failure *failure) { return copy(parcel, TO_HOST, shelf, failure); }

int parcel_seal(struct parcel *parcel, struct stored *file, int synced) {
    struct stored_block *table = malloc((parcel->count + 1) * sizeof *table);
    if (!table) return atomic_store(&file->error, ENOMEM), 0;
    for (size_t i = 0; i < parcel->count; i++) {
        const struct block *b = parcel->blocks[i];
        table[i] = (struct stored_block){b->place, b->size, b->at, (uint64_t)device_of(b)};
    }
    int sealed = stored_seal(file, table, parcel->count, synced);
    free(table);
    return sealed;
}

static struct mapping *next_moving(struct mapping *m) {
    do m = next_of(m);
    while (m && !m->block->moving);
    return m;
}

static CUresult map_again(const struct mapping *m) {
    CUresult result = driver()->cuMemMap(m->base, m->size, 0, m->block->handle, 0);
    if (result) return result;
    result = map_allow(m->base, m->size, m->readers, m->writers);
    if (result) driver()->cuMemUnmap(m->base, m->size);
    return result;
}

/* It stays, mapped again where it was unmapped already: up to `end`; NULL: everywhere. */
static void keep(struct block *block, const struct mapping *end) {
    block->moving = 0;
    for (struct mapping *m = next_of(NULL); m != end; m = next_of(m))
        if (m->block == block) map_again(m);
}

void parcel_release(struct parcel *parcel) {
    size_t left = 0;
    pthread_rwlock_rdlock(&blocks_lock);
    for (struct mapping *m = next_moving(NULL); m; m = next_moving(m))
        if (driver()->cuMemUnmap(m->base, m->size)) keep(m->block, m);
    for (size_t i = 0; i < parcel->count; i++) {
        struct block *b = parcel->blocks[i];
        if (b->moving && driver()->cuMemRelease(b->handle)) keep(b, NULL);
        b->parked = b->moving;
        if (b->moving) parcel->blocks[left++] = b;
        else parcel->bytes -= b->size;
    }
    pthread_rwlock_unlock(&blocks_lock);
    parcel->count = left;
}

int parcel_has_room(struct parcel *parcel, struct failure *failure) {
    uint64_t need[MAX_DEVICES] = {0};
    for (size_t i = 0; i < parcel->count; i++) need[device_of(parcel->blocks[i])] += parcel->blocks[i]->size;
    for (CUdevice device = 0; device < MAX_DEVICES; device++) {
        CUcontext context = need[device] ? context_on(device) : NULL, popped;
        size_t free = 0, total;
        if (!context || driver()->cuCtxPushCurrent_v2(context)) continue;
        CUresult result = driver()->cuMemGetInfo_v2(&free, &total);
        driver()->cuCtxPopCurrent_v2(&popped);
        if (result || free >= need[device]) continue;
        *failure = (struct failure){"the check of free memory", CUDA_ERROR_OUT_OF_MEMORY, need[device] - free, device, 0};
        return 0;
    }
    return 1;
}

/* The first so many. */
static void release_handles(struct parcel *parcel, size_t count) {
    for (size_t i = 0; i < count; i++) driver()->cuMemRelease(parcel->blocks[i]->handle);
}

static int create_all(struct parcel *parcel, struct failure *failure) {
    for (size_t i = 0; i < parcel->count; i++) {
        struct block *b = parcel->blocks[i];
        CUresult result = driver()->cuMemCreate(&b->handle, b->size, &b->prop, 0);
        if (result) return release_handles(parcel, i), failed_on(failure, "cuMemCreate", result, device_of(b));
    }
    return 1;
}

/* Those before `end`; NULL: all. */
static void unmap_all(const struct mapping *end) {
    for (struct mapping *m = next_moving(NULL); m && m != end; m = next_moving(m)) driver()->cuMemUnmap(m->base, m->size);
}

static int map_all(struct failure *failure) {
    for (struct mapping *m = next_moving(NULL); m; m = next_moving(m)) {
        CUresult result = map_again(m);
        if (result) return unmap_all(m), failed_on(failure, "cuMemMap", result, device_of(m->block));
    }
    return 1;
}

int parcel_map(struct parcel *parcel, struct failure *failure) {
    if (!create_all(parcel, failure)) return 0;
    pthread_rwlock_rdlock(&blocks_lock);
    int mapped = map_all(failure);
    pthread_rwlock_unlock(&blocks_lock);
    if (!mapped) release_handles(parcel, parcel->count);
    return mapped;
}

int parcel_fill(struct parcel *parcel, const struct shelf *shelf, struct failure *failure) {
    int filled = copy(parcel, TO_DEVICE, shelf, failure);
    if (!filled) {
        pthread_rwlock_rdlock(&blocks_lock);
        unmap_all(NULL);
        pthread_rwlock_unlock(&blocks_lock);
        release_handles(parcel, parcel->count);
    }
    pthread_rwlock_wrlock(&blocks_lock);
    for (size_t i = 0; i < parcel->count && filled; i++) parcel->blocks[i]->parked = 0;
    pthread_rwlock_unlock(&blocks_lock);
    if (filled) atomic_fetch_add(&blocks_returned, 1);
    return filled;
}
