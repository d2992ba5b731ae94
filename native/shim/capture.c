#include "capture.h"
#include "driver.h"

#include <stdatomic.h>

static _Atomic int captures;

int capturing(void) { return atomic_load(&captures) > 0; }

static CUresult begun(CUresult result) {
    if (!result) atomic_fetch_add(&captures, 1);
    return result;
}

static int captures_now(CUstream stream) {
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    const struct driver *d = driver();
    return d->complete && !d->cuStreamIsCapturing(stream, &status) && status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* Some errors end a capture and others do not, so the stream is asked. */
static CUresult end(__typeof__(cuStreamEndCapture) *real, CUstream stream, CUgraph *graph, CUstream meant) {
    int before = captures_now(meant);
    CUresult result = real(stream, graph);
    if (before && !captures_now(meant)) atomic_fetch_sub(&captures, 1);
    return result;
}

#define BEGIN(name) \
    EXPORT CUresult name(CUstream stream, CUstreamCaptureMode mode) { \
        return driver() ? begun(driver()->name(stream, mode)) : CUDA_ERROR_NOT_INITIALIZED; \
    }
#define BEGIN_TO_GRAPH(name) \
    EXPORT CUresult name(CUstream stream, CUgraph graph, const void *dependencies, const void *data, size_t count, CUstreamCaptureMode mode) { \
        return driver() ? begun(driver()->name(stream, graph, dependencies, data, count, mode)) : CUDA_ERROR_NOT_INITIALIZED; \
    }
#define END(name, standard) \
    EXPORT CUresult name(CUstream stream, CUgraph *graph) { \
        return driver() ? end(driver()->name, stream, graph, stream ? stream : standard) : CUDA_ERROR_NOT_INITIALIZED; \
    }

BEGIN(cuStreamBeginCapture_v2)
BEGIN(cuStreamBeginCapture_v2_ptsz)
BEGIN_TO_GRAPH(cuStreamBeginCaptureToGraph)
BEGIN_TO_GRAPH(cuStreamBeginCaptureToGraph_ptsz)
END(cuStreamEndCapture, CU_STREAM_LEGACY)
END(cuStreamEndCapture_ptsz, CU_STREAM_PER_THREAD)

/* A stream that is destroyed takes its capture along. */
EXPORT CUresult cuStreamDestroy_v2(CUstream stream) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    int before = capturing() && captures_now(stream);
    CUresult result = d->cuStreamDestroy_v2(stream);
    if (before && !result) atomic_fetch_sub(&captures, 1);
    return result;
}
