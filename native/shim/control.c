#define _GNU_SOURCE
#include "control.h"
#include "command.h"
#include "lifecycle.h"
#include "park.h"
#include "settings.h"
#include "socket_file.h"
#include "statistics.h"
#include "threads.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_PEERS = 16, NAP_MS = 20, LONGEST_TURN_MS = 500, LEASE_RETRY_MS = 1000 };

/* A connection. While its command waits or runs it is not read, so that its lines are answered in their order. */
enum stage { FREE, READING, WAITING, WORKING };
struct peer { enum stage stage; int fd, can_call_off, has_hung_up; uint64_t ticket; size_t length; char line[LONGEST_LINE]; };
static struct peer peers[MAX_PEERS]; /* of the control thread alone */
static uint64_t tickets; /* commands are carried out in the order in which they came */

static _Atomic int listening = -1;
static pthread_mutex_t place = PTHREAD_MUTEX_INITIALIZER; /* of the socket's file, which is not made again at the end */
static int ending;

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

/* What a process that is not dumpable does is kept from its own user as well (ptrace(2)): it may have been started with more rights. */
static int may(int fd) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length)) return 0;
    return credentials.uid == 0 || (credentials.uid == geteuid() && prctl(PR_GET_DUMPABLE) == 1);
}

static struct peer *find_free(void) {
    for (int i = 0; i < MAX_PEERS; i++)
        if (peers[i].stage == FREE) return &peers[i];
    return NULL;
}

static void welcome(void) {
    static const char no[] = "error permission only root may give commands, and the process's own user if the process is dumpable.\n", full[] = "error busy too many connections.\n";
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        poll(NULL, 0, NAP_MS); /* who knocks goes on knocking where the process has no file left */
        return;
    }
    int allowed = may(fd);
    struct peer *peer = allowed ? find_free() : NULL;
    if (peer) {
        peer->stage = READING;
        peer->fd = fd;
        peer->length = 0;
        return;
    }
    if (allowed) send_line(fd, full, sizeof full - 1);
    else send_line(fd, no, sizeof no - 1);
    close(fd);
}

static void dismiss(struct peer *peer) {
    close(peer->fd);
    peer->stage = FREE;
}

static int pending(void) {
    int count = 0;
    for (int i = 0; i < MAX_PEERS; i++) count += peers[i].stage > READING;
    return count;
}

static int answer_question(struct peer *peer) {
    static char text[LONGEST_ANSWER];
    command_set_pending(pending());
    return send_line(peer->fd, text, command_run(peer->line, text, sizeof text));
}

/* Takes the lines that have come, up to a command that has to wait for its turn. 0: the peer does not read, or talks nonsense. */
static int take_lines(struct peer *peer) {
    static const char long_line[] = "error argument the line is too long.\n";
    for (char *end; (end = memchr(peer->line, '\n', peer->length));) {
        size_t used = (size_t)(end - peer->line) + 1;
        *end = 0;
        if (!command_is_question(peer->line)) {
            peer->can_call_off = command_can_be_called_off(peer->line);
            *end = '\n';
            peer->stage = WAITING;
            peer->has_hung_up = 0;
            peer->ticket = tickets++;
            return 1;
        }
        if (!answer_question(peer)) return 0; /* half of an answer would be taken for a part of the next */
        memmove(peer->line, peer->line + used, peer->length -= used);
    }
    if (peer->length < sizeof peer->line) return 1;
    send_line(peer->fd, long_line, sizeof long_line - 1);
    return 0;
}

/* 0: it is gone, does not read, or talks nonsense. */
static int hear(struct peer *peer) {
    ssize_t got = recv(peer->fd, peer->line + peer->length, sizeof peer->line - peer->length, 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (!got) return 0;
    peer->length += (size_t)got;
    return take_lines(peer);
}

static struct peer *first_waiting(void) {
    struct peer *first = NULL;
    for (int i = 0; i < MAX_PEERS; i++)
        if (peers[i].stage == WAITING && (!first || peers[i].ticket < first->ticket)) first = &peers[i];
    return first;
}

/* Gives the worker the command that has waited longest. */
static void give_work(void) {
    struct peer *peer = worker_is_idle() ? first_waiting() : NULL;
    if (!peer) return;
    char *end = memchr(peer->line, '\n', peer->length);
    *end++ = 0;
    park_call_off(0);
    worker_run(peer->line);
    memmove(peer->line, end, peer->length -= (size_t)(end - peer->line));
    peer->stage = WORKING;
}

/* As nobody has said so; the worker is idle. */
static void unpark(void) {
    char line[] = "unpark";
    worker_run(line);
}

/* A command has ended: its connection goes on. */
static void pass_answer(void) {
    static char text[LONGEST_ANSWER];
    size_t length = worker_answer(text);
    for (int i = 0; i < MAX_PEERS && length; i++) {
        if (peers[i].stage != WORKING) continue;
        peers[i].stage = READING;
        if (peers[i].has_hung_up && !strncmp(text, "ok", 2)) unpark(); /* it was too late to call it off */
        if (peers[i].has_hung_up || !send_line(peers[i].fd, text, length) || !take_lines(&peers[i])) dismiss(&peers[i]);
    }
}

/* Who waits for a park and hangs up does not want it any more. What has only ended what it writes does. */
static void call_off(struct peer *peer) {
    if (peer->stage == WAITING) return dismiss(peer);
    peer->has_hung_up = 1;
    park_call_off(1);
}

static struct pollfd watch(const struct peer *peer) {
    int waits = peer->stage > READING && peer->can_call_off && !peer->has_hung_up;
    return (struct pollfd){peer->stage == READING || waits ? peer->fd : -1, peer->stage == READING ? POLLIN : 0, 0};
}

/* Whether it is time again. Where CRIU has restored the process on another host, the clock may say less than before. */
static int is_due(uint64_t *next, uint64_t milliseconds) {
    uint64_t now = clock_ns(), nanoseconds = milliseconds * 1000000;
    if (now < *next && *next - now <= nanoseconds) return 0;
    *next = now + nanoseconds;
    return 1;
}

/* A lease that has ended is an unpark that nobody has given. Where the device has no room the process stays parked, until it has. */
static void end_lease(void) {
    static uint64_t next;
    uint64_t end = park_lease_end();
    if (end && clock_ns() >= end && worker_is_idle() && !first_waiting() && is_due(&next, LEASE_RETRY_MS)) unpark();
}

static int until_lease_ends(void) {
    uint64_t end = park_lease_end(), now = clock_ns();
    if (!end) return LONGEST_TURN_MS;
    if (now >= end) return LEASE_RETRY_MS;
    return end - now > LONGEST_TURN_MS * 1000000ULL ? LONGEST_TURN_MS : (int)((end - now) / 1000000) + 1;
}

static void turn(void) {
    struct pollfd list[MAX_PEERS + 2] = {{listening, POLLIN, 0}, {worker_signal(), POLLIN, 0}};
    struct pollfd *of_peers = list + 2;
    end_lease();
    give_work();
    for (int i = 0; i < MAX_PEERS; i++) of_peers[i] = watch(&peers[i]);
    if (poll(list, MAX_PEERS + 2, until_lease_ends()) < 0) return;
    for (int i = 0; i < MAX_PEERS; i++) {
        if (!of_peers[i].revents) continue;
        if (peers[i].stage > READING) call_off(&peers[i]);
        else if (!hear(&peers[i])) dismiss(&peers[i]);
    }
    if (list[1].revents) pass_answer();
    if (list[0].revents) welcome();
}

/* A cleaner of /tmp may have taken the file, and CRIU may have put the process elsewhere. Connections that are open stay. */
static void keep_place(void) {
    static uint64_t next;
    if (!is_due(&next, LONGEST_TURN_MS)) return;
    pthread_mutex_lock(&place);
    if (!ending && !socket_file_is_current()) {
        socket_file_remove();
        int fd = socket_file_open(1);
        if (fd >= 0) close(atomic_exchange(&listening, fd));
    }
    pthread_mutex_unlock(&place);
}

static void *listen_main(void *nothing) {
    thread_name("torpor-control");
    command_thread_begin();
    while (atomic_load(&listening) >= 0) turn(), keep_place();
    return nothing;
}

static void begin(void) {
    ending = 0;
    int fd = socket_file_open(0);
    if (fd < 0) return;
    atomic_store(&listening, fd);
    if (worker_begin() && thread_start(listen_main, NULL)) return lifecycle_watch_exit();
    say(LOG_WARN, "no control socket: its threads cannot be started.");
    control_end();
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
void control_begin(void) { pthread_once(&once, begin); }

void control_end(void) {
    pthread_mutex_lock(&place);
    ending = 1;
    if (atomic_load(&listening) >= 0) socket_file_remove();
    pthread_mutex_unlock(&place);
}

/* The child answers to its own number, once it uses CUDA itself. */
void control_after_fork(void) {
    static const pthread_once_t never = PTHREAD_ONCE_INIT;
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    place = unlocked;
    if (listening >= 0) close(listening);
    for (int i = 0; i < MAX_PEERS; i++)
        if (peers[i].stage != FREE) dismiss(&peers[i]);
    worker_after_fork();
    listening = -1;
    once = never;
}
