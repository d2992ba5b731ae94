/*
 * bindings.h - before a park, every library calls the wrappers.
 *
 * A library that is opened with RTLD_DEEPBIND is bound to the driver itself. driver_bind_libraries() mends that at the first dlsym()
 * after it was loaded; what nobody has looked into since is mended here. The loader is waited for by a thread of its own, as another
 * thread may stay in dlopen() for long.
 */
#ifndef TORPOR_BINDINGS_H
#define TORPOR_BINDINGS_H

#include <stdint.h>

enum bound { BOUND, BOUND_LOADING /* a library is still being loaded */, BOUND_PAST /* bindings_culprit() calls the driver past the shim */ };

enum bound bindings_settle(uint64_t until); /* clock_ns() */
const char *bindings_culprit(void);
void bindings_after_fork(void);

#endif
