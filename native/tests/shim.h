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

#endif
