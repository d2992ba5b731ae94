/* Host memory that the device reaches: allocated here, registered, or managed. */
#define _GNU_SOURCE
#include "driver.h"

#include <stdlib.h>
#include <string.h>

enum origin { ALLOCATED, REGISTERED, MANAGED };

static struct pinned {
    struct pinned *next;
    uintptr_t base;
    size_t size;
    enum origin origin;
    CUcontext context;
    uint64_t id; /* apart from those of device memory */
} *pinned;
static uint64_t last_id = 1ULL << 48;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static struct pinned *overlapping(uintptr_t base, size_t size) {
    for (struct pinned *p = pinned; p; p = p->next)
        if (base < p->base + p->size && p->base < base + size) return p;
    return NULL;
}

int host_pinned(const void *address, size_t bytes) {
    uintptr_t base = (uintptr_t)address;
    pthread_mutex_lock(&mutex);
    struct pinned *p = overlapping(base, bytes ? bytes : 1);
    int inside = p && base >= p->base && base + bytes <= p->base + p->size;
    pthread_mutex_unlock(&mutex);
    return inside;
}

static CUresult add(void *address, size_t bytes, enum origin origin) {
    struct pinned *p = malloc(sizeof *p);
    if (!p) return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&mutex);
    int taken = overlapping((uintptr_t)address, bytes) != NULL;
    if (!taken) {
        *p = (struct pinned){pinned, (uintptr_t)address, bytes, origin, context_current(), ++last_id};
        pinned = p;
    }
    pthread_mutex_unlock(&mutex);
    if (taken) free(p);
    return taken ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : CUDA_SUCCESS;
}

static int is(void *address, enum origin origin) {
    pthread_mutex_lock(&mutex);
    struct pinned *p = pinned;
    while (p && (p->base != (uintptr_t)address || p->origin != origin)) p = p->next;
    pthread_mutex_unlock(&mutex);
    return p != NULL;
}

static int drop(void *address) {
    pthread_mutex_lock(&mutex);
    struct pinned **link = &pinned;
    while (*link && (*link)->base != (uintptr_t)address) link = &(*link)->next;
    struct pinned *p = *link;
    if (p) *link = p->next;
    pthread_mutex_unlock(&mutex);
    free(p);
    return p != NULL;
}

static CUresult allocate(void **address, size_t bytes, enum origin origin) {
    CUresult result = capture_forbids();
    if (result) return result;
    void *block = bytes > SIZE_MAX - 4095 ? NULL : aligned_alloc(4096, (bytes + 4095) & ~4095UL);
    if (!block) return CUDA_ERROR_OUT_OF_MEMORY;
    result = add(block, bytes, origin);
    if (result) free(block);
    else *address = block;
    return result;
}

static int release(void *address, enum origin origin) {
    if (!is(address, origin)) return 0;
    streams_wait(NULL);
    if (!drop(address)) return 0;
    if (origin != REGISTERED) free(address);
    return 1;
}

CUresult do_cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    if (!address || !bytes || flags > 7) return CUDA_ERROR_INVALID_VALUE;
    return allocate(address, bytes, ALLOCATED);
}

CUresult do_cuMemAllocHost_v2(void **address, size_t bytes) { return do_cuMemHostAlloc(address, bytes, 0); }

CUresult do_cuMemFreeHost(void *address) {
    return release(address, ALLOCATED) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) {
    if (!address || !bytes || flags > 15) return CUDA_ERROR_INVALID_VALUE;
    return add(address, bytes, REGISTERED);
}

CUresult do_cuMemHostUnregister(void *address) {
    if (!address) return CUDA_ERROR_INVALID_VALUE;
    return release(address, REGISTERED) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

CUresult do_cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned flags) {
    void *block;
    if (!address || !bytes || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = allocate(&block, bytes, MANAGED);
    if (!result) *address = (CUdeviceptr)(uintptr_t)block;
    return result;
}

int host_managed_free(CUdeviceptr address) { return release((void *)(uintptr_t)address, MANAGED); }

CUresult host_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&mutex);
    struct pinned *p = overlapping((uintptr_t)address, 1);
    if (!p) result = CUDA_ERROR_INVALID_VALUE;
    else switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: memcpy(data, &p->context, sizeof p->context); break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: memcpy(data, &(unsigned){p->origin == MANAGED ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: memcpy(data, &(unsigned){p->origin == MANAGED}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: memcpy(data, &address, sizeof address); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: memcpy(data, &p->context->device, sizeof(int)); break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &(CUdeviceptr){p->base}, sizeof(CUdeviceptr)); break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: memcpy(data, &p->size, sizeof p->size); break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID: memcpy(data, &p->id, sizeof p->id); break;
    default: result = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&mutex);
    return result;
}
