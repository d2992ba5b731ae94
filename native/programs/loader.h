/* The driver, loaded when the program runs: TORPOR_LIBCUDA, or libcuda.so.1. */
#ifndef TORPOR_LOADER_H
#define TORPOR_LOADER_H

#include "../abi/cuda_functions.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline const char *driver_path(void) {
    const char *path = getenv("TORPOR_LIBCUDA");
    return path && *path ? path : "libcuda.so.1";
}

static inline void *driver_open(void) {
    void *library = dlopen(driver_path(), RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    return library;
}

static inline void *driver_symbol(void *library, const char *name) {
    void *symbol = dlsym(library, name);
    if (!symbol) {
        fprintf(stderr, "%s has no %s\n", driver_path(), name);
        exit(2);
    }
    return symbol;
}

/* FUNCTION(cuInit) declares a pointer of that name, LOAD(library, cuInit) sets it: the calls then read as usual. */
#define FUNCTION(name) static __typeof__(name) *p_##name
#define LOAD(library, name) (p_##name = (__typeof__(name) *)driver_symbol(library, #name))

static inline double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

#endif
