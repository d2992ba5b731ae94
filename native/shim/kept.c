#include "order.h"
#include "pool.h"
#include "spares.h"

#include <stdlib.h>

static struct spare *take(struct pool *p, size_t size, uint64_t accessors) {
    for (struct spare **link = &p->spares; *link; link = &(*link)->next) {
        struct piece_of_device *piece = &(*link)->piece;
        if (!(*link)->event && piece->size == size && piece->writers == accessors) return spare_unlink(p, link);
    }
    return NULL;
}

int kept_take(CUdevice device, size_t size, uint64_t accessors, struct piece_of_device *piece) {
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = pool_of_nobody(device);
    struct spare *s = p ? take(p, size, accessors) : NULL;
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    if (s) *piece = s->piece;
    free(s);
    return s != NULL;
}

/* What is large would push everything else out, and is slow to make in any case. */
void kept_put(const struct piece_of_device *piece) {
    struct spare *s = calloc(1, sizeof *s);
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = s ? pool_of_nobody(piece->prop.location.id) : NULL;
    int keeps = p && piece->size <= p->threshold / 2;
    if (keeps) {
        s->piece = *piece;
        spare_put(p, s);
        spares_trim(p, p->threshold);
    }
    spares_look_for_excess();
    pthread_mutex_unlock(&pools_mutex);
    if (keeps) return;
    free(s);
    piece_drop(piece);
}

/* To the program it is free. */
EXPORT CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    const struct driver *d = driver();
    CUdevice device;
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemGetInfo_v2(free_bytes, total);
    if (result || !d->can_park || d->cuCtxGetDevice(&device)) return result;
    pthread_mutex_lock(&pools_mutex);
    struct pool *p = pool_of_nobody(device);
    if (p) *free_bytes += p->spare_bytes;
    pthread_mutex_unlock(&pools_mutex);
    return CUDA_SUCCESS;
}
