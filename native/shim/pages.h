/* Large pieces of host memory, of huge pages, touched by many threads. */
#ifndef TORPOR_PAGES_H
#define TORPOR_PAGES_H

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

/* The C library's, which the shim stands in for. */
void *real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
int real_munmap(void *address, size_t bytes);

size_t pages_round(size_t bytes);
char *pages_map(size_t bytes); /* private, not touched yet; NULL: there is not so much */
char *pages_grow(char *old, size_t from, size_t to); /* may move; what is new is not touched yet. NULL: the old one is as it was */

/* Threads that touch pages from the first to the last. Whoever is faster than they are touches the rest himself. */
enum { MOST_POPULATING_THREADS = 64 };
struct populating {
    char *at;
    size_t bytes;
    _Atomic size_t next;
    pthread_t threads[MOST_POPULATING_THREADS];
    int started;
};
void pages_populate_begin(struct populating *populating, char *at, size_t bytes);
void pages_populate_end(struct populating *populating); /* all are touched */
void pages_populate(char *at, size_t bytes);

#endif
