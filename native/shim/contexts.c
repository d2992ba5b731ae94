/* Which contexts there are, and what one takes along when it goes. */
#include "contexts.h"
#include "allocate.h"
#include "buffer.h"
#include "capture.h"
#include "control.h"
#include "devices.h"
#include "engine.h"
#include "left.h"
#include "lifecycle.h"
#include "limits.h"
#include "order.h"
#include "park.h"
#include "pitch.h"
#include "pool.h"
#include "shared.h"

#include <pthread.h>
#include <time.h>

static struct { CUcontext context; CUdevice device; } known[MAX_CONTEXTS];
static int count, missed;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of them */
/* To write: from before the end of a context until what was known of it is forgotten. Its handle may come again at once: who makes a
 * context reads, and gets none before that. Taken after the order's. */
static pthread_rwlock_t ending = PTHREAD_RWLOCK_INITIALIZER;

static void add(CUcontext context, CUdevice device) {
    int at = 0;
    pthread_mutex_lock(&mutex);
    while (at < count && known[at].context != context) at++;
    if (at == MAX_CONTEXTS) missed = 1;
    else known[at].context = context, known[at].device = device, count += at == count;
    pthread_mutex_unlock(&mutex);
}

static void remove_from_list(CUcontext context) {
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count; i++)
        if (known[i].context == context) known[i] = known[--count];
    pthread_mutex_unlock(&mutex);
}

int contexts_list(CUcontext *list) {
    pthread_mutex_lock(&mutex);
    int n = count;
    for (int i = 0; i < n; i++) list[i] = known[i].context;
    pthread_mutex_unlock(&mutex);
    return n;
}

int contexts_knows(CUcontext context) {
    int found = 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count && !found; i++) found = known[i].context == context;
    pthread_mutex_unlock(&mutex);
    return found;
}

int contexts_missed(void) { return missed; }

CUcontext context_on(CUdevice device) {
    CUcontext found = NULL;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count && !found; i++)
        if (known[i].device == device) found = known[i].context;
    pthread_mutex_unlock(&mutex);
    return found;
}

int contexts_on(CUdevice device, CUcontext *list) {
    int n = 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < count; i++)
        if (known[i].device == device) list[n++] = known[i].context;
    pthread_mutex_unlock(&mutex);
    return n;
}

/* As cuda.h says of each: "inconsistent state", or "is destroyed". */
int context_has_failed(CUresult result) {
    static const int failures[] = {46 /* DEVICE_UNAVAILABLE */, 201 /* INVALID_CONTEXT */, 214 /* ECC_UNCORRECTABLE */, 220 /* NVLINK_UNCORRECTABLE */, 226 /* CONTAINED */,
                                   700 /* ILLEGAL_ADDRESS */, 702 /* LAUNCH_TIMEOUT */, 709 /* CONTEXT_IS_DESTROYED */, 710 /* ASSERT */, 714 /* HARDWARE_STACK_ERROR */,
                                   715 /* ILLEGAL_INSTRUCTION */, 716 /* MISALIGNED_ADDRESS */, 717 /* INVALID_ADDRESS_SPACE */, 718 /* INVALID_PC */, 719 /* LAUNCH_FAILED */,
                                   721 /* TENSOR_MEMORY_LEAK */};
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if ((int)result == failures[i]) return 1;
    return 0;
}

void contexts_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_rwlock_t nobody_ends = PTHREAD_RWLOCK_INITIALIZER;
    mutex = unlocked;
    ending = nobody_ends;
    count = missed = 0;
}

EXPORT CUresult cuInit(unsigned flags) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuInit(flags);
    if (result) return result;
    lifecycle_own();
    buffer_watch();
    control_begin();
    return CUDA_SUCCESS;
}

#define CREATE(name, parameters, arguments) \
    EXPORT CUresult name parameters { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        int cancellation; \
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation); \
        pthread_rwlock_rdlock(&ending); \
        CUresult result = d->name arguments; \
        if (result == CUDA_ERROR_OUT_OF_MEMORY && d->can_park && device >= 0 && device < MAX_DEVICES && pools_give_up_now(device)) result = d->name arguments; \
        if (!result && context) add(*context, device); \
        pthread_rwlock_unlock(&ending); \
        if (!result) devices_ask(device); \
        pthread_setcancelstate(cancellation, NULL); \
        return result; \
    }
CREATE(cuDevicePrimaryCtxRetain, (CUcontext *context, CUdevice device), (context, device))
CREATE(cuCtxCreate, (CUcontext *context, unsigned flags, CUdevice device), (context, flags, device))
CREATE(cuCtxCreate_v2, (CUcontext *context, unsigned flags, CUdevice device), (context, flags, device))
CREATE(cuCtxCreate_v3, (CUcontext *context, void *affinity, int entries, unsigned flags, CUdevice device), (context, affinity, entries, flags, device))
CREATE(cuCtxCreate_v4, (CUcontext *context, CUctxCreateParams *parameters, unsigned flags, CUdevice device), (context, parameters, flags, device))

static void gone(CUcontext context) {
    remove_from_list(context);
    capture_context_gone(context);
    pools_context_gone(context);
    peers_context_gone(context);
    pitches_context_gone(context);
    left_context_gone(context);
    limits_context_gone(context);
    allocations_context_gone(context);
    shared_context_gone(context);
}

/* To end a context. While the process is parked nothing of it runs, and what it has parked ends with it: so the call does not wait for the
 * unpark, and commands wait for the call. */
struct ending { struct giving *giving; int parked, cancellation; };

static struct ending enter_to_end(void) {
    static const struct timespec nap = {0, 200000};
    for (;;) {
        struct ending e = {order_enter_memory_now(), 0, 0};
        if (!e.giving && order_is_let_through()) e.giving = order_enter_memory();
        if (e.giving) return e;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &e.cancellation);
        if ((e.parked = park_hold())) return e;
        pthread_setcancelstate(e.cancellation, NULL);
        nanosleep(&nap, NULL);
    }
}

static void leave_ended(const struct ending *e) {
    if (e->giving) return order_leave_memory(e->giving);
    park_let_go();
    pthread_setcancelstate(e->cancellation, NULL);
}

#define DESTROY(name) \
    EXPORT CUresult name(CUcontext context) { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct ending e = enter_to_end(); \
        engine_close(context); \
        pthread_rwlock_wrlock(&ending); \
        pools_context_leaves(context); \
        CUresult result = d->name(context); \
        if (result) pools_context_stays(context); \
        else gone(context); \
        pthread_rwlock_unlock(&ending); \
        leave_ended(&e); \
        return result; \
    }
DESTROY(cuCtxDestroy)
DESTROY(cuCtxDestroy_v2)

static int is_active(CUdevice device) {
    unsigned flags;
    int active = 0;
    return !driver()->cuDevicePrimaryCtxGetState(device, &flags, &active) && active;
}

/* NULL: there is none. */
static CUcontext primary_of(CUdevice device) {
    CUcontext context = NULL;
    if (!driver()->complete || !is_active(device)) return NULL;
    if (!driver()->cuDevicePrimaryCtxRetain(&context, device)) driver()->cuDevicePrimaryCtxRelease_v2(device);
    return context;
}

#define LET_GO(name) \
    EXPORT CUresult name(CUdevice device) { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        struct ending e = enter_to_end(); \
        pthread_rwlock_wrlock(&ending); \
        CUcontext primary = primary_of(device); \
        struct ring *ring = engine_hold_primary(device); \
        if (primary) pools_context_leaves(primary); \
        CUresult result = d->name(device); \
        engine_release_primary(ring); \
        if (primary && is_active(device)) pools_context_stays(primary); \
        else if (primary) gone(primary); \
        pthread_rwlock_unlock(&ending); \
        leave_ended(&e); \
        return result; \
    }
LET_GO(cuDevicePrimaryCtxRelease)
LET_GO(cuDevicePrimaryCtxRelease_v2)
LET_GO(cuDevicePrimaryCtxReset)
LET_GO(cuDevicePrimaryCtxReset_v2)

/* A green context is destroyed under another handle, so that its end would not be seen. */
EXPORT CUresult cuCtxFromGreenCtx(CUcontext *context, void *green) {
    const struct driver *d = driver();
    if (!d) return CUDA_ERROR_NOT_INITIALIZED;
    CUresult result = d->cuCtxFromGreenCtx(context, green);
    if (!result && context) engine_refuse(*context);
    return result;
}
