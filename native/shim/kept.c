#include "kept.h"
#include "settings.h"

#include <stdlib.h>

static const uint64_t old = 64; /* so many frees ago */

struct kept { struct kept *next; uint64_t put; struct piece_of_device piece; };
static struct { struct kept *first; size_t bytes; uint64_t puts; } devices[MAX_DEVICES];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of them; before nothing */

/* With the mutex. */
static struct kept *unlink_at(CUdevice device, struct kept **link) {
    struct kept *k = *link;
    *link = k->next;
    devices[device].bytes -= k->piece.size;
    return k;
}

static struct kept *find(CUdevice device, size_t size) {
    pthread_mutex_lock(&mutex);
    struct kept **link = &devices[device].first;
    while (*link && (*link)->piece.size != size) link = &(*link)->next;
    struct kept *found = *link ? unlink_at(device, link) : NULL;
    pthread_mutex_unlock(&mutex);
    return found;
}

static void give_up(struct kept *k) {
    driver()->cuMemRelease(k->piece.handle);
    piece_free_address(&k->piece);
    free(k);
}

int kept_take(CUdevice device, size_t size, uint64_t accessors, struct piece_of_device *piece) {
    struct kept *k = find(device, size);
    if (!k) return 0;
    if (piece_map(&k->piece, accessors, accessors)) return give_up(k), 0;
    *piece = k->piece;
    free(k);
    return 1;
}

/* What nobody wanted for long, or else the largest: many small ones do more good than a large one. With the mutex. */
static struct kept **worst(CUdevice device) {
    struct kept **largest = &devices[device].first, **link = largest;
    for (; (*link)->next; link = &(*link)->next)
        if ((*link)->next->piece.size >= (*largest)->piece.size) largest = &(*link)->next;
    return devices[device].puts - (*link)->put > old ? link : largest; /* the last is the oldest */
}

/* NULL: there is no more than may be. */
static struct kept *excess(CUdevice device, size_t may_be) {
    pthread_mutex_lock(&mutex);
    struct kept *k = devices[device].bytes > may_be ? unlink_at(device, worst(device)) : NULL;
    pthread_mutex_unlock(&mutex);
    return k;
}

static int shrink(CUdevice device, size_t may_be) {
    int count = 0;
    for (struct kept *k; (k = excess(device, may_be)); count++) give_up(k);
    return count;
}

static void put(CUdevice device, struct kept *k) {
    pthread_mutex_lock(&mutex);
    k->next = devices[device].first;
    k->put = ++devices[device].puts;
    devices[device].first = k;
    devices[device].bytes += k->piece.size;
    pthread_mutex_unlock(&mutex);
}

/* What is larger than half of all would push everything else out. */
void kept_put(const struct piece_of_device *piece) {
    size_t most = settings()->freed_keep;
    struct kept *k = piece->size <= most / 2 ? malloc(sizeof *k) : NULL;
    if (!k) return piece_drop(piece);
    k->piece = *piece;
    driver()->cuMemUnmap(piece->base, piece->size);
    put(piece->prop.location.id, k);
    shrink(piece->prop.location.id, most);
}

int kept_give_up(CUdevice device) { return shrink(device, 0); }

size_t kept_bytes(CUdevice device) {
    pthread_mutex_lock(&mutex);
    size_t bytes = devices[device].bytes;
    pthread_mutex_unlock(&mutex);
    return bytes;
}

/* The memory is the parent's. */
void kept_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    for (int device = 0; device < MAX_DEVICES; device++) devices[device].first = NULL, devices[device].bytes = 0;
}
