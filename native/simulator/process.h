/* What /proc says about a process. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include <stdint.h>

int process_start(int pid, uint64_t *start); /* in ticks since the host's boot, to one tick; 0: gone */
int process_same_start(uint64_t one, uint64_t other);
int process_has_thread(int pid, int tid);
int process_of_thread(int tid);              /* the process id, 0: no such thread */
int process_exists(int pid);
int process_has_thread_named(int pid, const char *name);
int process_permitted(int pid);

#endif
