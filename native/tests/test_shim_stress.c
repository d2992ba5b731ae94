/* A program of many threads gives the same results, whether it is parked all the time or left alone. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "virtual.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

enum { WORKERS = 8, SLOTS = 3, WORDS = 2 * MIB / 8 };
static CUcontext context;
static CUfunction fill_kernel; /* loaded before any thread captures: a real driver may spoil a capture for it */
static _Atomic int running;

struct slot { CUdeviceptr at; handle_t handle; uint64_t seed; int kind; };
struct worker { pthread_t thread; int rounds; unsigned seed; uint64_t sum; };

/* By every way there is, in turn. */
static void take(struct slot *slot, int kind, CUstream s) {
    slot->kind = kind;
    if (kind == 0) OK(cu.cuMemAlloc_v2(&slot->at, 2 * MIB));
    else if (kind == 1) OK(cu.cuMemAllocAsync(&slot->at, 2 * MIB, s));
    else slot->at = mapped(2 * MIB, slot->handle = made(2 * MIB));
}

static void give(struct slot *slot, CUstream s) {
    if (slot->kind == 0) OK(cu.cuMemFree_v2(slot->at));
    else if (slot->kind == 1) OK(cu.cuMemFreeAsync(slot->at, s));
    else {
        OK(cu.cuStreamSynchronize(s));
        OK(cu.cuMemUnmap(slot->at, 2 * MIB));
        OK(cu.cuMemRelease(slot->handle));
        OK(cu.cuMemAddressFree(slot->at, 2 * MIB));
    }
    slot->at = 0;
}

static CUgraphExec copying_graph(CUdeviceptr to, CUdeviceptr from, CUstream s) {
    CUgraph graph = NULL;
    CUgraphExec made_of_it = NULL;
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cu.cuMemcpyDtoDAsync_v2(to, from, 2 * MIB, s));
    OK(cu.cuStreamEndCapture(s, &graph));
    OK(cu.cuGraphInstantiateWithFlags(&made_of_it, graph, 0));
    OK(cu.cuGraphDestroy(graph));
    return made_of_it;
}

static uint64_t sum_of(const uint64_t *words) {
    uint64_t sum = 0;
    for (int i = 0; i < WORDS; i += 61) sum = sum * 31 + words[i];
    return sum;
}

static void work(struct worker *w, struct slot *slots, CUfunction fill, uint64_t *host, CUstream s) {
    struct slot *slot = &slots[rand_r(&w->seed) % SLOTS], *other = &slots[rand_r(&w->seed) % SLOTS];
    uint64_t first = 0, count = WORDS, seed = (uint64_t)rand_r(&w->seed);
    if (!slot->at) take(slot, rand_r(&w->seed) % 3, s);
    OK(launch(fill, s, (void *[]){&slot->at, &first, &count, &seed}));
    if (other->at && other != slot) {
        if (rand_r(&w->seed) % 4 == 0) {
            CUgraphExec graph = copying_graph(other->at, slot->at, s);
            OK(cu.cuGraphLaunch(graph, s));
            OK(cu.cuStreamSynchronize(s));
            OK(cu.cuGraphExecDestroy(graph));
        } else OK(cu.cuMemcpyDtoDAsync_v2(other->at, slot->at, 2 * MIB, s));
        slot = other;
    }
    if (rand_r(&w->seed) % 2) OK(cu.cuMemsetD32Async(slot->at, (unsigned)rand_r(&w->seed), 1024, s));
    OK(cu.cuMemcpyDtoHAsync_v2(host, slot->at, 2 * MIB, s));
    OK(cu.cuStreamSynchronize(s));
    w->sum = w->sum * 1000003 + sum_of(host);
    if (rand_r(&w->seed) % 3 == 0) {
        OK(cu.cuMemcpyHtoD_v2(slot->at, host, 2 * MIB));
        give(slot, s);
    }
}

static void *run_worker(void *worker) {
    struct worker *w = worker;
    struct slot slots[SLOTS] = {0};
    uint64_t *host = malloc(2 * MIB);
    OK(cu.cuCtxSetCurrent(context));
    CUstream s = made_stream();
    for (int i = 0; i < w->rounds; i++) work(w, slots, fill_kernel, host, s);
    for (int i = 0; i < SLOTS; i++)
        if (slots[i].at) give(&slots[i], s);
    OK(cu.cuStreamSynchronize(s));
    OK(cu.cuStreamDestroy_v2(s));
    free(host);
    running--;
    return NULL;
}

static void start_workers(struct worker *workers, int rounds, unsigned seed) {
    running = WORKERS;
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.rounds = rounds, .seed = seed + (unsigned)i};
        pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]);
    }
}

static uint64_t join_workers(struct worker *workers) {
    uint64_t sum = 0;
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        sum = sum * 1000003 + workers[i].sum;
    }
    OK(cu.cuCtxSynchronize());
    return sum;
}

static int files(void) {
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (readdir(all)) count++;
    closedir(all);
    return count;
}

/* How often it was parked. Captures keep it from that for moments. */
static int park_meanwhile(unsigned seed) {
    int parked = 0, fd = connect_to(getpid());
    while (running) {
        const char *answer = answer_on(fd, "park timeout-ms=20000");
        int done = is_ok(answer);
        if (!done && !is_error(answer, "busy")) fail_at(__FILE__, __LINE__, "park: %s", answer);
        parked += done;
        if (done && rand_r(&seed) % 4 == 0) sleep_ms((int)(rand_r(&seed) % 3));
        if (done && !is_ok(answer = answer_on(fd, "unpark"))) fail_at(__FILE__, __LINE__, "unpark: %s", answer);
        if (rand_r(&seed) % 3 == 0) sleep_ms((int)(rand_r(&seed) % 3));
    }
    close(fd);
    return parked;
}

static unsigned chosen_seed(void) {
    const char *text = getenv("TORPOR_TEST_SEED");
    unsigned seed = text ? (unsigned)strtoul(text, NULL, 10) : 4711;
    printf("    seed %u\n", seed);
    return seed;
}

static struct { size_t device; long host, threads; int files; } held;

static void look_at_what_is_held(void) {
    COMMAND_OK("release");
    held.device = free_memory();
    held.host = kib_of(getpid(), "RssAnon:");
    held.threads = kib_of(getpid(), "Threads:");
    held.files = files();
}

static void expect_no_more_held(void) {
    COMMAND_OK("release");
    EXPECT_IS(held.device, free_memory());
    EXPECT(sanitized() || kib_of(getpid(), "RssAnon:") < held.host + 1024);
    for (int i = 0; i < 100 && (files() > held.files || kib_of(getpid(), "Threads:") > held.threads); i++) sleep_ms(5); /* the last connections end there too */
    EXPECT(kib_of(getpid(), "Threads:") <= held.threads);
    EXPECT(files() <= held.files);
    EXPECT_IS(0, status_of("parkable_bytes"));
}

static void resultsAreTheSameAsWithoutParking(void) {
    struct worker workers[WORKERS];
    int rounds = sanitized() ? 15 : 50, wanted = (sanitized() ? 40 : 200) * soak(), parked = 0, runs = 0;
    unsigned seed = chosen_seed();
    double most_ms = (sanitized() ? 15000 : 12000) * soak(), begun = now_ms();
    mallopt(M_MMAP_THRESHOLD, 256 << 10); /* else the C library keeps what was freed, and how much is chance */
    setenv("TORPOR_SIM_DELAY_US", "20", 1);
    context = use_device(0);
    fill_kernel = kernel("torpor_fill");
    start_workers(workers, rounds, seed);
    uint64_t alone = join_workers(workers);
    for (; runs < 3 || (parked < wanted && now_ms() - begun < most_ms); runs++) {
        start_workers(workers, rounds, seed);
        parked += park_meanwhile(seed + (unsigned)runs);
        EXPECT(join_workers(workers) == alone);
        if (runs == 1) look_at_what_is_held(); /* what the C library keeps for its threads is there by then */
    }
    expect_no_more_held();
    printf("    parked %d times\n", parked);
    EXPECT(parked >= wanted || now_ms() - begun >= most_ms);
}

/* --- one thread, and everything that can be done with memory --- */

static void anyOrderOfCallsKeepsTheBytes(void) {
    enum { MANY = 12 };
    struct { struct slot slot; size_t bytes; unsigned seed; } all[MANY] = {0};
    unsigned seed = chosen_seed() + 1;
    int parked = 0;
    setenv("TORPOR_SIM_DELAY_US", "0", 1);
    context = use_device(0);
    fill_kernel = kernel("torpor_fill");
    CUstream s = made_stream();
    size_t before = settled_memory();
    for (int i = 0; i < (sanitized() ? 120 : 500) * soak(); i++) {
        int n = (int)(rand_r(&seed) % MANY), what = (int)(rand_r(&seed) % 8);
        struct slot *slot = &all[n].slot;
        if (what == 0) {
            if (parked) COMMAND_OK("unpark");
            else COMMAND_OK("park");
            parked = !parked;
        } else if (slot->at && what < 5 && (slot->kind < 2 || !parked)) {
            if (!parked) EXPECT_PATTERN(slot->at + all[n].bytes - 4096, 4096, all[n].seed);
            give(slot, s);
        } else if (!slot->at && !parked) {
            take(slot, (int)(rand_r(&seed) % 3), s);
            all[n].bytes = 2 * MIB;
            all[n].seed = (unsigned)rand_r(&seed) % 1000;
            OK(cu.cuStreamSynchronize(s));
            write_pattern(slot->at + all[n].bytes - 4096, 4096, all[n].seed);
        }
    }
    if (parked) COMMAND_OK("unpark");
    for (int n = 0; n < MANY; n++) {
        if (!all[n].slot.at) continue;
        EXPECT_PATTERN(all[n].slot.at + all[n].bytes - 4096, 4096, all[n].seed);
        give(&all[n].slot, s);
    }
    OK(cu.cuCtxSynchronize());
    EXPECT_IS(before, free_memory());
    EXPECT_IS(0, status_of("parkable_bytes"));
}

int main(void) {
    RUN(resultsAreTheSameAsWithoutParking);
    RUN(anyOrderOfCallsKeepsTheBytes);
    return summary();
}
