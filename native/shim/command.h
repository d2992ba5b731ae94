/* The commands of the control socket. */
#ifndef TORPOR_COMMAND_H
#define TORPOR_COMMAND_H

#include <stddef.h>

enum { LONGEST_LINE = 8192, LONGEST_ANSWER = 16384 }; /* with the NUL; with the end of the line */

void command_thread_begin(void); /* by each thread that runs commands, first */
int command_is_question(const char *line); /* it only reads, and waits for no command: any thread may run it at any time */
int command_can_be_called_off(const char *line); /* it is wanted as long as who has given it is there */
void command_set_pending(int count); /* commands under way or waiting, for the answer to `status`; by the thread that runs questions */
size_t command_run(char *line, char *answer, size_t room); /* the answer's length, with its end of line */

#endif
