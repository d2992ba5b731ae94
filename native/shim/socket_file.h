/*
 * socket_file.h - the file of the control socket: in a directory that can be trusted, under a name that no living process has.
 *
 * The name is PID.sock, or PID-NAMESPACE.sock where a process of another pid namespace that shares the directory has that. A file whose
 * socket answers is never removed. What controllers look for is the same: Java's SocketFolder and ShimSocket, docs/parking.md.
 */
#ifndef TORPOR_SOCKET_FILE_H
#define TORPOR_SOCKET_FILE_H

int socket_file_open(int again);  /* a socket that listens there, or -1, and stderr says why, unless it is opened again */
int socket_file_is_current(void); /* 0: it was removed or replaced, or the process has another pid or namespace now */
void socket_file_remove(void);    /* the own file, and no other */

#endif
