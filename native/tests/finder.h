#ifndef TORPOR_TESTS_FINDER_H
#define TORPOR_TESTS_FINDER_H

enum { FINDERS_PAGE = 12345 };
void *finder_next(const char *name);
void *finder_next_old(const char *name); /* by the version that binaries from before glibc 2.34 ask for */

#endif
