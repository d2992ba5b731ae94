#ifndef TORPOR_LIFECYCLE_H
#define TORPOR_LIFECYCLE_H

/* When the process turns out to use CUDA. Once. */
void lifecycle_begin(void);

/* When CUDA is initialised, be it in a child of a process that only loaded the driver: what is copied from now on is this process's. */
void lifecycle_own(void);

/* After the driver's own handlers were registered, so that what is done at exit comes before them; and again when the process is first
 * parked, so that it comes before what the program has registered by then. */
void lifecycle_watch_exit(void);

#endif
