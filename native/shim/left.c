#include "left.h"
#include "blocks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 16, LEAST_ROOM = 64 };

/* Threads that allocate at once seldom meet. Open addressing: an address of 0 is free, and what was removed is closed up. */
struct entry { CUdeviceptr address; struct left left; };
static struct shard {
    pthread_mutex_t mutex;
    struct entry *entries;
    size_t room, count;
} shards[SHARDS] = {[0 ... SHARDS - 1] = {.mutex = PTHREAD_MUTEX_INITIALIZER}};
static _Atomic uint64_t sums[MAX_DEVICES];

static _Atomic uint64_t *sum_of(const struct left *left) { return &sums[left->device >= 0 && left->device < MAX_DEVICES ? left->device : 0]; }

static uint64_t mixed(CUdeviceptr address) { return address / 256 * 0x9e3779b97f4a7c15; }
static struct shard *shard_of(CUdeviceptr address) { return &shards[mixed(address) >> 60]; }
static size_t home(const struct shard *s, CUdeviceptr address) { return (mixed(address) >> 20) & (s->room - 1); }

/* Where it is, or would be. */
static size_t place(const struct shard *s, CUdeviceptr address) {
    size_t at = home(s, address);
    while (s->entries[at].address && s->entries[at].address != address) at = (at + 1) & (s->room - 1);
    return at;
}

static int grow(struct shard *s) {
    struct shard larger = {.room = s->room ? s->room * 2 : LEAST_ROOM};
    if (!(larger.entries = calloc(larger.room, sizeof *larger.entries))) return 0;
    for (size_t i = 0; i < s->room; i++)
        if (s->entries[i].address) larger.entries[place(&larger, s->entries[i].address)] = s->entries[i];
    free(s->entries);
    s->entries = larger.entries;
    s->room = larger.room;
    return 1;
}

/* What cannot be recorded for want of memory is not counted. */
void left_add(CUdeviceptr address, struct left left) {
    struct shard *s = shard_of(address);
    if (!address || !left.bytes) return;
    pthread_mutex_lock(&s->mutex);
    if (s->count * 2 < s->room || grow(s)) {
        struct entry *e = &s->entries[place(s, address)];
        if (e->address) atomic_fetch_sub(sum_of(&e->left), e->left.bytes);
        else s->count++;
        *e = (struct entry){address, left};
        atomic_fetch_add(sum_of(&left), left.bytes);
    }
    pthread_mutex_unlock(&s->mutex);
}

/* Those behind it move up, as far as they belong before. */
static void close_up(struct shard *s, size_t hole) {
    for (size_t at = (hole + 1) & (s->room - 1); s->entries[at].address; at = (at + 1) & (s->room - 1)) {
        size_t wanted = home(s, s->entries[at].address);
        if (((at - wanted) & (s->room - 1)) < ((at - hole) & (s->room - 1))) continue;
        s->entries[hole] = s->entries[at];
        hole = at;
    }
    s->entries[hole].address = 0;
}

static struct left remove_at(struct shard *s, size_t at) {
    struct left left = s->entries[at].left;
    atomic_fetch_sub(sum_of(&left), left.bytes);
    s->count--;
    close_up(s, at);
    return left;
}

struct left left_remove(CUdeviceptr address) {
    struct shard *s = shard_of(address);
    struct left left = {0, NULL, 0};
    if (!address) return left;
    pthread_mutex_lock(&s->mutex);
    size_t at = s->room ? place(s, address) : 0;
    if (s->room && s->entries[at].address) left = remove_at(s, at);
    pthread_mutex_unlock(&s->mutex);
    return left;
}

void left_context_gone(CUcontext context) {
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &shards[i];
        pthread_mutex_lock(&s->mutex);
        for (size_t at = 0; at < s->room;)
            if (s->entries[at].address && s->entries[at].left.context == context) remove_at(s, at);
            else at++;
        pthread_mutex_unlock(&s->mutex);
    }
}

uint64_t left_on(CUdevice device) { return atomic_load(&sums[device]); }

uint64_t left_bytes(void) {
    uint64_t bytes = 0;
    for (CUdevice device = 0; device < MAX_DEVICES; device++) bytes += left_on(device);
    return bytes;
}

/* The memory is the parent's. */
void left_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    for (int i = 0; i < SHARDS; i++)
        if (shards[i].room) shards[i] = (struct shard){.mutex = unlocked};
        else shards[i].mutex = unlocked;
    for (CUdevice device = 0; device < MAX_DEVICES; device++) atomic_store(&sums[device], 0);
}
