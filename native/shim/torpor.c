/* libtorpor.so, preloaded into a process that is to be suspended. */
#ifndef TORPOR_VERSION
#define TORPOR_VERSION "0"
#endif

extern __attribute__((visibility("default"))) const char torpor_shim_version[];
const char torpor_shim_version[] = TORPOR_VERSION;
