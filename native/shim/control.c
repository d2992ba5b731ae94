#define _GNU_SOURCE
#include "control.h"
#include "command.h"
#include "lifecycle.h"
#include "settings.h"
#include "threads.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_PEERS = 16, LONGEST_LINE = 8192, LONGEST_ANSWER = 16384, NAP_MS = 20 };

struct peer { int fd; size_t length; char line[LONGEST_LINE]; };
static struct peer peers[MAX_PEERS]; /* of the control thread alone */
static int peer_count;

static _Atomic int listening = -1;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct stat made; /* the socket's file, so that no other is removed */

static const char *folder(char *text, size_t room) {
    const char *wanted = getenv("TORPOR_DIR");
    if (wanted && *wanted) return wanted;
    snprintf(text, room, "/tmp/torpor-%u", (unsigned)geteuid());
    return text;
}

/* glibc's own has got a new name lately. */
static int look_at(const char *path, struct stat *found) { return (int)syscall(SYS_lstat, path, found); }

/* Somebody else's folder could hold anything. */
static int is_own(const char *path) {
    struct stat found;
    return !look_at(path, &found) && S_ISDIR(found.st_mode) && found.st_uid == geteuid() && !(found.st_mode & 022);
}

static int name_socket(void) {
    char standard[64];
    const char *path = folder(standard, sizeof standard);
    if (mkdir(path, 0700) && errno != EEXIST) return say(LOG_WARN, "no control socket: the folder %s cannot be made: %s.", path, strerror(errno)), 0;
    if (!is_own(path)) return say(LOG_WARN, "no control socket: %s is no folder that only this user may write to.", path), 0;
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%d.sock", path, (int)getpid()) < (int)sizeof address.sun_path) return 1;
    say(LOG_WARN, "no control socket: the path %s is too long; set TORPOR_DIR to a shorter one.", path);
    return 0;
}

/* The file of a process that had this number before is of no use. */
static int open_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    unlink(address.sun_path);
    int failed = bind(fd, (struct sockaddr *)&address, sizeof address) || chmod(address.sun_path, 0600) || listen(fd, MAX_PEERS) || look_at(address.sun_path, &made);
    int error = errno;
    if (!failed) return fd;
    say(LOG_WARN, "no control socket: %s: %s.", address.sun_path, strerror(error));
    close(fd);
    return -1;
}

/* 0: not all of it. */
static int send_line(int fd, const char *text, size_t length) {
    while (length) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        struct pollfd room = {fd, POLLOUT, 0};
        if (sent < 0 && errno == EAGAIN && poll(&room, 1, 1000) == 1) continue;
        if (sent <= 0) return 0; /* whoever does not read has no answer */
        text += sent;
        length -= (size_t)sent;
    }
    return 1;
}

static int may(int fd) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) && (credentials.uid == 0 || credentials.uid == geteuid());
}

static void welcome(void) {
    static const char no[] = "error permission only root and the process's own user may give commands.\n", full[] = "error busy too many connections.\n";
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        poll(NULL, 0, NAP_MS); /* who knocks goes on knocking where the process has no file left */
        return;
    }
    int allowed = may(fd);
    if (allowed && peer_count < MAX_PEERS) {
        peers[peer_count].fd = fd;
        peers[peer_count++].length = 0;
        return;
    }
    if (allowed) send_line(fd, full, sizeof full - 1);
    else send_line(fd, no, sizeof no - 1);
    close(fd);
}

static int answer_line(int fd, char *line) {
    static char text[LONGEST_ANSWER];
    size_t length = command_run(line, text, sizeof text - 1);
    text[length++] = '\n';
    return send_line(fd, text, length);
}

/* 0: it is gone, does not read, or talks nonsense. */
static int hear(struct peer *peer) {
    static const char long_line[] = "error argument the line is too long.\n";
    ssize_t got = recv(peer->fd, peer->line + peer->length, sizeof peer->line - peer->length, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (!got) return 0;
    peer->length += (size_t)got;
    for (char *end; (end = memchr(peer->line, '\n', peer->length));) {
        size_t used = (size_t)(end - peer->line) + 1;
        *end = 0;
        if (!answer_line(peer->fd, peer->line)) return 0; /* half of an answer would be taken for a part of the next */
        memmove(peer->line, peer->line + used, peer->length -= used);
    }
    if (peer->length < sizeof peer->line) return 1;
    send_line(peer->fd, long_line, sizeof long_line - 1);
    return 0;
}

static void turn(void) {
    struct pollfd list[MAX_PEERS + 1] = {{listening, POLLIN, 0}};
    for (int i = 0; i < peer_count; i++) list[i + 1] = (struct pollfd){peers[i].fd, POLLIN, 0};
    if (poll(list, (nfds_t)peer_count + 1, -1) < 0) return;
    for (int i = peer_count - 1; i >= 0; i--) {
        if (!list[i + 1].revents || hear(&peers[i])) continue;
        close(peers[i].fd);
        peers[i] = peers[--peer_count];
    }
    if (list[0].revents) welcome();
}

static void *listen_main(void *nothing) {
    thread_name("torpor-control");
    command_thread_begin();
    while (atomic_load(&listening) >= 0) turn();
    return nothing;
}

static void begin(void) {
    if (!name_socket()) return;
    int fd = open_socket();
    if (fd < 0) return;
    atomic_store(&listening, fd);
    if (thread_start(listen_main, NULL)) return lifecycle_watch_exit();
    say(LOG_WARN, "no control socket: its thread cannot be started.");
    control_end();
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
void control_begin(void) { pthread_once(&once, begin); }

/* Only the own file: a process of another namespace may have put its own there. */
void control_end(void) {
    struct stat found;
    if (atomic_load(&listening) < 0) return;
    if (!look_at(address.sun_path, &found) && found.st_dev == made.st_dev && found.st_ino == made.st_ino) unlink(address.sun_path);
}

/* The child answers to its own number, once it uses CUDA itself. */
void control_after_fork(void) {
    static const pthread_once_t never = PTHREAD_ONCE_INIT;
    if (listening >= 0) close(listening);
    for (int i = 0; i < peer_count; i++) close(peers[i].fd);
    peer_count = 0;
    listening = -1;
    once = never;
}
