/* An engine of two streams, whose threads are looked at. */
#ifndef TORPOR_TESTS_ENGINE_H
#define TORPOR_TESTS_ENGINE_H

#include "shim.h"
#include "threads.h"

enum { MB = 1 << 20, BYTES = 8 * MB };

static inline CUcontext start_engine(void) {
    engine_at_once("2");
    return use_device(0);
}

static inline void copy_once(unsigned seed) { copy_bytes(BYTES, seed); }

#endif
