/* The driver's own copies from and to the buffer of a checkpoint. */
#ifndef TORPOR_DRIVER_COPIES_H
#define TORPOR_DRIVER_COPIES_H

#include <stddef.h>

void driver_copies_watch(void); /* after cuInit of a driver that has checkpoints */

/* From here to the end the driver's copies from and to that memory are made by many threads. */
void driver_copies_begin(const char *buffer, size_t bytes);
void driver_copies_end(void);

#endif
