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

/* What a library that imports `name` is to call instead; NULL: what it does call. bound: NULL as long as the loader has not looked for it. */
typedef void *import_choice(const char *name, const void *bound);

int imports_driver_is_loaded(void); /* without a look at any file */
/* Whether libraries have been loaded since imports_rebind() was last done. */
int imports_have_new(void);
/* Looks through what libraries that are new import, but for the shim and the library that has `except` in it. May wait for a dlopen() of
 * another thread. 0: a library cannot be written to, and imports_stubborn() names it from now on. */
int imports_rebind(import_choice *choose, const void *except);
const char *imports_stubborn(void); /* NULL: none */

#endif
