/* Copies and fills. Checked when asked for, carried out when their turn in the stream comes. */
#define _GNU_SOURCE
#include "driver.h"

#include <stdlib.h>
#include <string.h>

enum kind { HOST, DEVICE };
enum { CHUNK = 1 << 20, SMALL_UPLOAD = 64 << 10 };

struct copy {
    CUdeviceptr to, from;
    enum kind to_kind, from_kind;
    size_t bytes; /* of a row */
    size_t rows, to_pitch, from_pitch;
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

static CUresult move(enum kind to_kind, enum kind from_kind, CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    if (to_kind == DEVICE && from_kind == DEVICE) return device_to_device(to, from, bytes);
    if (to_kind == DEVICE) return memory_write(to, at(from), bytes);
    if (from_kind == DEVICE) return memory_read(from, at(to), bytes);
    memmove(at(to), at(from), bytes);
    return CUDA_SUCCESS;
}

/* word: kinds of to and from, rows, pitches of to and from */
static void copy_run(struct op *op) {
    CUresult result = CUDA_SUCCESS;
    CUdeviceptr from = op->staged ? (CUdeviceptr)(uintptr_t)op->staged : op->from;
    size_t from_pitch = op->staged ? op->bytes : op->word[4];
    for (size_t row = 0; row < op->word[2] && !result; row++)
        result = move((enum kind)op->word[0], (enum kind)op->word[1], op->to + row * op->word[3], from + row * from_pitch, op->bytes);
    if (result) op_failed(op, result);
}

static CUresult check(const struct copy *copy) {
    CUcontext by = context_current();
    CUresult result = CUDA_SUCCESS;
    for (size_t row = 0; row < copy->rows && !result; row++) {
        if (copy->to_kind == DEVICE) result = memory_check(copy->to + row * copy->to_pitch, copy->bytes, WRITES, by);
        if (!result && copy->from_kind == DEVICE) result = memory_check(copy->from + row * copy->from_pitch, copy->bytes, 0, by);
    }
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
    op->word[2] = copy->rows;
    op->word[3] = copy->to_pitch;
    op->word[4] = copy->from_pitch;
    return op;
}

static int pageable(enum kind kind, CUdeviceptr address, const struct copy *copy, size_t pitch) {
    return kind == HOST && !host_pinned(at(address), (copy->rows - 1) * pitch + copy->bytes);
}

static void *staged(const struct copy *copy) {
    char *rows = malloc(copy->bytes * copy->rows);
    for (size_t row = 0; rows && row < copy->rows; row++)
        memcpy(rows + row * copy->bytes, at(copy->from + row * copy->from_pitch), copy->bytes);
    return rows;
}

/* Between devices even the plain call returns early, and from pageable memory where it is little. */
static int returns_early(const struct copy *copy) {
    if (copy->to_kind != DEVICE) return 0;
    return copy->from_kind == DEVICE || (copy->bytes <= SMALL_UPLOAD / copy->rows && pageable(copy->from_kind, copy->from, copy, copy->from_pitch));
}

static CUresult copy_now(struct copy copy) {
    CUstream stream;
    if (!copy.bytes || !copy.rows) return CUDA_SUCCESS;
    CUresult result = check(&copy);
    if (!result) result = stream_find(NULL, &stream);
    if (!result) result = capture_forbids_wait(context_current(), stream);
    if (!result) result = capture_forbids();
    if (result) return result;
    struct op *op = copy_op(&copy, stream);
    if (!returns_early(&copy)) return op_perform(op, stream);
    if (copy.from_kind == HOST && !(op->staged = staged(&copy))) return free(op), CUDA_ERROR_OUT_OF_MEMORY;
    op_submit(op, stream);
    return CUDA_SUCCESS;
}

/* Pageable memory is read before the call returns, and written before it returns; pinned memory is neither. */
static CUresult copy_later(struct copy copy, CUstream handle) {
    CUstream stream;
    CUresult result = stream_find(handle, &stream);
    if (result || !copy.bytes || !copy.rows) return result;
    if ((result = check(&copy))) return result;
    struct op *op = copy_op(&copy, stream);
    if (capture_active(stream)) return op_submit(op, stream), CUDA_SUCCESS; /* a graph reads and writes when it runs */
    if (pageable(copy.from_kind, copy.from, &copy, copy.from_pitch) && !(op->staged = staged(&copy))) return free(op), CUDA_ERROR_OUT_OF_MEMORY;
    if (pageable(copy.to_kind, copy.to, &copy, copy.to_pitch)) return op_perform(op, stream);
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

static struct copy straight(CUdeviceptr to, enum kind to_kind, CUdeviceptr from, enum kind from_kind, size_t bytes) {
    return (struct copy){to, from, to_kind, from_kind, bytes, 1, bytes, bytes};
}

static CUdeviceptr host(const void *address) { return (CUdeviceptr)(uintptr_t)address; }
static struct copy unified(CUdeviceptr to, CUdeviceptr from, size_t n) { return straight(to, kind_of(to), from, kind_of(from), n); }
static struct copy upload(CUdeviceptr to, const void *from, size_t n) { return straight(to, DEVICE, host(from), HOST, n); }
static struct copy download(void *to, CUdeviceptr from, size_t n) { return straight(host(to), HOST, from, DEVICE, n); }
static struct copy across(CUdeviceptr to, CUdeviceptr from, size_t n) { return straight(to, DEVICE, from, DEVICE, n); }

static CUresult side(CUmemorytype type, const void *in_host, CUdeviceptr in_device, CUdeviceptr *address, enum kind *kind) {
    *kind = type == CU_MEMORYTYPE_HOST ? HOST : type == CU_MEMORYTYPE_DEVICE ? DEVICE : kind_of(in_device);
    *address = type == CU_MEMORYTYPE_HOST ? host(in_host) : in_device;
    if (type == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
    return type >= CU_MEMORYTYPE_HOST && type <= CU_MEMORYTYPE_UNIFIED ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int fits(size_t x, size_t width, size_t height, size_t pitch) { return height <= 1 || (x <= pitch && width <= pitch - x); }

static CUresult rectangle(const CUDA_MEMCPY2D *d, struct copy *copy) {
    if (!d) return CUDA_ERROR_INVALID_VALUE;
    *copy = (struct copy){.bytes = d->WidthInBytes, .rows = d->Height, .to_pitch = d->dstPitch, .from_pitch = d->srcPitch};
    CUresult result = side(d->srcMemoryType, d->srcHost, d->srcDevice, &copy->from, &copy->from_kind);
    if (!result) result = side(d->dstMemoryType, d->dstHost, d->dstDevice, &copy->to, &copy->to_kind);
    if (result) return result;
    if (!fits(d->srcXInBytes, d->WidthInBytes, d->Height, d->srcPitch)) return CUDA_ERROR_INVALID_VALUE;
    if (!fits(d->dstXInBytes, d->WidthInBytes, d->Height, d->dstPitch)) return CUDA_ERROR_INVALID_VALUE;
    copy->from += d->srcY * d->srcPitch + d->srcXInBytes;
    copy->to += d->dstY * d->dstPitch + d->dstXInBytes;
    return CUDA_SUCCESS;
}

CUresult do_cuMemcpy2D_v2(const CUDA_MEMCPY2D *description) {
    struct copy copy;
    CUresult result = rectangle(description, &copy);
    return result ? result : copy_now(copy);
}

CUresult do_cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *description, CUstream stream) {
    struct copy copy;
    CUresult result = rectangle(description, &copy);
    return result ? result : copy_later(copy, stream);
}

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

CUresult op_check(const struct op *op) {
    struct copy copy = {op->to, op->from, (enum kind)op->word[0], (enum kind)op->word[1], op->bytes, op->word[2], op->word[3], op->word[4]};
    if (op->run == copy_run) return check(&copy);
    return op->run == set_run ? memory_check(op->to, op->bytes, WRITES | DIRECT, context_current()) : CUDA_SUCCESS;
}

static CUresult set(CUdeviceptr to, uint64_t value, size_t width, size_t count, CUstream handle) {
    CUstream stream;
    CUresult result = stream_find(handle, &stream);
    if (result || !count) return result;
    if (to % width || count > SIZE_MAX / width) return CUDA_ERROR_INVALID_VALUE;
    if ((result = memory_check(to, count * width, WRITES | DIRECT, context_current()))) return result;
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
