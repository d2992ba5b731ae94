/* The driver functions that the shim stands in for, and those that it calls: X(name, declared like). The wrapper's export, the
 * table that dlsym and cuGetProcAddress answer from, and the pointers to the real functions all come from here. */
#ifndef TORPOR_HOOKS_H
#define TORPOR_HOOKS_H

/* Plain calls belong to the legacy default stream, _ptds and _ptsz ones to the thread's own. */
#define COPIES(X) \
    X(cuMemcpyHtoD_v2, cuMemcpyHtoD_v2) X(cuMemcpyHtoD_v2_ptds, cuMemcpyHtoD_v2) \
    X(cuMemcpyDtoH_v2, cuMemcpyDtoH_v2) X(cuMemcpyDtoH_v2_ptds, cuMemcpyDtoH_v2) \
    X(cuMemcpy, cuMemcpy) X(cuMemcpy_ptds, cuMemcpy) \
    X(cuMemcpyHtoDAsync_v2, cuMemcpyHtoDAsync_v2) X(cuMemcpyHtoDAsync_v2_ptsz, cuMemcpyHtoDAsync_v2) \
    X(cuMemcpyDtoHAsync_v2, cuMemcpyDtoHAsync_v2) X(cuMemcpyDtoHAsync_v2_ptsz, cuMemcpyDtoHAsync_v2) \
    X(cuMemcpyAsync, cuMemcpyAsync) X(cuMemcpyAsync_ptsz, cuMemcpyAsync)

/* Counted, never taken: X(name, declared like, what it is given). */
#define SHAPED_COPIES(X) \
    X(cuMemcpy2D_v2, cuMemcpy2D_v2, CUDA_MEMCPY2D) X(cuMemcpy2D_v2_ptds, cuMemcpy2D_v2, CUDA_MEMCPY2D) \
    X(cuMemcpy2DUnaligned_v2, cuMemcpy2D_v2, CUDA_MEMCPY2D) X(cuMemcpy2DUnaligned_v2_ptds, cuMemcpy2D_v2, CUDA_MEMCPY2D) \
    X(cuMemcpy3D_v2, copy_3d, void) X(cuMemcpy3D_v2_ptds, copy_3d, void)
#define SHAPED_COPIES_ASYNC(X) \
    X(cuMemcpy2DAsync_v2, cuMemcpy2DAsync_v2, CUDA_MEMCPY2D) X(cuMemcpy2DAsync_v2_ptsz, cuMemcpy2DAsync_v2, CUDA_MEMCPY2D) \
    X(cuMemcpy3DAsync_v2, copy_3d_async, void) X(cuMemcpy3DAsync_v2_ptsz, copy_3d_async, void)

#define OTHERS(X) \
    X(cuInit, cuInit) \
    X(cuGetProcAddress, get_proc_address) X(cuGetProcAddress_v2, cuGetProcAddress_v2) \
    X(cuCtxDestroy, cuCtxDestroy_v2) X(cuCtxDestroy_v2, cuCtxDestroy_v2) X(cuCtxFromGreenCtx, ctx_from_green_ctx) \
    X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2) X(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxRelease_v2) \
    X(cuDevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2) X(cuDevicePrimaryCtxReset_v2, cuDevicePrimaryCtxReset_v2) \
    X(cuStreamBeginCapture_v2, cuStreamBeginCapture_v2) X(cuStreamBeginCapture_v2_ptsz, cuStreamBeginCapture_v2) \
    X(cuStreamBeginCaptureToGraph, begin_capture_to_graph) X(cuStreamBeginCaptureToGraph_ptsz, begin_capture_to_graph) \
    X(cuStreamEndCapture, cuStreamEndCapture) X(cuStreamEndCapture_ptsz, cuStreamEndCapture) \
    X(cuStreamDestroy_v2, cuStreamDestroy_v2)

#define HOOKS(X) COPIES(X) SHAPED_COPIES(X) SHAPED_COPIES_ASYNC(X) OTHERS(X)

/* Without one of these the engine cannot work; every driver since CUDA 10.1 has them. */
#define CALLED(X) \
    X(cuCtxGetCurrent, cuCtxGetCurrent) X(cuCtxSetCurrent, cuCtxSetCurrent) \
    X(cuCtxPushCurrent_v2, cuCtxPushCurrent_v2) X(cuCtxPopCurrent_v2, cuCtxPopCurrent_v2) X(cuCtxGetDevice, cuCtxGetDevice) \
    X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxGetState, cuDevicePrimaryCtxGetState) \
    X(cuPointerGetAttributes, cuPointerGetAttributes) \
    X(cuMemHostAlloc, cuMemHostAlloc) X(cuMemFreeHost, cuMemFreeHost) \
    X(cuStreamCreate, cuStreamCreate) X(cuStreamSynchronize, cuStreamSynchronize) X(cuStreamWaitEvent, cuStreamWaitEvent) \
    X(cuStreamIsCapturing, cuStreamIsCapturing) X(cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode) \
    X(cuEventCreate, cuEventCreate) X(cuEventRecord, cuEventRecord) X(cuEventSynchronize, cuEventSynchronize) \
    X(cuEventDestroy_v2, cuEventDestroy_v2)

/* Of these the huge pages alone depend. */
#define CHECKPOINT(X) X(cuCheckpointProcessGetRestoreThreadId, cuCheckpointProcessGetRestoreThreadId)

#endif
