/* Where a loaded library keeps the addresses of what it calls in others. */
#ifndef TORPOR_IMPORTS_H
#define TORPOR_IMPORTS_H

enum { MOST_SLOTS = 4 };
struct imports {
    struct slot { void **at, *before; int read_only; } slots[MOST_SLOTS];
    int count; /* 0: the library does not call that function, or not by its name */
};

/* Of the library that has address in it. */
struct imports imports_find(const void *address, const char *function);

/* The library calls another function, until it is given its own back. What cannot be written to stays as it is. */
void imports_redirect(struct imports *imports, void *to);
void imports_give_back(const struct imports *imports);

#endif
