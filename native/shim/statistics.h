/* What was done, and what was left to the driver and why. */
#ifndef TORPOR_STATISTICS_H
#define TORPOR_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

enum direction { TO_DEVICE, TO_HOST, DIRECTIONS };

/* Why a copy is the driver's. The order is that of the checks. */
#define REASONS(X) \
    X(SMALL, small)         /* below TORPOR_COPY_MIN */ \
    X(SHAPED, shaped)       /* 2D or 3D */ \
    X(OFF, off)             /* TORPOR_COPY=0 */ \
    X(ASIDE, aside)         /* the engine cannot help in this process */ \
    X(CAPTURE, capture)     /* a stream is being captured */ \
    X(PINNED, pinned)       /* or registered: the driver is fast */ \
    X(MANAGED, managed)     \
    X(DEVICE, device)       /* on both sides */ \
    X(HOST, host)           /* on both sides */ \
    X(OTHER, other)         /* no context, nothing known at the address, out of bounds, a green context */ \
    X(COLD, cold)           /* too little has been copied to start the engine */ \
    X(BUSY, busy)           /* the engine would be free too late */
enum reason {
#define REASON(upper, lower) PASSED_##upper,
    REASONS(REASON)
#undef REASON
    REASON_COUNT,
    NOT_PASSED = -1
};

void count_copy(enum direction direction, size_t bytes, uint64_t nanoseconds);
void count_passed(enum reason reason, size_t bytes);
void count_left(size_t bytes); /* an allocation that was asked for and cannot be parked */
enum passage { PARKED, UNPARKED, PASSAGES };
void count_passage(enum passage passage, size_t bytes, uint64_t nanoseconds);
void count_buffer(size_t bytes, uint64_t nanoseconds, int kept);
void count_driver_copy(size_t bytes, uint64_t nanoseconds); /* from or to that buffer */
uint64_t clock_ns(void);

#endif
