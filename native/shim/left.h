/* Device memory that the driver has allocated for the program itself: it cannot be parked, and is counted. Thread-safe. */
#ifndef TORPOR_LEFT_H
#define TORPOR_LEFT_H

#include "driver.h"

struct left { size_t bytes; CUcontext context; CUdevice device; }; /* context: with which it goes; NULL: with none */

void left_add(CUdeviceptr address, struct left left);
struct left left_remove(CUdeviceptr address); /* before the driver frees it, which may give the address to another thread at once. No bytes: it is not known */
void left_context_gone(CUcontext context);
uint64_t left_on(CUdevice device);
uint64_t left_bytes(void); /* on all */
void left_after_fork(void);

#endif
