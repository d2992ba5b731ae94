/* A process that is its own driver's thread for checkpoints, and takes the mapping for one. */
#ifndef TORPOR_TESTS_BUFFER_H
#define TORPOR_TESTS_BUFFER_H

#include "mapping.h"
#include "parking.h"

#include <pthread.h>

enum { TAKEN = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE };

static inline struct mapping mine(const void *address) { return mapping_of(getpid(), address); }

static inline void *become_the_restore_thread(void) {
    void *library = dlopen(output_path("tests/stub/libcuda.so.1"), RTLD_NOW);
    if (!library) abort();
    OK(((__typeof__(cuInit) *)dlsym(library, "cuInit"))(0));
    command("status"); /* what the control thread maps as it begins is mapped, and never where a buffer has just been */
    return library;
}

static inline char *take(size_t bytes) { return mmap(NULL, bytes, PROT_READ | PROT_WRITE, TAKEN, -1, 0); }

/* Each asks for a stack that nobody has. */
static inline void no_more_threads(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)1 << 46);
    pthread_setattr_default_np(&attributes);
}

#endif
