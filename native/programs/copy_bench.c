/* copy-bench: how fast cuMemcpyHtoD and cuMemcpyDtoH are, from pageable or pinned host memory. Every word is verified, outside of what is timed. */
#define _GNU_SOURCE
#include "loader.h"
#include "kernels.h"
#include "pattern.h"
#include "sizes.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CALLS(X) \
    X(cuInit) X(cuDeviceGet) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuCtxSynchronize) X(cuModuleLoadData) \
    X(cuModuleGetFunction) X(cuLaunchKernel) X(cuMemAlloc_v2) X(cuMemsetD8_v2) X(cuMemHostAlloc) X(cuMemcpyHtoD_v2) X(cuMemcpyDtoH_v2)
#define DECLARE(name) FUNCTION(name);
CALLS(DECLARE)

enum { MAX_SIZES = 32, MAX_SAMPLES = 1000, MAX_THREADS = 256, MAX_HELPERS = 32 };
enum direction { FROM_GPU, TO_GPU, DIRECTIONS };
static const char *const direction_names[] = {"from-gpu", "to-gpu"};

static struct {
    size_t sizes[MAX_SIZES], span, warm;
    int size_count, rounds, pinned, threads, copies, device, json, serve, wanted[DIRECTIONS];
} options = {
    .sizes = {64 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30, 8ULL << 30}, .size_count = 6,
    .span = 256 << 20, .warm = 1 << 30, .rounds = 5, .copies = 20, .wanted = {1, 1},
};

static CUcontext context;
static CUfunction fill_kernel, check_kernel;
static CUdeviceptr device_memory, bad_words;
static uint64_t *host_memory;
static size_t capacity;
static uint64_t seed, host_seed; /* of the pattern, and of the one that host memory holds */
static size_t host_words;        /* so many of its words */

static void must(CUresult result, const char *call) {
    if (!result) return;
    printf("{\"failed\":\"%s\",\"code\":%d}\n", call, (int)result);
    exit(1);
}
#define CALL(name, ...) must(p_##name(__VA_ARGS__), #name)

static void *must_have(void *memory, const char *what) {
    if (memory && memory != MAP_FAILED) return memory;
    fprintf(stderr, "copy-bench: no %s\n", what);
    exit(1);
}

/* Host memory is written and compared by all CPUs: by one it would take longer than what is measured. */
struct part {
    pthread_t thread;
    size_t first, words, wrong;
};

static void *fill_part(void *argument) {
    const struct part *part = argument;
    uint64_t *words = host_memory, now = host_seed;
    for (size_t i = part->first, end = i + part->words; i < end; i++) words[i] = pattern(now, i);
    return NULL;
}

static void *check_part(void *argument) {
    struct part *part = argument;
    const uint64_t *words = host_memory, now = host_seed;
    size_t wrong = 0;
    for (size_t i = part->first, end = i + part->words; i < end; i++) wrong += words[i] != pattern(now, i);
    part->wrong = wrong;
    return NULL;
}

static size_t in_parallel(void *(*work)(void *), size_t words) {
    struct part parts[MAX_HELPERS] = {{0}};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = cpus < 1 || words < 1 << 20 ? 1 : cpus > MAX_HELPERS ? MAX_HELPERS : (size_t)cpus, wrong = 0;
    for (size_t i = 0; i < count; i++) {
        parts[i].first = words / count * i;
        parts[i].words = i + 1 == count ? words - parts[i].first : words / count;
        if (pthread_create(&parts[i].thread, NULL, work, &parts[i])) must_have(NULL, "thread");
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(parts[i].thread, NULL);
        wrong += parts[i].wrong;
    }
    return wrong;
}

static void fill_host(size_t words) {
    if (words <= host_words) return;
    host_seed = ++seed;
    in_parallel(fill_part, host_words = words);
}

static void launch(CUfunction kernel, void **parameters) {
    CALL(cuLaunchKernel, kernel, 256, 1, 1, 256, 1, 1, 0, NULL, parameters, NULL);
    CALL(cuCtxSynchronize);
}

static void fill_device(uint64_t words) {
    cuuint64_t first = 0;
    void *parameters[] = {&device_memory, &first, &words, &host_seed};
    host_seed = ++seed;
    host_words = words;
    launch(fill_kernel, parameters);
}

static size_t check_device(uint64_t words) {
    cuuint64_t first = 0, wrong;
    void *parameters[] = {&device_memory, &first, &words, &host_seed, &bad_words};
    CALL(cuMemsetD8_v2, bad_words, 0, sizeof wrong);
    launch(check_kernel, parameters);
    CALL(cuMemcpyDtoH_v2, &wrong, bad_words, sizeof wrong);
    return wrong;
}

/* The source holds a pattern, and the destination another content. */
static void prepare(enum direction direction, size_t bytes) {
    if (direction == FROM_GPU) {
        fill_device(bytes / 8);
        return;
    }
    fill_host(bytes / 8);
    CALL(cuMemsetD8_v2, device_memory, 0, bytes);
    CALL(cuCtxSynchronize);
}

static void verify(enum direction direction, size_t bytes) {
    size_t wrong = direction == FROM_GPU ? in_parallel(check_part, bytes / 8) : check_device(bytes / 8);
    if (!wrong) return;
    printf("{\"failed\":\"verification\",\"direction\":\"%s\",\"bytes\":%zu,\"wrong_words\":%zu}\n", direction_names[direction], bytes, wrong);
    exit(1);
}

static void copy(enum direction direction, size_t at, size_t bytes) {
    if (direction == FROM_GPU) CALL(cuMemcpyDtoH_v2, (char *)host_memory + at, device_memory + at, bytes);
    else CALL(cuMemcpyHtoD_v2, device_memory + at, (char *)host_memory + at, bytes);
}

static void copy_all(enum direction direction, size_t size, size_t copies) {
    for (size_t i = 0; i < copies; i++) copy(direction, i * size, size);
}

/* Small copies to the GPU may return early: the time ends when all of them have arrived. */
static double timed_alone(enum direction direction, size_t size, size_t copies) {
    double begun = now_us();
    copy_all(direction, size, copies);
    CALL(cuCtxSynchronize);
    return now_us() - begun;
}

struct copier {
    pthread_t thread;
    enum direction direction;
    size_t at, size, copies;
};
static pthread_barrier_t barrier;

static void *copy_in_thread(void *argument) {
    struct copier *me = argument;
    CALL(cuCtxSetCurrent, context);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < me->copies; i++) copy(me->direction, me->at + i * me->size, me->size);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static double timed_in_threads(enum direction direction, size_t size, size_t copies, int threads) {
    static struct copier copiers[MAX_THREADS];
    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (int i = 0; i < threads; i++) {
        copiers[i] = (struct copier){.direction = direction, .at = (size_t)i * copies * size, .size = size, .copies = copies};
        if (pthread_create(&copiers[i].thread, NULL, copy_in_thread, &copiers[i])) must_have(NULL, "thread");
    }
    pthread_barrier_wait(&barrier);
    double begun = now_us();
    pthread_barrier_wait(&barrier);
    CALL(cuCtxSynchronize);
    double taken = now_us() - begun;
    for (int i = 0; i < threads; i++) pthread_join(copiers[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    return taken;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* So many copies of a size, each of memory of its own, make a sample; with threads, each thread makes so many. */
static void measure(enum direction direction, size_t size, size_t copies, int threads, int samples) {
    static double speeds[MAX_SAMPLES];
    size_t bytes = size * copies * (threads ? (size_t)threads : 1);
    for (int i = 0; i < samples; i++) {
        prepare(direction, bytes);
        double us = threads ? timed_in_threads(direction, size, copies, threads) : timed_alone(direction, size, copies);
        speeds[i] = (double)bytes / us / 1e3;
        verify(direction, bytes);
    }
    qsort(speeds, (size_t)samples, sizeof *speeds, ascending);
    double median = (speeds[(samples - 1) / 2] + speeds[samples / 2]) / 2;
    if (!options.json) {
        printf("%-8s %12zu bytes  %5zu copies  %3d threads  %7.2f GB/s (%.2f to %.2f)\n", direction_names[direction], size, copies,
               threads ? threads : 1, median, speeds[0], speeds[samples - 1]);
        return;
    }
    printf("{\"direction\":\"%s\",\"memory\":\"%s\",\"size\":%zu,\"copies\":%zu,\"threads\":%d,\"samples\":%d,", direction_names[direction],
           options.pinned ? "pinned" : "pageable", size, copies, threads ? threads : 1, samples);
    printf("\"median\":%.4f,\"min\":%.4f,\"max\":%.4f,\"unit\":\"GB/s\",\"verified\":true}\n", median, speeds[0], speeds[samples - 1]);
}

static size_t copies_of(size_t size) { return size < options.span ? options.span / size : 1; }

/* What a preloaded shim starts only for somebody who copies much, it has started after this. */
static void warm_up(size_t bytes) {
    size_t size = capacity < bytes ? capacity : bytes;
    for (size_t done = 0; size && done < bytes; done += size) {
        copy_all(TO_GPU, size, 1);
        copy_all(FROM_GPU, size, 1); /* the same content as before */
    }
}

static void start(void) {
    CUdevice device;
    CUmodule module;
    CALL(cuInit, 0);
    CALL(cuDeviceGet, &device, options.device);
    CALL(cuDevicePrimaryCtxRetain, &context, device);
    CALL(cuCtxSetCurrent, context);
    CALL(cuModuleLoadData, &module, kernels_ptx);
    CALL(cuModuleGetFunction, &fill_kernel, module, "torpor_fill");
    CALL(cuModuleGetFunction, &check_kernel, module, "torpor_check");
    CALL(cuMemAlloc_v2, &bad_words, sizeof(cuuint64_t));
    CALL(cuMemAlloc_v2, &device_memory, capacity);
    if (options.pinned) CALL(cuMemHostAlloc, (void **)&host_memory, capacity, 0);
    else host_memory = must_have(mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "host memory");
    fill_host(capacity / 8);
    warm_up(options.warm);
}

/* The preloaded shim's version and statistics, or nothing. */
static void say_shim(void) {
    char line[4096] = "";
    const char *version = dlsym(RTLD_DEFAULT, "torpor_shim_version");
    size_t (*statistics)(char *, size_t) = (size_t (*)(char *, size_t))dlsym(RTLD_DEFAULT, "torpor_statistics");
    if (statistics) statistics(line, sizeof line);
    printf("{\"shim\":\"%s\",\"statistics\":\"%s\"}\n", version ? version : "", line);
}

static int parse_direction(const char *text) {
    for (int i = 0; i < DIRECTIONS; i++)
        if (!strcmp(text, direction_names[i])) return i;
    return -1;
}

/* measure DIRECTION SIZE SAMPLES | threads DIRECTION SIZE SAMPLES THREADS COPIES | shim: one line of answer each. */
static int obey(const char *line) {
    char command[16] = "", way[16] = "", text[32] = "";
    int samples = 0, threads = 0, copies = 0, direction;
    size_t size = 0;
    int words = sscanf(line, "%15s %15s %31s %d %d %d", command, way, text, &samples, &threads, &copies);
    if (!strcmp(command, "shim")) return say_shim(), 1;
    direction = parse_direction(way);
    if (words < 4 || direction < 0 || !parse_size(text, &size) || !size || size % 8 || samples < 1 || samples > MAX_SAMPLES) return 0;
    if (!strcmp(command, "measure") && words == 4 && size * copies_of(size) <= capacity)
        return measure((enum direction)direction, size, copies_of(size), 0, samples), 1;
    if (strcmp(command, "threads") || words < 6 || threads < 1 || threads > MAX_THREADS || copies < 1) return 0;
    if (capacity / size < (size_t)threads * (size_t)copies) return 0;
    return measure((enum direction)direction, size, (size_t)copies, threads, samples), 1;
}

static void serve(void) {
    char line[256];
    say_shim();
    while (fgets(line, sizeof line, stdin) && strcmp(line, "quit\n"))
        if (!obey(line)) printf("{\"failed\":\"cannot obey\"}\n");
}

static void measure_all(void) {
    for (int i = 0; i < options.size_count; i++)
        for (int direction = 0; direction < DIRECTIONS; direction++) {
            size_t copies = options.threads ? (size_t)options.copies : copies_of(options.sizes[i]);
            if (options.wanted[direction]) measure((enum direction)direction, options.sizes[i], copies, options.threads, options.rounds);
        }
    if (options.json) say_shim();
}

static int usage(void) {
    fprintf(stderr, "usage: copy-bench [--sizes SIZE,SIZE...] [--rounds N] [--direction to-gpu|from-gpu|both] [--pinned] [--json] [--device N]\n"
                    "                  [--threads N [--copies N]] [--span SIZE] [--warm SIZE] [--serve]\n"
                    "--span: small copies are repeated until so much is copied. --warm: so much is copied before anything is measured.\n"
                    "--serve: the largest of the sizes is the room, and commands come on the input.\n");
    return 64;
}

static int parse_sizes(const char *text) {
    char copy_of[512], *rest = copy_of, *word;
    snprintf(copy_of, sizeof copy_of, "%s", text);
    for (options.size_count = 0; (word = strsep(&rest, ",")); options.size_count++) {
        if (options.size_count == MAX_SIZES) return 0;
        size_t *size = &options.sizes[options.size_count];
        if (!parse_size(word, size) || !*size || *size % 8) return 0;
    }
    return 1;
}

static int parse_directions(const char *text) {
    int direction = parse_direction(text);
    if (direction < 0) return !strcmp(text, "both");
    options.wanted[!direction] = 0;
    return 1;
}

static int parse_count(const char *text, int least, int most, int *count) {
    unsigned long long number;
    if (!parse_number(text, &number) || number < (unsigned)least || number > (unsigned)most) return 0;
    *count = (int)number;
    return 1;
}

static int parse_option(const char *name, const char *value) {
    if (!strcmp(name, "--sizes")) return parse_sizes(value);
    if (!strcmp(name, "--span")) return parse_size(value, &options.span);
    if (!strcmp(name, "--warm")) return parse_size(value, &options.warm);
    if (!strcmp(name, "--direction")) return parse_directions(value);
    if (!strcmp(name, "--rounds")) return parse_count(value, 1, MAX_SAMPLES, &options.rounds);
    if (!strcmp(name, "--threads")) return parse_count(value, 1, MAX_THREADS, &options.threads);
    if (!strcmp(name, "--copies")) return parse_count(value, 1, INT_MAX, &options.copies);
    return !strcmp(name, "--device") && parse_count(value, 0, INT_MAX, &options.device);
}

static int parse_options(int count, char **words) {
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--pinned")) options.pinned = 1;
        else if (!strcmp(words[i], "--json")) options.json = 1;
        else if (!strcmp(words[i], "--serve")) options.serve = options.json = 1;
        else if (i + 1 == count || !parse_option(words[i], words[i + 1])) return 0;
        else i++;
    }
    return 1;
}

static size_t room(void) {
    size_t most = 0;
    for (int i = 0; i < options.size_count; i++) {
        size_t size = options.sizes[i], bytes = size * copies_of(size);
        size_t threaded = size * (size_t)options.threads * (size_t)options.copies;
        if (bytes > most) most = bytes;
        if (threaded > most) most = threaded;
    }
    return most;
}

int main(int count, char **words) {
    if (!parse_options(count, words)) return usage();
    setvbuf(stdout, NULL, _IOLBF, 0);
    capacity = room();
    void *library = driver_open();
#define LOAD_ONE(name) LOAD(library, name);
    CALLS(LOAD_ONE)
    start();
    if (options.serve) serve();
    else measure_all();
    return 0;
}
