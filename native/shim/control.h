/* The socket on which a process is told to park: docs/parking.md. */
#ifndef TORPOR_CONTROL_H
#define TORPOR_CONTROL_H

void control_begin(void); /* once CUDA is initialised */
void control_end(void);   /* at exit: nobody finds the socket any more */
void control_after_fork(void);

#endif
