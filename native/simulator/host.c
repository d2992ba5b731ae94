/* Pinned host memory: allocated here, or registered. */
#define _GNU_SOURCE
#include "driver.h"

#include <stdlib.h>
#include <string.h>

static struct pinned {
    struct pinned *next;
    uintptr_t base;
    size_t size;
    int registered;
    CUcontext context;
} *pinned;
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

static CUresult add(void *address, size_t bytes, int registered) {
    struct pinned *p = malloc(sizeof *p);
    if (!p) return CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&mutex);
    int taken = overlapping((uintptr_t)address, bytes) != NULL;
    if (!taken) {
        *p = (struct pinned){pinned, (uintptr_t)address, bytes, registered, context_current()};
        pinned = p;
    }
    pthread_mutex_unlock(&mutex);
    if (taken) free(p);
    return taken ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED : CUDA_SUCCESS;
}

static int is(void *address, int registered) {
    pthread_mutex_lock(&mutex);
    struct pinned *p = pinned;
    while (p && (p->base != (uintptr_t)address || p->registered != registered)) p = p->next;
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

CUresult do_cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    if (!address || !bytes || flags > 7) return CUDA_ERROR_INVALID_VALUE;
    void *block = aligned_alloc(4096, (bytes + 4095) & ~4095UL);
    if (!block) return CUDA_ERROR_OUT_OF_MEMORY;
    CUresult result = add(block, bytes, 0);
    if (result) free(block);
    else *address = block;
    return result;
}

CUresult do_cuMemAllocHost_v2(void **address, size_t bytes) { return do_cuMemHostAlloc(address, bytes, 0); }

CUresult do_cuMemFreeHost(void *address) {
    if (!is(address, 0)) return CUDA_ERROR_INVALID_VALUE;
    streams_wait(NULL);
    if (!drop(address)) return CUDA_ERROR_INVALID_VALUE;
    free(address);
    return CUDA_SUCCESS;
}

CUresult do_cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) {
    if (!address || !bytes || flags > 15) return CUDA_ERROR_INVALID_VALUE;
    return add(address, bytes, 1);
}

CUresult do_cuMemHostUnregister(void *address) {
    if (!address) return CUDA_ERROR_INVALID_VALUE;
    if (!is(address, 1)) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    streams_wait(NULL);
    return drop(address) ? CUDA_SUCCESS : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

CUresult host_attribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&mutex);
    struct pinned *p = overlapping((uintptr_t)address, 1);
    if (!p) result = CUDA_ERROR_INVALID_VALUE;
    else switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: memcpy(data, &p->context, sizeof p->context); break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: memcpy(data, &(unsigned){CU_MEMORYTYPE_HOST}, sizeof(unsigned)); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    case CU_POINTER_ATTRIBUTE_HOST_POINTER: memcpy(data, &address, sizeof address); break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: memcpy(data, &p->context->device, sizeof(int)); break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: memcpy(data, &(CUdeviceptr){p->base}, sizeof(CUdeviceptr)); break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: memcpy(data, &p->size, sizeof p->size); break;
    default: result = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&mutex);
    return result;
}
