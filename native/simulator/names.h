/* Functions are exported under versioned names, and asked for without the version. */
#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include <string.h>

/* Is `asked` the name of the function less its suffix _vN? */
static inline int is_base_name(const char *function, const char *asked) {
    size_t length = strlen(function);
    if (length > 3 && !strncmp(function + length - 3, "_v", 2)) length -= 3;
    return strlen(asked) == length && !strncmp(function, asked, length);
}

static inline int is_name(const char *function, const char *asked) { return !strcmp(function, asked) || is_base_name(function, asked); }

#endif
