/* What the tests of the preloaded shim share. */
#ifndef TORPOR_TESTS_SHIM_H
#define TORPOR_TESTS_SHIM_H

#include "harness.h"
#include "../shim/torpor.h"

#include <dlfcn.h>

/* The settings are read once, so a test asks for its own before it loads the driver. */
static inline void engine_at_once(const char *streams) {
    setenv("TORPOR_COPY_STREAMS", streams, 1);
    setenv("TORPOR_COPY_START", "0", 1);
}

/* The engine takes copies of 64 KiB and more, in many parts. */
static inline void engine_takes_most(const char *streams) {
    engine_at_once(streams);
    setenv("TORPOR_COPY_MIN", "64K", 1);
    setenv("TORPOR_COPY_CHUNK", "64K", 1);
}

static inline int sanitized(void) { return getenv("TORPOR_SANITIZED") != NULL; }

#define RUN_IF(wanted, test, why) do { \
        if (wanted) RUN(test); \
        else printf("  skipped %s: " why "\n", #test); \
    } while (0)
#define RUN_SIMULATED(test, why) RUN_IF(simulated(), test, why)
#define RUN_REAL(test, why) RUN_IF(!simulated(), test, why)

/* A function of the driver that the simulator has not, as a program finds it. */
#define REAL(name) ((__typeof__(name) *)dlsym(driver_library, #name))

/* One number of torpor_statistics. */
static inline unsigned long long statistic(const char *name) {
    char line[8192] = "", *at;
    size_t length = strlen(name);
    __typeof__(torpor_statistics) *statistics = (__typeof__(torpor_statistics) *)dlsym(RTLD_DEFAULT, "torpor_statistics");
    if (statistics) statistics(line, sizeof line);
    for (at = line; (at = strstr(at, name)); at++)
        if ((at == line || at[-1] == ' ') && at[length] == '=') return strtoull(at + length + 1, NULL, 10);
    fail_at(__FILE__, __LINE__, "no %s in: %s", name, line);
    return 0;
}

static inline unsigned long long by_engine(void) { return statistic("to_device") + statistic("to_host"); }

/* Where a stream seems busy for too long, as each may on a busy machine, the driver makes the engine's copy. */
static inline unsigned long long meant_for_engine(void) { return by_engine() + statistic("passed_busy"); }

static inline unsigned long long by_driver(void) {
    static const char *const reasons[] = {"small", "shaped", "off", "aside", "capture", "pinned", "managed", "device", "host", "other", "cold", "busy"};
    unsigned long long sum = 0;
    char name[32];
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        snprintf(name, sizeof name, "passed_%s", reasons[i]);
        sum += statistic(name);
    }
    return sum;
}

static inline CUdeviceptr of(const void *host) { return (CUdeviceptr)(uintptr_t)host; }

/* A copy that the shim never takes, complete on return. Its stream is one that waits for no other. */
static inline void driver_download(void *to, CUdeviceptr from, size_t bytes, CUstream s) {
    CUDA_MEMCPY2D line = {.srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = from, .srcPitch = bytes, .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = to, .dstPitch = bytes, .WidthInBytes = bytes, .Height = 1};
    OK(cu.cuMemcpy2DAsync_v2(&line, s));
    OK(cu.cuStreamSynchronize(s));
}

static inline int all_are(const char *memory, char value, size_t bytes) { return !bytes || (*memory == value && !memcmp(memory, memory + 1, bytes - 1)); }

/* A size that /proc/PID/status tells, as "VmSize:", or a number. */
static inline long kib_of(int pid, const char *field) {
    char path[64], line[256];
    long value = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field))) value = strtol(line + strlen(field), NULL, 10);
    if (file) fclose(file);
    return value;
}

/* The twelve ways to copy, and the stream that each belongs to. */
enum form { PLAIN, PLAIN_PTDS, UNIFIED, UNIFIED_PTDS, LATER, LATER_PTSZ, UNIFIED_LATER, UNIFIED_LATER_PTSZ, FORMS };
static inline int is_later(enum form form) { return form >= LATER; }
static inline int is_per_thread(enum form form) { return form % 2; }

static inline CUresult upload(enum form form, CUdeviceptr to, const void *from, size_t n, CUstream s) {
    switch (form) {
    case PLAIN: return cu.cuMemcpyHtoD_v2(to, from, n);
    case PLAIN_PTDS: return cu.cuMemcpyHtoD_v2_ptds(to, from, n);
    case UNIFIED: return cu.cuMemcpy(to, of(from), n);
    case UNIFIED_PTDS: return cu.cuMemcpy_ptds(to, of(from), n);
    case LATER: return cu.cuMemcpyHtoDAsync_v2(to, from, n, s);
    case LATER_PTSZ: return cu.cuMemcpyHtoDAsync_v2_ptsz(to, from, n, s);
    case UNIFIED_LATER: return cu.cuMemcpyAsync(to, of(from), n, s);
    default: return cu.cuMemcpyAsync_ptsz(to, of(from), n, s);
    }
}

static inline CUresult download(enum form form, void *to, CUdeviceptr from, size_t n, CUstream s) {
    switch (form) {
    case PLAIN: return cu.cuMemcpyDtoH_v2(to, from, n);
    case PLAIN_PTDS: return cu.cuMemcpyDtoH_v2_ptds(to, from, n);
    case UNIFIED: return cu.cuMemcpy(of(to), from, n);
    case UNIFIED_PTDS: return cu.cuMemcpy_ptds(of(to), from, n);
    case LATER: return cu.cuMemcpyDtoHAsync_v2(to, from, n, s);
    case LATER_PTSZ: return cu.cuMemcpyDtoHAsync_v2_ptsz(to, from, n, s);
    case UNIFIED_LATER: return cu.cuMemcpyAsync(of(to), from, n, s);
    default: return cu.cuMemcpyAsync_ptsz(of(to), from, n, s);
    }
}

static inline CUresult settle(enum form form, CUstream s) { return is_per_thread(form) ? cu.cuStreamSynchronize_ptsz(s) : cu.cuStreamSynchronize(s); }

/* What a copy of so many bytes carries; the caller's. */
/* Nobody else has it yet, and sanitizers look at each byte. */
static __attribute__((no_sanitize_thread, no_sanitize_address, unused)) char *pattern_of(size_t bytes, unsigned seed) {
    char *text = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) text[i] = (char)((i + seed) * 7 + i / 4096);
    return text;
}

/* Up and down once in the current context; what comes back is right. */
static inline void copy_bytes(size_t bytes, unsigned seed) {
    CUdeviceptr device = 0;
    char *out = pattern_of(bytes, seed), *in = calloc(1, bytes);
    OK(cu.cuMemAlloc_v2(&device, bytes));
    OK(cu.cuMemcpyHtoD_v2(device, out, bytes));
    OK(cu.cuMemcpyDtoH_v2(in, device, bytes));
    EXPECT(!memcmp(in, out, bytes));
    OK(cu.cuMemFree_v2(device));
    free(out);
    free(in);
}

#endif
