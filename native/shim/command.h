/* The commands of the control socket. By its thread alone. */
#ifndef TORPOR_COMMAND_H
#define TORPOR_COMMAND_H

#include <stddef.h>

void command_thread_begin(void);
size_t command_run(char *line, char *answer, size_t room); /* the answer's length, without an end of line */

#endif
