/* Copies by the CPU, between the program's memory and pinned memory. */
#ifndef TORPOR_MOVE_H
#define TORPOR_MOVE_H

#include <stddef.h>

void move_in(char *pinned, const char *from, size_t bytes);
void move_out(char *to, const char *pinned, size_t bytes);

#endif
