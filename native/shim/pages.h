/* Large pieces of host memory, of huge pages, touched by many threads. */
#ifndef TORPOR_PAGES_H
#define TORPOR_PAGES_H

#include <stddef.h>
#include <sys/mman.h>

/* The C library's, which the shim stands in for. */
void *real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int real_munmap(void *address, size_t bytes);

size_t pages_round(size_t bytes);
char *pages_map(size_t bytes); /* private; NULL: there is not so much */
char *pages_grow(char *old, size_t from, size_t to); /* may move; NULL: the old one is as it was */
void pages_populate(char *at, size_t bytes);

#endif
