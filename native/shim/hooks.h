/* The driver functions that the shim stands in for, and those that it calls: X(name, declared like), where nothing else is said. The wrapper's export, the
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

/* What else reads or writes device memory in a stream, and host functions: X(name, stream, parameters, arguments). None of it runs
 * amidst a copy that the engine makes for the same stream. A caller's NULL is the legacy stream, or the thread's own in the second form. */
#define IN_STREAM(X, name, stream, parameters, arguments) \
    X(name, (stream) ? (stream) : CU_STREAM_LEGACY, parameters, arguments) X(name##_ptsz, (stream) ? (stream) : CU_STREAM_PER_THREAD, parameters, arguments)
#define IN_DEFAULT(X, name, parameters, arguments) \
    X(name, CU_STREAM_LEGACY, parameters, arguments) X(name##_ptds, CU_STREAM_PER_THREAD, parameters, arguments)

/* Counted, never taken by the engine. */
#define FLAT_COPIES(X) \
    IN_DEFAULT(X, cuMemcpy2D_v2, (const CUDA_MEMCPY2D *copy), (copy)) \
    IN_DEFAULT(X, cuMemcpy2DUnaligned_v2, (const CUDA_MEMCPY2D *copy), (copy)) \
    IN_STREAM(X, cuMemcpy2DAsync_v2, stream, (const CUDA_MEMCPY2D *copy, CUstream stream), (copy, stream))
#define DEEP_COPIES(X) \
    IN_DEFAULT(X, cuMemcpy3D_v2, (const void *copy), (copy)) \
    IN_STREAM(X, cuMemcpy3DAsync_v2, stream, (const void *copy, CUstream stream), (copy, stream))
#define SHAPED_COPIES(X) FLAT_COPIES(X) DEEP_COPIES(X)

#define LAUNCHES(X) \
    IN_STREAM(X, cuLaunchKernel, stream, (CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream stream, void **parameters, void **extra), (f, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra)) \
    IN_STREAM(X, cuLaunchKernelEx, config ? config->stream : NULL, (const struct launch_config *config, CUfunction f, void **parameters, void **extra), (config, f, parameters, extra)) \
    IN_STREAM(X, cuLaunchCooperativeKernel, stream, (CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream stream, void **parameters), (f, gx, gy, gz, bx, by, bz, shared, stream, parameters)) \
    X(cuLaunch, CU_STREAM_LEGACY, (CUfunction f), (f)) X(cuLaunchGrid, CU_STREAM_LEGACY, (CUfunction f, int width, int height), (f, width, height)) \
    X(cuLaunchGridAsync, stream ? stream : CU_STREAM_LEGACY, (CUfunction f, int width, int height, CUstream stream), (f, width, height, stream)) \
    X(cuLaunchCooperativeKernelMultiDevice, list && count && list->hStream ? list->hStream : CU_STREAM_LEGACY, (const CUDA_LAUNCH_PARAMS *list, unsigned count, unsigned flags), (list, count, flags)) \
    IN_STREAM(X, cuLaunchHostFunc, stream, (CUstream stream, CUhostFn function, void *data), (stream, function, data)) \
    IN_STREAM(X, cuLaunchHostFunc_v2, stream, (CUstream stream, CUhostFn function, void *data, unsigned mode), (stream, function, data, mode)) \
    IN_STREAM(X, cuStreamAddCallback, stream, (CUstream stream, CUstreamCallback callback, void *data, unsigned flags), (stream, callback, data, flags)) \
    IN_STREAM(X, cuGraphUpload, stream, (CUgraphExec graph, CUstream stream), (graph, stream)) \
    IN_STREAM(X, cuGraphLaunch, stream, (CUgraphExec graph, CUstream stream), (graph, stream))

#define FILLS(X) \
    IN_DEFAULT(X, cuMemsetD8_v2, (CUdeviceptr to, unsigned char value, size_t count), (to, value, count)) \
    IN_DEFAULT(X, cuMemsetD16_v2, (CUdeviceptr to, unsigned short value, size_t count), (to, value, count)) \
    IN_DEFAULT(X, cuMemsetD32_v2, (CUdeviceptr to, unsigned value, size_t count), (to, value, count)) \
    IN_DEFAULT(X, cuMemsetD2D8_v2, (CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height), (to, pitch, value, width, height)) \
    IN_DEFAULT(X, cuMemsetD2D16_v2, (CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height), (to, pitch, value, width, height)) \
    IN_DEFAULT(X, cuMemsetD2D32_v2, (CUdeviceptr to, size_t pitch, unsigned value, size_t width, size_t height), (to, pitch, value, width, height)) \
    IN_STREAM(X, cuMemsetD8Async, stream, (CUdeviceptr to, unsigned char value, size_t count, CUstream stream), (to, value, count, stream)) \
    IN_STREAM(X, cuMemsetD16Async, stream, (CUdeviceptr to, unsigned short value, size_t count, CUstream stream), (to, value, count, stream)) \
    IN_STREAM(X, cuMemsetD32Async, stream, (CUdeviceptr to, unsigned value, size_t count, CUstream stream), (to, value, count, stream)) \
    IN_STREAM(X, cuMemsetD2D8Async, stream, (CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height, CUstream stream), (to, pitch, value, width, height, stream)) \
    IN_STREAM(X, cuMemsetD2D16Async, stream, (CUdeviceptr to, size_t pitch, unsigned short value, size_t width, size_t height, CUstream stream), (to, pitch, value, width, height, stream)) \
    IN_STREAM(X, cuMemsetD2D32Async, stream, (CUdeviceptr to, size_t pitch, unsigned value, size_t width, size_t height, CUstream stream), (to, pitch, value, width, height, stream)) \
    IN_STREAM(X, cuStreamWriteValue32_v2, stream, (CUstream stream, CUdeviceptr to, uint32_t value, unsigned flags), (stream, to, value, flags)) \
    IN_STREAM(X, cuStreamWriteValue64_v2, stream, (CUstream stream, CUdeviceptr to, uint64_t value, unsigned flags), (stream, to, value, flags)) \
    IN_STREAM(X, cuStreamWaitValue32_v2, stream, (CUstream stream, CUdeviceptr at, uint32_t value, unsigned flags), (stream, at, value, flags)) \
    IN_STREAM(X, cuStreamWaitValue64_v2, stream, (CUstream stream, CUdeviceptr at, uint64_t value, unsigned flags), (stream, at, value, flags)) \
    IN_STREAM(X, cuStreamWriteValue32, stream, (CUstream stream, CUdeviceptr to, uint32_t value, unsigned flags), (stream, to, value, flags)) \
    IN_STREAM(X, cuStreamWriteValue64, stream, (CUstream stream, CUdeviceptr to, uint64_t value, unsigned flags), (stream, to, value, flags)) \
    IN_STREAM(X, cuStreamWaitValue32, stream, (CUstream stream, CUdeviceptr at, uint32_t value, unsigned flags), (stream, at, value, flags)) \
    IN_STREAM(X, cuStreamWaitValue64, stream, (CUstream stream, CUdeviceptr at, uint64_t value, unsigned flags), (stream, at, value, flags)) \
    IN_STREAM(X, cuStreamBatchMemOp, stream, (CUstream stream, unsigned count, void *operations, unsigned flags), (stream, count, operations, flags)) \
    IN_STREAM(X, cuStreamBatchMemOp_v2, stream, (CUstream stream, unsigned count, void *operations, unsigned flags), (stream, count, operations, flags))

/* These reach memory of other devices without peer access, if it is the driver's own. */
#define PLAIN_DEVICE_COPIES(X) \
    IN_DEFAULT(X, cuMemcpyDtoD_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes), (to, from, bytes)) \
    IN_STREAM(X, cuMemcpyDtoDAsync_v2, stream, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream), (to, from, bytes, stream)) \
    IN_STREAM(X, cuMemcpyWithAttributesAsync, stream, (CUdeviceptr to, CUdeviceptr from, size_t bytes, void *attributes, CUstream stream), (to, from, bytes, attributes, stream))

#define DEVICE_COPIES(X) \
    IN_DEFAULT(X, cuMemcpyPeer, (CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes), (to, to_context, from, from_context, bytes)) \
    IN_DEFAULT(X, cuMemcpy3DPeer, (const void *copy), (copy)) \
    IN_DEFAULT(X, cuMemcpyDtoA_v2, (CUarray to, size_t at, CUdeviceptr from, size_t bytes), (to, at, from, bytes)) \
    IN_DEFAULT(X, cuMemcpyAtoD_v2, (CUdeviceptr to, CUarray from, size_t at, size_t bytes), (to, from, at, bytes)) \
    IN_STREAM(X, cuMemcpy3DBatchAsync, stream, (size_t count, void *operations, size_t *failed, unsigned long long flags, CUstream stream), (count, operations, failed, flags, stream)) \
    IN_STREAM(X, cuMemcpy3DBatchAsync_v2, stream, (size_t count, void *operations, unsigned long long flags, CUstream stream), (count, operations, flags, stream)) \
    IN_STREAM(X, cuMemcpy3DWithAttributesAsync, stream, (void *operation, unsigned long long flags, CUstream stream), (operation, flags, stream)) \
    IN_STREAM(X, cuMemBatchDecompressAsync, stream, (void *operations, size_t count, unsigned flags, size_t *failed, CUstream stream), (operations, count, flags, failed, stream)) \
    IN_STREAM(X, cuMemcpyPeerAsync, stream, (CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t bytes, CUstream stream), (to, to_context, from, from_context, bytes, stream)) \
    IN_STREAM(X, cuMemcpy3DPeerAsync, stream, (const void *copy, CUstream stream), (copy, stream))

/* Of several, each with its own two addresses. */
#define BATCHED_COPIES(X) \
    IN_STREAM(X, cuMemcpyBatchAsync, stream, (CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, void *attributes, size_t *indexes, size_t attribute_count, size_t *failed, CUstream stream), (to, from, sizes, count, attributes, indexes, attribute_count, failed, stream)) \
    IN_STREAM(X, cuMemcpyBatchAsync_v2, stream, (CUdeviceptr *to, CUdeviceptr *from, size_t *sizes, size_t count, void *attributes, size_t *indexes, size_t attribute_count, CUstream stream), (to, from, sizes, count, attributes, indexes, attribute_count, stream))

/* What is told addresses of device memory, or graphs that hold some, for later: X(name, parameters, arguments). The driver refuses those that are not mapped. */
#define ADD_NODE(X, name, more, arguments) X(name, (CUgraphNode *node, CUgraph graph, const CUgraphNode *after, size_t count, UNPACK more), (node, graph, after, count, UNPACK arguments))
#define UNPACK(...) __VA_ARGS__
#define BUILDS(X) \
    ADD_NODE(X, cuGraphAddMemcpyNode, (const void *parameters, CUcontext context), (parameters, context)) \
    ADD_NODE(X, cuGraphAddMemsetNode, (const void *parameters, CUcontext context), (parameters, context)) \
    ADD_NODE(X, cuGraphAddBatchMemOpNode, (const void *parameters), (parameters)) \
    ADD_NODE(X, cuGraphAddChildGraphNode, (CUgraph child), (child)) \
    ADD_NODE(X, cuGraphAddNode, (void *parameters), (parameters)) \
    X(cuGraphAddNode_v2, (CUgraphNode *node, CUgraph graph, const CUgraphNode *after, const void *edges, size_t count, void *parameters), (node, graph, after, edges, count, parameters)) \
    X(cuGraphMemcpyNodeSetParams, (CUgraphNode node, const void *parameters), (node, parameters)) \
    X(cuGraphMemsetNodeSetParams, (CUgraphNode node, const void *parameters), (node, parameters)) \
    X(cuGraphBatchMemOpNodeSetParams, (CUgraphNode node, const void *parameters), (node, parameters)) \
    X(cuGraphNodeSetParams, (CUgraphNode node, void *parameters), (node, parameters)) \
    X(cuGraphInstantiate, (CUgraphExec *executable, CUgraph graph, CUgraphNode *failed, char *log, size_t room), (executable, graph, failed, log, room)) \
    X(cuGraphInstantiate_v2, (CUgraphExec *executable, CUgraph graph, CUgraphNode *failed, char *log, size_t room), (executable, graph, failed, log, room)) \
    X(cuGraphInstantiateWithFlags, (CUgraphExec *executable, CUgraph graph, unsigned long long flags), (executable, graph, flags)) \
    X(cuGraphInstantiateWithParams, (CUgraphExec *executable, CUgraph graph, void *parameters), (executable, graph, parameters)) \
    X(cuGraphInstantiateWithParams_ptsz, (CUgraphExec *executable, CUgraph graph, void *parameters), (executable, graph, parameters)) \
    X(cuGraphExecMemcpyNodeSetParams, (CUgraphExec executable, CUgraphNode node, const void *parameters, CUcontext context), (executable, node, parameters, context)) \
    X(cuGraphExecMemsetNodeSetParams, (CUgraphExec executable, CUgraphNode node, const void *parameters, CUcontext context), (executable, node, parameters, context)) \
    X(cuGraphExecBatchMemOpNodeSetParams, (CUgraphExec executable, CUgraphNode node, const void *parameters), (executable, node, parameters)) \
    X(cuGraphExecChildGraphNodeSetParams, (CUgraphExec executable, CUgraphNode node, CUgraph child), (executable, node, child)) \
    X(cuGraphExecNodeSetParams, (CUgraphExec executable, CUgraphNode node, void *parameters), (executable, node, parameters)) \
    X(cuGraphExecUpdate, (CUgraphExec executable, CUgraph graph, CUgraphNode *failed, int *result), (executable, graph, failed, result)) \
    X(cuGraphExecUpdate_v2, (CUgraphExec executable, CUgraph graph, void *result), (executable, graph, result)) \
    X(cuPointerSetAttribute, (const void *value, CUpointer_attribute attribute, CUdeviceptr address), (value, attribute, address)) \
    X(cuTexObjectCreate, (void *texture, const void *resource, const void *description, const void *view), (texture, resource, description, view))

#define WORK(X) LAUNCHES(X) FILLS(X) PLAIN_DEVICE_COPIES(X) DEVICE_COPIES(X) BATCHED_COPIES(X) SHAPED_COPIES(X)

#define OTHERS(X) \
    X(cuInit, cuInit) \
    X(cuGetProcAddress, get_proc_address) X(cuGetProcAddress_v2, cuGetProcAddress_v2) \
    X(cuCtxDestroy, cuCtxDestroy_v2) X(cuCtxDestroy_v2, cuCtxDestroy_v2) X(cuCtxFromGreenCtx, ctx_from_green_ctx) \
    X(cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxRelease_v2) X(cuDevicePrimaryCtxRelease_v2, cuDevicePrimaryCtxRelease_v2) \
    X(cuDevicePrimaryCtxReset, cuDevicePrimaryCtxReset_v2) X(cuDevicePrimaryCtxReset_v2, cuDevicePrimaryCtxReset_v2) \
    X(cuStreamBeginCapture, begin_capture) X(cuStreamBeginCapture_ptsz, begin_capture) \
    X(cuStreamBeginCapture_v2, cuStreamBeginCapture_v2) X(cuStreamBeginCapture_v2_ptsz, cuStreamBeginCapture_v2) \
    X(cuStreamBeginCaptureToGraph, begin_capture_to_graph) X(cuStreamBeginCaptureToGraph_ptsz, begin_capture_to_graph) \
    X(cuStreamBeginRecaptureToGraph, begin_recapture) X(cuStreamBeginRecaptureToGraph_ptsz, begin_recapture) \
    X(cuStreamEndCapture, cuStreamEndCapture) X(cuStreamEndCapture_ptsz, cuStreamEndCapture) \
    X(cuStreamDestroy, cuStreamDestroy_v2) X(cuStreamDestroy_v2, cuStreamDestroy_v2) \
    X(cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRetain) \
    X(cuCtxCreate, cuCtxCreate_v2) X(cuCtxCreate_v2, cuCtxCreate_v2) X(cuCtxCreate_v3, ctx_create_v3) X(cuCtxCreate_v4, cuCtxCreate_v4)

/* What makes and frees device memory, and what is asked about it. */
#define ALLOCATIONS(X) \
    X(cuMemAlloc_v2, cuMemAlloc_v2) X(cuMemAllocPitch_v2, cuMemAllocPitch_v2) X(cuMemFree_v2, cuMemFree_v2) X(cuMemAllocManaged, cuMemAllocManaged) X(cuMemGetInfo_v2, cuMemGetInfo_v2) \
    X(cuMemGetAddressRange_v2, cuMemGetAddressRange_v2) X(cuPointerGetAttribute, cuPointerGetAttribute) X(cuPointerGetAttributes, cuPointerGetAttributes) \
    X(cuIpcGetMemHandle, cuIpcGetMemHandle) X(cuIpcOpenMemHandle, cuIpcOpenMemHandle_v2) X(cuIpcOpenMemHandle_v2, cuIpcOpenMemHandle_v2) X(cuIpcCloseMemHandle, cuIpcCloseMemHandle) \
    X(cuMemGetHandleForAddressRange, cuMemGetHandleForAddressRange) \
    X(cuCtxEnablePeerAccess, cuCtxEnablePeerAccess) X(cuCtxDisablePeerAccess, cuCtxDisablePeerAccess) \
    X(cuCtxGetLimit, cuCtxGetLimit) X(cuCtxSetLimit, cuCtxSetLimit)

#define POOLS(X) \
    X(cuMemAllocAsync, cuMemAllocAsync) X(cuMemAllocAsync_ptsz, cuMemAllocAsync) \
    X(cuMemAllocFromPoolAsync, cuMemAllocFromPoolAsync) X(cuMemAllocFromPoolAsync_ptsz, cuMemAllocFromPoolAsync) \
    X(cuMemFreeAsync, cuMemFreeAsync) X(cuMemFreeAsync_ptsz, cuMemFreeAsync) \
    X(cuMemPoolCreate, cuMemPoolCreate) X(cuMemPoolDestroy, cuMemPoolDestroy) X(cuMemPoolGetAttribute, cuMemPoolGetAttribute) X(cuMemPoolSetAttribute, cuMemPoolSetAttribute) \
    X(cuMemPoolTrimTo, cuMemPoolTrimTo) X(cuMemPoolSetAccess, cuMemPoolSetAccess) X(cuMemPoolImportFromShareableHandle, cuMemPoolImportFromShareableHandle)

/* The program's own use of virtual memory management. */
#define VIRTUAL(X) \
    X(cuMemCreate, cuMemCreate) X(cuMemRelease, cuMemRelease) X(cuMemMap, cuMemMap) X(cuMemUnmap, cuMemUnmap) \
    X(cuMemAddressReserve, cuMemAddressReserve) X(cuMemAddressFree, cuMemAddressFree) X(cuMemSetAccess, cuMemSetAccess) X(cuMemGetAccess, cuMemGetAccess) \
    X(cuMemImportFromShareableHandle, cuMemImportFromShareableHandle) X(cuMulticastCreate, multicast_create) \
    X(cuMemExportToShareableHandle, cuMemExportToShareableHandle) X(cuMemRetainAllocationHandle, cuMemRetainAllocationHandle) \
    X(cuMemGetAllocationPropertiesFromHandle, cuMemGetAllocationPropertiesFromHandle) \
    X(cuMulticastBindMem, multicast_bind_mem) X(cuMulticastBindMem_v2, multicast_bind_mem_v2) \
    X(cuMulticastBindAddr, multicast_bind_addr) X(cuMulticastBindAddr_v2, multicast_bind_addr_v2)

/* What else takes device memory of the driver: X(name, parameters, arguments). */
#define MAKES(X) \
    X(cuArrayCreate_v2, (CUarray *array, const void *description), (array, description)) \
    X(cuArray3DCreate_v2, (CUarray *array, const void *description), (array, description)) \
    X(cuMipmappedArrayCreate, (void *array, const void *description, unsigned levels), (array, description, levels)) \
    X(cuModuleLoad, (CUmodule *module, const char *file), (module, file)) \
    X(cuModuleLoadData, (CUmodule *module, const void *image), (module, image)) \
    X(cuModuleLoadDataEx, (CUmodule *module, const void *image, unsigned count, void *options, void **values), (module, image, count, options, values)) \
    X(cuModuleLoadFatBinary, (CUmodule *module, const void *image), (module, image)) \
    X(cuLibraryLoadData, (void *library, const void *code, void *options, void **values, unsigned count, void *more, void **more_values, unsigned more_count), \
      (library, code, options, values, count, more, more_values, more_count)) \
    X(cuLibraryLoadFromFile, (void *library, const char *file, void *options, void **values, unsigned count, void *more, void **more_values, unsigned more_count), \
      (library, file, options, values, count, more, more_values, more_count)) \
    X(cuStreamCreate, (CUstream *stream, unsigned flags), (stream, flags)) \
    X(cuStreamCreateWithPriority, (CUstream *stream, unsigned flags, int priority), (stream, flags, priority))

/* After these a pool gives up what it holds beyond its threshold. */
#define WAITS(X) \
    X(cuCtxSynchronize, (void), ()) X(cuCtxSynchronize_v2, (CUcontext context), (context)) \
    X(cuStreamSynchronize, (CUstream stream), (stream)) X(cuStreamSynchronize_ptsz, (CUstream stream), (stream)) \
    X(cuEventSynchronize, (CUevent event), (event))

/* By name alone all of them are alike. */
#define HOOKS(X) COPIES(X) OTHERS(X) ALLOCATIONS(X) POOLS(X) VIRTUAL(X) WAITS(X) WORK(X) BUILDS(X) MAKES(X)

/* Called, not stood in for. */
#define CALLED(X) \
    X(cuCtxGetCurrent, cuCtxGetCurrent) X(cuCtxSetCurrent, cuCtxSetCurrent) \
    X(cuCtxPushCurrent_v2, cuCtxPushCurrent_v2) X(cuCtxPopCurrent_v2, cuCtxPopCurrent_v2) X(cuCtxGetDevice, cuCtxGetDevice) \
    X(cuDevicePrimaryCtxGetState, cuDevicePrimaryCtxGetState) X(cuDeviceGetAttribute, cuDeviceGetAttribute) X(cuDeviceGetCount, cuDeviceGetCount) \
    X(cuMemHostAlloc, cuMemHostAlloc) X(cuMemFreeHost, cuMemFreeHost) \
    X(cuStreamGetFlags, cuStreamGetFlags) X(cuStreamQuery, cuStreamQuery) X(cuStreamWaitEvent, cuStreamWaitEvent) \
    X(cuStreamIsCapturing, cuStreamIsCapturing) X(cuThreadExchangeStreamCaptureMode, cuThreadExchangeStreamCaptureMode) \
    X(cuEventCreate, cuEventCreate) X(cuEventRecord, cuEventRecord) X(cuEventQuery, cuEventQuery) \
    X(cuEventDestroy_v2, cuEventDestroy_v2)

/* Used where the driver has them. */
#define OPTIONAL(X) \
    X(cuCheckpointProcessGetRestoreThreadId, cuCheckpointProcessGetRestoreThreadId) \
    X(cuDeviceGetMemPool, cuDeviceGetMemPool) X(cuDeviceGetDefaultMemPool, cuDeviceGetDefaultMemPool) X(cuStreamGetCtx, cuStreamGetCtx) \
    X(cuDeviceCanAccessPeer, cuDeviceCanAccessPeer) X(cuDeviceGetUuid_v2, cuDeviceGetUuid_v2) X(cuMemPoolGetAccess, cuMemPoolGetAccess) X(cuCtxRecordEvent, cuCtxRecordEvent)

/* Without one of these the engine cannot work; every driver since CUDA 11.0 has them. */
#define ENGINE_NEEDS(X) \
    CALLED(X) COPIES(X) X(cuStreamCreate, ) X(cuStreamDestroy_v2, ) X(cuDevicePrimaryCtxRelease_v2, ) X(cuDevicePrimaryCtxRetain, ) X(cuPointerGetAttributes, ) X(cuStreamSynchronize, ) X(cuEventSynchronize, ) \
    X(cuCtxSynchronize, ) X(cuMemGetAddressRange_v2, ) X(cuMemGetInfo_v2, )

/* Without one of these nothing is parked; every driver since CUDA 11 has them. */
#define PARKING_NEEDS(X) \
    X(cuMemCreate, ) X(cuMemRelease, ) X(cuMemMap, ) X(cuMemUnmap, ) X(cuMemAddressReserve, ) X(cuMemAddressFree, ) X(cuMemSetAccess, ) \
    X(cuMemAlloc_v2, ) X(cuMemFree_v2, ) X(cuCtxGetLimit, ) X(cuCtxSetLimit, )

#endif
