/* Copies and fills. Checked when asked for, carried out when their turn in the stream comes. */
#define _GNU_SOURCE
#include "driver.h"

#include <stdlib.h>
#include <string.h>

enum kind { HOST, DEVICE };
enum { CHUNK = 1 << 20 };

struct copy {
    CUdeviceptr to, from;
    enum kind to_kind, from_kind;
    size_t bytes;
};

static void *at(CUdeviceptr address) { return (void *)(uintptr_t)address; }

static CUresult device_to_device(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    CUresult result = CUDA_SUCCESS;
    char *buffer = malloc(CHUNK);
    if (!buffer) return CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t done = 0; done < bytes && !result; done += CHUNK) {
        size_t part = bytes - done < CHUNK ? bytes - done : CHUNK;
        result = memory_read(from + done, buffer, part);
        if (!result) result = memory_write(to + done, buffer, part);
    }
    free(buffer);
    return result;
}

static void copy_run(struct op *op) {
    CUresult result = CUDA_SUCCESS;
    const void *source = op->staged ? op->staged : at(op->from);
    enum kind to = (enum kind)op->word[0], from = (enum kind)op->word[1];
    if (to == DEVICE && from == DEVICE) result = device_to_device(op->to, op->from, op->bytes);
    else if (to == DEVICE) result = memory_write(op->to, source, op->bytes);
    else if (from == DEVICE) result = memory_read(op->from, at(op->to), op->bytes);
    else memmove(at(op->to), source, op->bytes);
    if (result) op_failed(op, result);
}

static CUresult check(const struct copy *copy) {
    int device = context_current()->device;
    CUresult result = CUDA_SUCCESS;
    if (copy->to_kind == DEVICE) result = memory_check(copy->to, copy->bytes, 1, device);
    if (!result && copy->from_kind == DEVICE) result = memory_check(copy->from, copy->bytes, 0, device);
    if (!result && ((copy->to_kind == HOST && !copy->to) || (copy->from_kind == HOST && !copy->from))) result = CUDA_ERROR_INVALID_VALUE;
    return result;
}

static struct op *copy_op(const struct copy *copy, CUstream stream) {
    struct op *op = op_new(stream, copy_run);
    op->to = copy->to;
    op->from = copy->from;
    op->bytes = copy->bytes;
    op->word[0] = copy->to_kind;
    op->word[1] = copy->from_kind;
    return op;
}

static CUresult copy_now(struct copy copy) {
    CUstream stream;
    if (!copy.bytes) return CUDA_SUCCESS;
    CUresult result = check(&copy);
    if (!result) result = stream_find(NULL, &stream);
    if (result) return result;
    struct op *op = copy_op(&copy, stream);
    if (copy.to_kind == HOST || copy.from_kind == HOST) return op_perform(op, stream);
    op_submit(op, stream); /* between devices even the plain call returns early */
    return CUDA_SUCCESS;
}

/* Pageable memory is read before the call returns, and written before it returns; pinned memory is neither. */
static CUresult copy_later(struct copy copy, CUstream handle) {
    CUstream stream;
    CUresult result = stream_find(handle, &stream);
    if (result || !copy.bytes) return result;
    if ((result = check(&copy))) return result;
    struct op *op = copy_op(&copy, stream);
    if (copy.from_kind == HOST && !host_pinned(at(copy.from), copy.bytes)) {
        op->staged = malloc(copy.bytes);
        if (!op->staged) return free(op), CUDA_ERROR_OUT_OF_MEMORY;
        memcpy(op->staged, at(copy.from), copy.bytes);
    }
    if (copy.to_kind == HOST && !host_pinned(at(copy.to), copy.bytes)) return op_perform(op, stream);
    op_submit(op, stream);
    return CUDA_SUCCESS;
}

/* What cuMemcpy is given says for itself what it is. */
static enum kind kind_of(CUdeviceptr address) {
    pthread_rwlock_rdlock(&memory);
    enum kind kind = range_at(address) ? DEVICE : HOST;
    pthread_rwlock_unlock(&memory);
    return kind;
}

static struct copy unified(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    return (struct copy){to, from, kind_of(to), kind_of(from), bytes};
}

static struct copy upload(CUdeviceptr to, const void *from, size_t bytes) {
    return (struct copy){to, (CUdeviceptr)(uintptr_t)from, DEVICE, HOST, bytes};
}

static struct copy download(void *to, CUdeviceptr from, size_t bytes) {
    return (struct copy){(CUdeviceptr)(uintptr_t)to, from, HOST, DEVICE, bytes};
}

static struct copy across(CUdeviceptr to, CUdeviceptr from, size_t bytes) { return (struct copy){to, from, DEVICE, DEVICE, bytes}; }

CUresult do_cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t n) { return copy_now(unified(to, from, n)); }
CUresult do_cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n) { return copy_now(upload(to, from, n)); }
CUresult do_cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t n) { return copy_now(download(to, from, n)); }
CUresult do_cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t n) { return copy_now(across(to, from, n)); }
CUresult do_cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) { return copy_later(unified(to, from, n), s); }
CUresult do_cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, CUstream s) { return copy_later(upload(to, from, n), s); }
CUresult do_cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, CUstream s) { return copy_later(download(to, from, n), s); }
CUresult do_cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) { return copy_later(across(to, from, n), s); }

static void set_run(struct op *op) {
    size_t width = op->word[1], chunk = op->bytes < CHUNK ? op->bytes : CHUNK;
    char *buffer = malloc(chunk);
    CUresult result = buffer ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; buffer && i < chunk; i += width) memcpy(buffer + i, &op->word[0], width);
    for (size_t done = 0; done < op->bytes && !result; done += chunk)
        result = memory_write(op->to + done, buffer, op->bytes - done < chunk ? op->bytes - done : chunk);
    free(buffer);
    if (result) op_failed(op, result);
}

static CUresult set(CUdeviceptr to, uint64_t value, size_t width, size_t count, CUstream handle) {
    CUstream stream;
    CUresult result = stream_find(handle, &stream);
    if (result || !count) return result;
    if (to % width || count > SIZE_MAX / width) return CUDA_ERROR_INVALID_VALUE;
    if ((result = memory_check(to, count * width, 1, context_current()->device))) return result;
    struct op *op = op_new(stream, set_run);
    op->to = to;
    op->bytes = count * width;
    op->word[0] = value;
    op->word[1] = width;
    op_submit(op, stream);
    return CUDA_SUCCESS;
}

CUresult do_cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t n) { return set(to, value, 1, n, NULL); }
CUresult do_cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t n) { return set(to, value, 2, n, NULL); }
CUresult do_cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t n) { return set(to, value, 4, n, NULL); }
CUresult do_cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, CUstream s) { return set(to, value, 1, n, s); }
CUresult do_cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t n, CUstream s) { return set(to, value, 2, n, s); }
CUresult do_cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t n, CUstream s) { return set(to, value, 4, n, s); }
