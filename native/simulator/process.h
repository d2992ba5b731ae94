/* What /proc says about a process. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include <stdint.h>

int process_start(int pid, uint64_t *start); /* in ticks since the host's boot, to one tick; 0: gone */
int process_same_start(uint64_t one, uint64_t other);
int process_has_thread(int pid, int tid);
int process_of_thread(int tid);              /* the process id, 0: no such thread */
int process_exists(int pid);
int process_maps(int pid, uint64_t inode);              /* whether it has mapped a file of this number; 0 also where that cannot be read */
int process_thread_named(int pid, const char *name); /* its id, 0: none */
uint64_t process_space(int pid);                /* its pid namespace; 0: cannot be told */
int process_sees_all(void);                     /* whether every process of the host has a pid here */
int process_here(uint64_t space, int pid);      /* the pid here of one that has this pid in its own namespace; 0: none that can be seen */
int process_permitted(int pid);

#endif
