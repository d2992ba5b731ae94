/* Which contexts reach memory of other devices. Enabling it reaches what cuMemAlloc gives, not mappings and pools, which say themselves who may. */
#include "driver.h"

CUresult do_cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
    if (!can) return CUDA_ERROR_INVALID_VALUE;
    if (!device_known(device) || !device_known(peer)) return CUDA_ERROR_INVALID_DEVICE;
    *can = device != peer;
    return CUDA_SUCCESS;
}

static int place(CUcontext context, CUcontext peer) {
    int at = 0;
    while (at < context->peers && context->peer[at] != peer) at++;
    return at;
}

int peer_reaches(CUcontext context, CUcontext owner) { return context->device == owner->device || place(context, owner) < context->peers; }

static CUresult add(CUcontext context, CUcontext peer) {
    if (place(context, peer) < context->peers) return CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    if (context->peers == MAX_PEERS) return CUDA_ERROR_TOO_MANY_PEERS;
    context->peer[context->peers++] = peer;
    return CUDA_SUCCESS;
}

static CUresult drop(CUcontext context, CUcontext peer) {
    int at = place(context, peer);
    if (at == context->peers) return CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
    context->peer[at] = context->peer[--context->peers];
    return CUDA_SUCCESS;
}

void peers_forget(CUcontext context) {
    context->peers = 0;
    for (CUcontext c = driver.contexts; c; c = c->next) drop(c, context);
}

static CUresult check(CUcontext peer) {
    if (context_known(peer)) return CUDA_SUCCESS;
    for (CUcontext c = driver.contexts; c; c = c->next)
        if (c == peer) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    return CUDA_ERROR_INVALID_CONTEXT;
}

CUresult do_cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
    CUcontext context = context_current();
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = check(peer);
    if (result) return result;
    if (peer->device == context->device) return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    pthread_rwlock_wrlock(&memory);
    result = add(context, peer);
    pthread_rwlock_unlock(&memory);
    return result;
}

CUresult do_cuCtxDisablePeerAccess(CUcontext peer) {
    CUresult result = check(peer);
    if (result) return result;
    pthread_rwlock_wrlock(&memory);
    result = drop(context_current(), peer);
    pthread_rwlock_unlock(&memory);
    return result;
}
