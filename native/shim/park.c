#define _GNU_SOURCE
#include "park.h"
#include "allocate.h"
#include "arena.h"
#include "bindings.h"
#include "buffer.h"
#include "closer.h"
#include "contexts.h"
#include "devices.h"
#include "gate.h"
#include "identity.h"
#include "lifecycle.h"
#include "limits.h"
#include "parcel.h"
#include "pool.h"
#include "settings.h"
#include "shared.h"
#include "statistics.h"
#include "threads.h"
#include "torpor.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const uint64_t EXIT_NS = 2000000000; /* how long the end of the process waits for a command */
enum { LOADING_MS = 1000 }; /* a library that is loaded right now gets so long at least */
enum { SECOND_NS = 1000000000 };
enum { SHORTEST_MS = 10 };  /* for a GPU that has nothing to do, too, as threads take turns to find that out */

static _Atomic int state; /* enum park_state */
static pthread_mutex_t at_work = PTHREAD_MUTEX_INITIALIZER;
static struct parcel parcel; /* what is parked */
static struct { pthread_mutex_t mutex; char name[CONTROLLER_NAME]; } parked_by = {PTHREAD_MUTEX_INITIALIZER, ""}; /* the name is empty where the park did not say it */
static struct { char folder[PATH_MAX]; struct seal seal; int keep; } left; /* in files; no bytes: nothing is */

int park_on(void) { return settings()->park && driver() && driver()->can_park; }

static void __attribute__((format(printf, 3, 4))) say_error(struct answer *answer, const char *code, const char *format, ...) {
    va_list args;
    answer->error = code;
    va_start(args, format);
    vsnprintf(answer->text, sizeof answer->text, format, args);
    va_end(args);
}

static void __attribute__((format(printf, 2, 3))) say_ok(struct answer *answer, const char *format, ...) {
    va_list args;
    answer->error = NULL;
    va_start(args, format);
    vsnprintf(answer->text, sizeof answer->text, format, args);
    va_end(args);
}

static double seconds(uint64_t from, uint64_t to) { return (double)(to - from) / 1e9; }
static double rate(uint64_t bytes, uint64_t from, uint64_t to) { return to > from ? (double)bytes / (double)(to - from) : 0; }

static const char *state_name(void) {
    static const char *const names[] = {"running", "parking", "parked", "unparking"};
    return names[atomic_load(&state)];
}

static void set_parked_by(const char *name) {
    pthread_mutex_lock(&parked_by.mutex);
    strcpy(parked_by.name, name ? name : "");
    pthread_mutex_unlock(&parked_by.mutex);
}

static void get_parked_by(char *name) {
    pthread_mutex_lock(&parked_by.mutex);
    strcpy(name, parked_by.name);
    pthread_mutex_unlock(&parked_by.mutex);
}

/* " devices=UUID:PARKED:LEFT,..." of the GPUs that the process uses. */
static void say_devices(const struct extent *here, struct answer *answer) {
    char uuid[DEVICE_UUID_TEXT], *at = answer->text + strlen(answer->text), *end = answer->text + sizeof answer->text;
    const char *before = " devices=";
    for (CUdevice device = 0; device < MAX_DEVICES && at < end; device++) {
        if (!here->device[device].used || !devices_uuid(device, uuid)) continue;
        at += snprintf(at, (size_t)(end - at), "%s%s:%llu:%llu", before, uuid, (unsigned long long)here->device[device].parked, (unsigned long long)here->device[device].left);
        before = ",";
    }
}

/* What a park left: until when somebody must say that it is still wanted. */
static _Atomic uint64_t lease_ns, lease_until; /* 0: for ever */
static _Atomic int called_off;

void park_call_off(int off) {
    atomic_store(&called_off, off);
    gate_call_off(off);
}

static void set_lease(uint64_t milliseconds) {
    atomic_store(&lease_ns, milliseconds * 1000000);
    atomic_store(&lease_until, milliseconds ? clock_ns() + milliseconds * 1000000 : 0);
}

/* After a restore by CRIU on another host the clock may say less than before: no lease is longer than it was. */
uint64_t park_lease_end(void) {
    uint64_t end = atomic_load(&lease_until), most = clock_ns() + atomic_load(&lease_ns);
    if (!end || atomic_load(&state) != PARKED_STATE) return 0;
    if (end <= most) return end;
    atomic_compare_exchange_strong(&lease_until, &end, most);
    return most;
}

static uint64_t lease_left_ms(void) {
    uint64_t end = park_lease_end(), now = clock_ns();
    return end > now ? (end - now + 999999) / 1000000 : 0;
}

void park_renew_lease(const uint64_t *milliseconds, struct answer *answer) {
    if (atomic_load(&state) != PARKED_STATE) return say_error(answer, "running", "the process is %s: a lease is of one that is parked.", state_name());
    if (!milliseconds && !atomic_load(&lease_ns)) return say_error(answer, "argument", "the process was parked without a lease: say how long with lease-ms=N.");
    set_lease(milliseconds ? *milliseconds : atomic_load(&lease_ns) / 1000000);
    say_ok(answer, "lease_ms=%llu lease_left_ms=%llu", (unsigned long long)(atomic_load(&lease_ns) / 1000000), (unsigned long long)lease_left_ms());
}

/* The sizes may be a little old, since a status never waits for a thread that has the list of blocks. */
void park_status(int pending, struct answer *answer) {
    static struct extent here; /* of the one thread that asks */
    struct identity self = identity_now();
    char by[CONTROLLER_NAME];
    struct shared_counts shared = shared_count();
    get_parked_by(by);
    blocks_try_extent(&here);
    say_ok(answer, "version=%s pid=%d state=%s parkable_bytes=%llu parked_bytes=%llu left_bytes=%llu arena_bytes=%llu pending_commands=%d parked_by=%s"
           " pid_namespace=%llu start_ticks=%llu lease_ms=%llu lease_left_ms=%llu imports=%u multicasts=%u driver_buffers=%llu",
           torpor_shim_version, self.pid, state_name(),
           (unsigned long long)here.parkable, (unsigned long long)here.parked, (unsigned long long)here.left, (unsigned long long)arena_size(), pending, by,
           self.pid_namespace, self.start_ticks, (unsigned long long)(park_lease_end() ? atomic_load(&lease_ns) / 1000000 : 0), (unsigned long long)lease_left_ms(), shared.imports, shared.multicasts,
           (unsigned long long)buffer_takings());
    say_devices(&here, answer);
}

static _Atomic int ends; /* the process does: no command begins any more */

static int begin(struct answer *answer) {
    if (!park_on()) say_error(answer, "off", "parking is off: TORPOR_PARK=0, or a driver or GPU without virtual memory management.");
    else if (atomic_load(&ends) || pthread_mutex_trylock(&at_work)) say_error(answer, "busy", "another command is at it: the process is %s.", state_name());
    else return 1;
    return 0;
}

/* What was parked before comes back all the same. */
static int begin_new(struct answer *answer) {
    if (!park_on() || !contexts_missed()) return begin(answer);
    say_error(answer, "off", "parking is off: the process has had more than %d contexts at once.", MAX_CONTEXTS);
    return 0;
}

static void end(enum park_state new) {
    atomic_store(&state, new);
    pthread_mutex_unlock(&at_work);
}

/* Where a park goes. */
struct target {
    const char *folder; /* NULL: into memory */
    int synced;         /* on the disk before device memory is released */
    int made;           /* files are there, and open */
    struct stored stored;
};

static void drop_files(struct target *target) {
    if (target->made) stored_end(&target->stored, 0);
    target->made = 0;
}

/* What an earlier park has left is given up first: the files are in memory, too, until the disk has them. */
static int make_files(uint64_t bytes, struct target *target, struct answer *answer) {
    char name[STORED_NAME];
    if (!bytes || (target->made && target->stored.seal.bytes >= bytes)) return 1;
    drop_files(target);
    arena_release();
    enum stored_answer made = stored_make(&target->stored, target->folder, bytes);
    target->made = made == STORED_READY;
    if (target->made) return 1;
    stored_name(target->stored.file, name);
    if (made == STORED_NO_MEMORY) say_error(answer, "host-memory", "%s is in memory, and %llu bytes of host memory cannot be had. Nothing was parked: name a directory on a disk.", target->folder, (unsigned long long)bytes);
    else if (made == STORED_DISK_FULL) say_error(answer, "arena", "%s cannot hold %llu bytes: %s. Nothing was parked.", target->folder, (unsigned long long)bytes, strerror(errno));
    else say_error(answer, "arena", "%s%s cannot be %s: %s. Nothing was parked.", target->folder, name, *name ? "made" : "used as a folder", strerror(errno));
    return 0;
}

static int make_arena(uint64_t bytes, struct answer *answer) {
    if (arena_reserve(bytes)) return 1;
    say_error(answer, "host-memory", "%llu bytes of host memory cannot be had: %s. Nothing was parked.", (unsigned long long)bytes, strerror(errno));
    return 0;
}

/* 0: there is not enough, and why. */
static int make_room(uint64_t bytes, struct target *target, struct answer *answer) {
    return target->folder ? make_files(bytes, target, answer) : make_arena(bytes, answer);
}

/* What an unpark could not bring back has its place in host memory still. 0: there is some. */
static int nothing_waits(struct answer *answer) {
    uint64_t bytes = blocks_extent().parked;
    if (bytes) say_error(answer, "lost", "%llu bytes of an earlier park are still in host memory: unpark tries again to bring them back, unpark force=1 gives them up.", (unsigned long long)bytes);
    return !bytes;
}

void park_prepare(struct answer *answer) {
    if (!begin_new(answer)) return;
    uint64_t begun = clock_ns();
    enum park_state now = atomic_load(&state);
    if (now != RUNNING) say_error(answer, "parked", "the process is parked already.");
    else if (nothing_waits(answer) && make_arena(blocks_extent().parkable, answer)) {
        arena_touch_begin();
        arena_touch_end();
        say_ok(answer, "arena_bytes=%llu seconds=%.6f", (unsigned long long)arena_size(), seconds(begun, clock_ns()));
    }
    end(now);
}

static int say_called_off(struct answer *answer) { return say_error(answer, "busy", "the park was called off: its controller has hung up. The process goes on."), 0; }

static int shut(uint64_t timeout_ms, struct answer *answer) {
    CUresult error = CUDA_SUCCESS;
    switch (gate_close((timeout_ms > SHORTEST_MS ? timeout_ms : SHORTEST_MS) * 1000000, &error)) {
    case GATE_CLOSED: return 1;
    case GATE_CAPTURE: say_error(answer, "busy", "a stream is being captured. Try again when the capture has ended."); return 0;
    case GATE_BUSY: say_error(answer, "busy", "the GPU's work did not end within %llu ms. The process goes on.", (unsigned long long)timeout_ms); return 0;
    case GATE_CALLED_OFF: return say_called_off(answer);
    case GATE_NO_THREAD: say_error(answer, "busy", "no thread can be started to wait for the GPU: raise the limit of processes (RLIMIT_NPROC, or pids.max of the cgroup). The process goes on."); return 0;
    default: say_error(answer, "driver", "a context of the process is not sound: cuCtxSynchronize answers %d. The process goes on.", (int)error); return 0;
    }
}

static void reopen(void) {
    allocations_defer(0);
    allocations_sweep();
    gate_open();
}

struct times { uint64_t begun, shut, ready, copied, gone; };

/* With the gate closed. */
static int move_out(struct target *target, struct times *times, struct answer *answer) {
    struct failure failure = {0};
    pools_empty();
    if (!parcel_pack(&parcel)) return say_error(answer, "host-memory", "no host memory for the list of blocks. Nothing was parked."), 0;
    if (!make_room(parcel.bytes, target, answer)) return parcel_forget(&parcel), 0;
    times->ready = clock_ns();
    arena_touch_begin(); /* the copies need not wait for the last page */
    struct shelf shelf = {.base = arena_base(), .file = target->made ? &target->stored : NULL};
    int good = parcel_copy_out(&parcel, &shelf, &failure);
    if (good && shelf.file) good = parcel_seal(&parcel, shelf.file, target->synced);
    arena_touch_end();
    times->copied = clock_ns();
    if (good && atomic_load(&called_off)) return parcel_forget(&parcel), say_called_off(answer);
    if (good) return parcel_release(&parcel), 1;
    int unwritten = shelf.file ? atomic_load(&shelf.file->error) : 0;
    if (unwritten) say_error(answer, "arena", "%s cannot be written: %s. Nothing was parked.", target->folder, strerror(unwritten));
    else say_error(answer, "driver", "%s answers %d. Nothing was parked.", failure.call, (int)failure.result);
    parcel_forget(&parcel);
    return 0;
}

/* A library that calls the driver past the shim would find its memory gone. */
static int bind_all(uint64_t begun, uint64_t timeout_ms, struct answer *answer) {
    enum bound bound = bindings_settle(begun + (timeout_ms > LOADING_MS ? timeout_ms : LOADING_MS) * 1000000);
    if (bound == BOUND_LOADING) say_error(answer, "busy", "a library is being loaded, and its calls are not seen yet. The process goes on.");
    if (bound == BOUND_PAST) say_error(answer, "off", "%s calls the driver past the shim: it was opened with RTLD_DEEPBIND, and its imports cannot be written to.", bindings_culprit());
    return bound == BOUND;
}

static int park(uint64_t timeout_ms, struct target *target, struct answer *answer) {
    struct times times = {.begun = clock_ns()};
    if (!bind_all(times.begun, timeout_ms, answer)) return 0;
    if (!make_room(blocks_extent().parkable, target, answer)) return 0;
    uint64_t prepared = clock_ns();
    if (!shut(timeout_ms, answer)) return 0;
    times.shut = clock_ns();
    allocations_defer(1);
    devices_ask_again();
    if (!move_out(target, &times, answer)) return reopen(), 0;
    limits_lower();
    times.gone = clock_ns();
    count_passage(PARKED, parcel.bytes, times.gone - times.begun);
    say_ok(answer, "bytes=%llu copied_bytes=%llu blocks=%llu left_bytes=%llu wait_seconds=%.6f arena_seconds=%.6f copy_seconds=%.6f release_seconds=%.6f seconds=%.6f gbps=%.2f%s",
           (unsigned long long)parcel.bytes, (unsigned long long)parcel.copied, (unsigned long long)parcel.count, (unsigned long long)blocks_extent().left, seconds(prepared, times.shut),
           seconds(times.begun, prepared) + seconds(times.shut, times.ready), seconds(times.ready, times.copied), seconds(times.copied, times.gone),
           seconds(times.begun, times.gone), rate(parcel.copied, times.ready, times.copied), !target->made ? "" : target->synced ? " synced=1" : " synced=0");
    return 1;
}

static void leave_files(struct target *target, int keep) {
    stored_end(&target->stored, 1);
    strcpy(left.folder, target->folder);
    left.seal = target->stored.seal;
    left.keep = keep;
}

void park_park(const struct park_options *options, struct answer *answer) {
    if (!begin_new(answer)) return;
    if (atomic_load(&state) == PARKED_STATE) return say_error(answer, "parked", "the process is parked already."), end(PARKED_STATE);
    if (!nothing_waits(answer)) return end(RUNNING);
    atomic_store(&state, PARKING);
    closer_await(); /* what the files of the last one still take is needed now, and no process is to be dumped with them */
    struct target target = {.folder = options->folder, .synced = options->synced};
    int parked = park(options->timeout_ms, &target, answer);
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (parked) set_lease(options->lease_ms), set_parked_by(options->by), pthread_once(&once, lifecycle_watch_exit); /* before the state says so */
    if (!parked) drop_files(&target), arena_done();
    else if (target.made) leave_files(&target, options->keep);
    end(parked ? PARKED_STATE : RUNNING);
}

/* After what was brought is given up again. */
static void say_short(struct answer *answer, struct failure failure) {
    struct failure room = {0};
    if (failure.result == CUDA_ERROR_OUT_OF_MEMORY && !failure.missing && !parcel_has_room(&parcel, &room)) failure = room;
    if (failure.missing) say_error(answer, "device-memory", "missing=%llu bytes on device %d. Nothing is lost: free them and unpark again.", (unsigned long long)failure.missing, failure.device);
    else if (failure.result == CUDA_ERROR_OUT_OF_MEMORY) say_error(answer, "device-memory", "missing=0 by now: %s answered 2. Nothing is lost: unpark again.", failure.call);
    else say_error(answer, "driver", "%s answers %d. Nothing is lost: unpark again.", failure.call, (int)failure.result);
}

/* Where the bytes are: what has to be ended afterwards, or nothing. 0: there is no getting at them. */
static int find_shelf(const char *folder, struct shelf *shelf, struct stored *stored, struct answer *answer) {
    char name[STORED_NAME];
    shelf->base = arena_base();
    if (folder && !left.seal.bytes && parcel.bytes) return say_error(answer, "arena", "the process is parked in memory, not in %s. Nothing is lost: unpark without it.", folder), 0;
    if (!left.seal.bytes) return 1;
    if (!folder) folder = left.folder;
    enum stored_answer opened = stored_open(stored, folder, &left.seal);
    if (opened == STORED_READY) return shelf->file = stored, 1;
    stored_name(stored->file, name);
    if (opened == STORED_NOT_THERE) say_error(answer, "arena", "%s%s cannot be opened: %s. Nothing is lost: unpark with arena=FOLDER, where the files are now.", folder, name, strerror(errno));
    else if (opened == STORED_FOREIGN) say_error(answer, "arena", "%s%s is of another park or another process: no file was read or removed. Unpark with arena=FOLDER, where this process's files are now.", folder, name);
    else say_error(answer, "arena", "%s%s is no file of the %zu bytes that were parked. Nothing is lost: unpark with arena=FOLDER, where those files are now.", folder, name, left.seal.bytes);
    return 0;
}

/* lost: which devices cannot be reached any more; another one may turn out to be one of them */
static int move_in(const struct shelf *shelf, uint64_t *lost, struct times *times, struct answer *answer) {
    struct failure failure = {.call = "cuCtxSetLimit"};
    allocations_sweep(); /* what was freed meanwhile is not brought back */
    if (!parcel_repack(&parcel, *lost)) return say_error(answer, "host-memory", "no host memory for the list of blocks. Nothing is lost: unpark again."), 0;
    int whole = !(failure.result = limits_restore());
    int good = parcel_has_room(&parcel, &failure) && whole && parcel_map(&parcel, &failure); /* with what the contexts take */
    times->ready = clock_ns();
    good = good && parcel_fill(&parcel, shelf, &failure);
    times->copied = clock_ns();
    if (!good && whole) limits_lower();
    int unread = shelf->file ? atomic_load(&shelf->file->error) : 0;
    if (unread) say_error(answer, "arena", "the files of what is parked cannot be read: %s. Nothing was changed: mend them and unpark again.", strerror(unread));
    else if (!good) say_short(answer, failure);
    if (!good && failure.lost) *lost |= 1ULL << failure.device;
    return good;
}

/* Everything that can be reached. 0: not even that. */
static int bring_back(const struct shelf *shelf, uint64_t *lost, struct times *times, struct answer *answer) {
    uint64_t before;
    do {
        before = *lost;
        if (move_in(shelf, lost, times, answer)) return 1;
    } while (*lost != before);
    return 0;
}

static CUdevice first_of(uint64_t devices) { return __builtin_ctzll(devices); }

static void say_lost(struct answer *answer, uint64_t bytes, uint64_t lost, uint64_t back) {
    say_error(answer, "lost", "%llu bytes on device %d cannot be brought back, as its contexts have failed and no other can be made (%llu bytes came back). %s "
              "unpark force=1 gives them up.", (unsigned long long)bytes, first_of(lost), (unsigned long long)back, back ? "The process goes on without them." : "The process stays parked.");
}

static void end_shelf(const struct shelf *shelf, int keep) {
    if (shelf->file) stored_end(shelf->file, keep);
}

static int unpark(const char *folder, enum keeping keeping, int give_up, struct answer *answer) {
    struct times times = {.begun = clock_ns()};
    struct shelf shelf = {0};
    struct stored stored;
    uint64_t lost = 0;
    devices_ask_again();
    if (!find_shelf(folder, &shelf, &stored, answer)) return 0;
    if (!bring_back(&shelf, &lost, &times, answer)) return end_shelf(&shelf, 1), 0;
    uint64_t bytes = parcel.bytes, copied = parcel.copied, count = parcel.count, stays = blocks_extent().parked;
    parcel_forget(&parcel);
    if (stays && !bytes && !give_up) return limits_lower(), say_lost(answer, stays, lost, 0), end_shelf(&shelf, 1), 0;
    if (stays && give_up) parcel_give_up();
    reopen();
    times.gone = clock_ns();
    count_passage(UNPARKED, bytes, times.gone - times.begun);
    if (stays && !give_up) return say_lost(answer, stays, lost, bytes), end_shelf(&shelf, 1), 1;
    arena_done();
    end_shelf(&shelf, keeping == AS_PARKED ? left.keep : keeping == KEEP_FILES);
    left.seal.bytes = 0;
    times.gone = clock_ns();
    say_ok(answer, "bytes=%llu copied_bytes=%llu blocks=%llu map_seconds=%.6f copy_seconds=%.6f seconds=%.6f gbps=%.2f lost_bytes=%llu", (unsigned long long)bytes, (unsigned long long)copied, (unsigned long long)count,
           seconds(times.begun, times.ready), seconds(times.ready, times.copied), seconds(times.begun, times.gone), rate(copied, times.ready, times.copied), (unsigned long long)stays);
    return 1;
}

static int is_parked_by(const char *by) {
    char name[CONTROLLER_NAME];
    get_parked_by(name);
    return !strcmp(name, by);
}

/* What an unpark could not bring back, of a process that goes on: nobody uses it, so that the GPU need not be idle. */
static void unpark_rest(const char *folder, enum keeping keeping, int give_up, struct answer *answer) {
    if (!gate_close_at_once(SECOND_NS)) return say_error(answer, "busy", "a call of the program did not end. Try again.");
    allocations_defer(1);
    if (!unpark(folder, keeping, give_up, answer)) reopen();
}

void park_unpark(const char *folder, enum keeping keeping, const char *by, int give_up, struct answer *answer) {
    if (!begin(answer)) return;
    if (atomic_load(&state) != PARKED_STATE) {
        if (blocks_extent().parked) unpark_rest(folder, keeping, give_up, answer);
        else say_error(answer, "running", "the process is not parked.");
        return end(RUNNING);
    }
    if (by && !is_parked_by(by)) return say_error(answer, "parked", "another controller has parked the process."), end(PARKED_STATE);
    atomic_store(&state, UNPARKING);
    int unparked = unpark(folder, keeping, give_up, answer);
    if (unparked) set_parked_by(NULL);
    end(unparked ? RUNNING : PARKED_STATE);
}

void park_release(struct answer *answer) {
    if (!begin(answer)) return;
    enum park_state now = atomic_load(&state);
    if (now != RUNNING) say_error(answer, "parked", "the process is parked: its host memory holds what is to come back.");
    else if (nothing_waits(answer)) say_ok(answer, "arena_bytes=%llu", (unsigned long long)arena_release());
    end(now);
}

int park_hold(void) {
    if (pthread_mutex_trylock(&at_work)) return 0;
    if (atomic_load(&state) == PARKED_STATE) return 1;
    pthread_mutex_unlock(&at_work);
    return 0;
}

void park_let_go(void) { pthread_mutex_unlock(&at_work); }

void park_end(void) {
    atomic_store(&ends, 1);
    thread_lock_within(&at_work, EXIT_NS);
}

/* What was parked is the parent's. */
void park_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    at_work = parked_by.mutex = unlocked;
    atomic_store(&ends, 0);
    *parked_by.name = 0;
    set_lease(0);
    park_call_off(0);
    atomic_store(&state, RUNNING);
    parcel = (struct parcel){0};
    left.seal.bytes = 0;
}
