/* The exported functions: each wraps its do_ twin with what all have in common. */
#define _GNU_SOURCE
#include "driver.h"
#include "names.h"
#include "settings.h"

#include <stdlib.h>

#ifndef TORPOR_VERSION
#define TORPOR_VERSION "0"
#endif

enum needs { NOTHING, SETTINGS, INIT, CONTEXT };
enum locked { PASSES, WAITS };

struct call {
    struct fault fault;
    int gated;
};

static const char *exported_name(const char *asked);
static int configured;

static void configure(void) {
    int faults = faults_load(getenv("TORPOR_SIM_FAULTS"), 0, exported_name);
    configured = settings() && faults;
    if (configured && settings()->state != NO_STATE) atomic_store(&driver.forced_state, (int)settings()->state);
}

static CUresult allowed(enum needs needs) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    if (atomic_load(&driver.forked)) return CUDA_ERROR_NOT_INITIALIZED;
    if (needs == NOTHING) return CUDA_SUCCESS;
    if (needs == SETTINGS) return configured ? CUDA_SUCCESS : CUDA_ERROR_SYSTEM_NOT_READY;
    if (!atomic_load(&driver.ready)) return CUDA_ERROR_NOT_INITIALIZED;
    if (in_host_function) return CUDA_ERROR_NOT_PERMITTED;
    return needs == CONTEXT ? context_check() : CUDA_SUCCESS;
}

/* Nonzero: the work is to be done. */
static int call_begin(struct call *call, const char *name, enum needs needs, enum locked locked, CUresult *result) {
    call->gated = 0;
    call->fault = (struct fault){.code = -1, .state = -1};
    if ((*result = allowed(needs))) return 0;
    if (locked == WAITS) {
        gate_enter();
        call->gated = 1;
    }
    if (!fault_next(name, &call->fault)) return 1;
    if (call->fault.state >= 0) atomic_store(&driver.forced_state, call->fault.state);
    if (call->fault.after) return 1;
    fault_suffer(&call->fault);
    if (call->fault.code < 0) return 1;
    *result = (CUresult)call->fault.code;
    return 0;
}

static CUresult call_end(struct call *call, CUresult result) {
    if (call->fault.after) {
        fault_suffer(&call->fault);
        if (call->fault.code >= 0) result = (CUresult)call->fault.code;
    }
    if (call->gated) gate_leave();
    return result;
}

#define EXPORT(exported, name, own_stream, needs, locked, parameters, arguments) \
    __attribute__((visibility("default"))) CUresult exported parameters { \
        struct call call; \
        CUresult result; \
        null_is_per_thread = own_stream; \
        if (call_begin(&call, #name, needs, locked, &result)) result = do_##name arguments; \
        return call_end(&call, result); \
    }
#define DRIVER(name, since, needs, locked, parameters, arguments) \
    CUresult do_##name parameters; \
    EXPORT(name, name, 0, needs, locked, parameters, arguments)
#define PER_THREAD(suffix, name, since, needs, locked, parameters, arguments) \
    __typeof__(name) name##_##suffix; \
    DRIVER(name, since, needs, locked, parameters, arguments) \
    EXPORT(name##_##suffix, name, 1, needs, locked, parameters, arguments)
#include "functions.h"
#undef DRIVER

__attribute__((visibility("default"))) int torporSimulatorVersion(void);
int torporSimulatorVersion(void) { return 1; }
__attribute__((visibility("default"))) extern const char torporSimulatorBuild[];
const char torporSimulatorBuild[] = TORPOR_VERSION;

/* The names asked for are base names: a suffix _vN is not part of them. */
static const struct export { const char *name; int since; void *pointer, *per_thread; } exports[] = {
#define DRIVER(name, since, needs, locked, parameters, arguments) {#name, since, (void *)name, (void *)name},
#define PER_THREAD(suffix, name, since, needs, locked, parameters, arguments) {#name, since, (void *)name, (void *)name##_##suffix},
#include "functions.h"
#undef DRIVER
    {"torporSimulatorVersion", 0, (void *)torporSimulatorVersion, (void *)torporSimulatorVersion},
};

static const char *exported_name(const char *asked) {
    for (size_t i = 0; i < sizeof exports / sizeof exports[0]; i++)
        if (exports[i].since && is_name(exports[i].name, asked)) return exports[i].name;
    return NULL;
}

static void *look_up(const char *symbol, int version, int per_thread, int *status) {
    const struct export *found = NULL; /* the newest form that the version knows */
    *status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    for (size_t i = 0; i < sizeof exports / sizeof exports[0]; i++) {
        if (!is_base_name(exports[i].name, symbol)) continue;
        if (exports[i].since <= version && (!found || exports[i].since > found->since)) found = &exports[i];
        *status = found ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    }
    return !found ? NULL : per_thread ? found->per_thread : found->pointer;
}

CUresult do_cuGetProcAddress_v2(const char *symbol, void **pfn, int version, cuuint64_t flags, CUdriverProcAddressQueryResult *status) {
    int found;
    if (!symbol || !pfn || flags > CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) return CUDA_ERROR_INVALID_VALUE;
    *pfn = look_up(symbol, version, flags == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, &found);
    if (status) *status = (CUdriverProcAddressQueryResult)found;
    return CUDA_SUCCESS;
}

/* The ABI of CUDA 11.3, which has no status: what is missing is an error. */
__attribute__((visibility("default"))) CUresult cuGetProcAddress(const char *symbol, void **pfn, int version, cuuint64_t flags);
CUresult cuGetProcAddress(const char *symbol, void **pfn, int version, cuuint64_t flags) {
    CUdriverProcAddressQueryResult status;
    CUresult result = do_cuGetProcAddress_v2(symbol, pfn, version, flags, &status);
    return result ? result : status ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

/* CUDA's oldest forms, for programs that ask for them by name. */
#define OLDER(name, newer, parameters, arguments) \
    __attribute__((visibility("default"))) CUresult name parameters; \
    CUresult name parameters { return newer arguments; }
OLDER(cuStreamBeginCapture, cuStreamBeginCapture_v2, (CUstream stream), (stream, CU_STREAM_CAPTURE_MODE_GLOBAL))
OLDER(cuStreamBeginCapture_ptsz, cuStreamBeginCapture_v2_ptsz, (CUstream stream), (stream, CU_STREAM_CAPTURE_MODE_GLOBAL))
OLDER(cuStreamDestroy, cuStreamDestroy_v2, (CUstream stream), (stream))
