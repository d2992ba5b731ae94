/* Which process this is, as others can tell it: a pid says nothing without its namespace, and is used again. CRIU may change all three. */
#ifndef TORPOR_IDENTITY_H
#define TORPOR_IDENTITY_H

struct identity {
    int pid;
    unsigned long long pid_namespace; /* the inode of /proc/self/ns/pid; 0: unknown */
    unsigned long long start_ticks;   /* field 22 of /proc/self/stat: clock ticks since boot; 0: unknown */
};

struct identity identity_now(void);

#endif
