#define _GNU_SOURCE
#include "statistics.h"
#include "torpor.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct tally { _Atomic uint64_t count, bytes, nanoseconds; };
static struct tally copies[DIRECTIONS], passages[PASSAGES], unparkable, buffers, kept, driver_copies;

/* Small copies come by the million from many threads, so these do not share their cache lines. */
enum { STRIPES = 16 };
static struct { struct tally passed[REASON_COUNT]; } __attribute__((aligned(128))) stripes[STRIPES];

static unsigned stripe(void) {
    static _Atomic unsigned threads;
    static _Thread_local unsigned mine __attribute__((tls_model("initial-exec"))); /* one more than the stripe */
    if (!mine) mine = 1 + atomic_fetch_add(&threads, 1) % STRIPES;
    return mine - 1;
}

static void add(struct tally *tally, uint64_t bytes, uint64_t nanoseconds) {
    atomic_fetch_add_explicit(&tally->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tally->bytes, bytes, memory_order_relaxed);
    if (nanoseconds) atomic_fetch_add_explicit(&tally->nanoseconds, nanoseconds, memory_order_relaxed);
}

void count_copy(enum direction direction, size_t bytes, uint64_t nanoseconds) { add(&copies[direction], bytes, nanoseconds); }
void count_passed(enum reason reason, size_t bytes) { add(&stripes[stripe()].passed[reason], bytes, 0); }
void count_left(size_t bytes) { add(&unparkable, bytes, 0); }
void count_passage(enum passage passage, size_t bytes, uint64_t nanoseconds) { add(&passages[passage], bytes, nanoseconds); }
void count_buffer(size_t bytes, uint64_t nanoseconds, int again) { add(again ? &kept : &buffers, bytes, nanoseconds); }
void count_driver_copy(size_t bytes, uint64_t nanoseconds) { add(&driver_copies, bytes, nanoseconds); }

uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct text { char *at; size_t room, length; };

static void __attribute__((format(printf, 2, 3))) append(struct text *text, const char *format, ...) {
    size_t left = text->length < text->room ? text->room - text->length : 0;
    va_list args;
    va_start(args, format);
    int more = vsnprintf(left ? text->at + text->length : NULL, left, format, args);
    va_end(args);
    if (more > 0) text->length += (size_t)more;
}

static void append_timed(struct text *text, const char *name, const struct tally *tally) {
    uint64_t bytes = atomic_load(&tally->bytes), ns = atomic_load(&tally->nanoseconds);
    append(text, "%s%s=%llu %s_bytes=%llu %s_seconds=%.6f", text->length ? " " : "", name,
           (unsigned long long)atomic_load(&tally->count), name, (unsigned long long)bytes, name, (double)ns / 1e9);
}

/* For what moves its bytes: a kept buffer does not. */
static void append_moved(struct text *text, const char *name, const struct tally *tally) {
    uint64_t bytes = atomic_load(&tally->bytes), ns = atomic_load(&tally->nanoseconds);
    append_timed(text, name, tally);
    append(text, " %s_gbps=%.2f", name, ns ? (double)bytes / (double)ns : 0.0);
}

static void append_passed(struct text *text, const char *name, enum reason reason) {
    uint64_t count = 0, bytes = 0;
    for (int i = 0; i < STRIPES; i++) {
        count += atomic_load(&stripes[i].passed[reason].count);
        bytes += atomic_load(&stripes[i].passed[reason].bytes);
    }
    append(text, " passed_%s=%llu passed_%s_bytes=%llu", name, (unsigned long long)count, name, (unsigned long long)bytes);
}

size_t torpor_statistics(char *line, size_t room) {
    struct text text = {line, room, 0};
    append_moved(&text, "to_device", &copies[TO_DEVICE]);
    append_moved(&text, "to_host", &copies[TO_HOST]);
#define APPEND(upper, lower) append_passed(&text, #lower, PASSED_##upper);
    REASONS(APPEND)
    append_moved(&text, "parked", &passages[PARKED]);
    append_moved(&text, "unparked", &passages[UNPARKED]);
    append(&text, " left=%llu left_bytes=%llu", (unsigned long long)atomic_load(&unparkable.count), (unsigned long long)atomic_load(&unparkable.bytes));
    append_moved(&text, "buffer", &buffers);
    append_timed(&text, "buffer_kept", &kept);
    append_moved(&text, "buffer_copies", &driver_copies);
    return text.length;
}
