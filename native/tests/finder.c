/* A library that overrides a function of libc and asks for the next one, as interposers do. */
#define _GNU_SOURCE
#include "finder.h"

#include <dlfcn.h>

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int getpagesize(void) { return FINDERS_PAGE; }

/* No call from the end of the function: the loader knows who asks by where the call returns to. */
VISIBLE void *finder_next(const char *name) {
    void *volatile found = dlsym(RTLD_NEXT, name);
    return found;
}

__asm__(".symver dlsym_old, dlsym@GLIBC_2.2.5");
void *dlsym_old(void *handle, const char *name);

VISIBLE void *finder_next_old(const char *name) {
    void *volatile found = dlsym_old(RTLD_NEXT, name);
    return found;
}
