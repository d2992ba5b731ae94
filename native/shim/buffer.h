/* The mapping that the driver takes for a checkpoint. */
#ifndef TORPOR_BUFFER_H
#define TORPOR_BUFFER_H

#include <stdint.h>

void buffer_watch(void); /* after cuInit: from now on the driver may be asked for a checkpoint */
void buffer_after_fork(void);
uint64_t buffer_takings(void); /* how often the driver has been given its buffer */

#endif
