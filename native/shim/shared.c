#include "shared.h"

#include <pthread.h>
#include <stdlib.h>

enum kind { UNUSED, OPENED, HANDLE, POOL, MULTICAST };

/* An address that was opened, a handle, or a pool: by its value, which is the driver's. */
struct shared {
    enum kind kind;
    uint64_t value;
    CUcontext context; /* with which it goes; NULL: with none */
    unsigned references, mappings;
};

/* Where a handle is mapped; the handle may be released meanwhile. */
struct place { CUdeviceptr base; size_t size; size_t of; };

/* Held for nothing but the tables: never while the driver is called. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct shared *list;
static struct place *places;
static size_t list_room, place_count, place_room;
static unsigned unlisted; /* for want of host memory; for good */

static int grow(void **table, size_t *room, size_t size) {
    size_t more = *room ? *room * 2 : 16;
    char *larger = realloc(*table, more * size);
    if (!larger) return 0;
    for (char *at = larger + *room * size; at < larger + more * size; at++) *at = 0;
    *table = larger;
    *room = more;
    return 1;
}

static struct shared *find(enum kind kind, uint64_t value) {
    for (size_t i = 0; i < list_room; i++)
        if (list[i].kind == kind && list[i].value == value) return &list[i];
    return NULL;
}

static struct shared *find_handle(CUmemGenericAllocationHandle handle) {
    struct shared *found = find(HANDLE, handle);
    return found ? found : find(MULTICAST, handle);
}

static void add(enum kind kind, uint64_t value, CUcontext context) {
    pthread_mutex_lock(&mutex);
    struct shared *one = find(kind, value);
    if (!one && (one = find(UNUSED, 0))) *one = (struct shared){.kind = kind, .value = value, .context = context};
    if (!one && grow((void **)&list, &list_room, sizeof *list) && (one = find(UNUSED, 0))) *one = (struct shared){.kind = kind, .value = value, .context = context};
    if (one) one->references++;
    else unlisted++;
    pthread_mutex_unlock(&mutex);
}

static void drop_if_unused(struct shared *one) {
    if (!one->references && !one->mappings) *one = (struct shared){0};
}

static void let_go(struct shared *one) {
    if (!one) return;
    if (one->references) one->references--;
    drop_if_unused(one);
}

struct shared_counts shared_count(void) {
    pthread_mutex_lock(&mutex);
    struct shared_counts counts = {.imports = unlisted};
    for (size_t i = 0; i < list_room; i++) {
        if (list[i].kind == MULTICAST) counts.multicasts++;
        else if (list[i].kind) counts.imports++;
    }
    pthread_mutex_unlock(&mutex);
    return counts;
}

void shared_mapped(CUmemGenericAllocationHandle handle, CUdeviceptr address, size_t size) {
    pthread_mutex_lock(&mutex);
    struct shared *one = find_handle(handle);
    if (one && (place_count < place_room || grow((void **)&places, &place_room, sizeof *places))) {
        places[place_count++] = (struct place){address, size, (size_t)(one - list)};
        one->mappings++;
    } else if (one) unlisted++;
    pthread_mutex_unlock(&mutex);
}

void shared_unmapped(CUdeviceptr from, CUdeviceptr to) {
    pthread_mutex_lock(&mutex);
    for (size_t i = place_count; i-- > 0;) {
        if (places[i].base < from || places[i].base >= to) continue;
        struct shared *one = &list[places[i].of];
        places[i] = places[--place_count];
        one->mappings--;
        drop_if_unused(one);
    }
    pthread_mutex_unlock(&mutex);
}

void shared_retained(CUmemGenericAllocationHandle handle, CUdeviceptr address) {
    enum kind kind = UNUSED;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < place_count && !kind; i++)
        if (address - places[i].base < places[i].size) kind = list[places[i].of].kind;
    pthread_mutex_unlock(&mutex);
    if (kind) add(kind, handle, NULL);
}

void shared_released(CUmemGenericAllocationHandle handle) {
    pthread_mutex_lock(&mutex);
    let_go(find_handle(handle));
    pthread_mutex_unlock(&mutex);
}

void shared_pool_gone(CUmemoryPool pool) {
    pthread_mutex_lock(&mutex);
    let_go(find(POOL, (uintptr_t)pool));
    pthread_mutex_unlock(&mutex);
}

void shared_context_gone(CUcontext context) {
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < list_room; i++)
        if (list[i].kind && list[i].context && list[i].context == context) list[i] = (struct shared){0};
    pthread_mutex_unlock(&mutex);
}

/* A child of fork has no driver, and so none of it. */
void shared_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    list = NULL;
    places = NULL;
    list_room = place_count = place_room = 0;
    unlisted = 0;
}

static void opened(CUdeviceptr address) {
    CUcontext context = NULL;
    driver()->cuCtxGetCurrent(&context);
    add(OPENED, address, context);
}

#define OPEN(name) \
    EXPORT CUresult name(CUdeviceptr *address, CUipcMemHandle handle, unsigned flags) { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        CUresult result = d->name(address, handle, flags); \
        if (!result) opened(*address); \
        return result; \
    }
OPEN(cuIpcOpenMemHandle)
OPEN(cuIpcOpenMemHandle_v2)

EXPORT CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuIpcCloseMemHandle(address);
    if (result) return result;
    pthread_mutex_lock(&mutex);
    let_go(find(OPENED, address));
    pthread_mutex_unlock(&mutex);
    return CUDA_SUCCESS;
}

EXPORT CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *handle, void *shareable, CUmemAllocationHandleType type) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemImportFromShareableHandle(handle, shareable, type);
    if (!result) add(HANDLE, *handle, NULL);
    return result;
}

EXPORT CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *pool, void *shareable, CUmemAllocationHandleType type, unsigned long long flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMemPoolImportFromShareableHandle(pool, shareable, type, flags);
    if (!result) add(POOL, (uintptr_t)*pool, NULL);
    return result;
}

EXPORT CUresult cuMulticastCreate(CUmemGenericAllocationHandle *handle, const void *prop) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuMulticastCreate(handle, prop);
    if (!result) add(MULTICAST, *handle, NULL);
    return result;
}
