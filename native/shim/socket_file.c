#define _GNU_SOURCE
#include "socket_file.h"
#include "identity.h"
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 16, MOST_OTHERS = 7 /* directories beside the usual one */, LOCK_TRIES = 200 };

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct stat made;            /* the file, so that no other is taken for it */
static struct identity named_for;
static int has_namespace;           /* in its name */
static char link_path[128];         /* a link to it at the usual place; empty: there is none */
static enum log_level level;        /* of complaints */

/* glibc's own has got a new name lately. */
static int look_at(const char *path, struct stat *found) { return (int)syscall(SYS_lstat, path, found); }
static int is_made(const struct stat *found) { return found->st_dev == made.st_dev && found->st_ino == made.st_ino; }

/* Somebody else's directory could hold anything. */
static int is_own(const char *path, mode_t nobody_may) {
    struct stat found;
    return !look_at(path, &found) && S_ISDIR(found.st_mode) && found.st_uid == geteuid() && !(found.st_mode & nobody_may);
}

/* Without slashes at its end, which would make lstat() follow a link. 0: it is too long. */
static int trim(const char *wanted, char *text, size_t room) {
    size_t length = strlen(wanted);
    while (length > 1 && wanted[length - 1] == '/') length--;
    if (length >= room) return 0;
    memcpy(text, wanted, length);
    text[length] = 0;
    return 1;
}

enum held { FREE, DEAD, ALIVE, OURS, NO_SOCKET };

/* What has the name. A listener whose backlog is full answers as well. */
static enum held who_holds(const struct sockaddr_un *at) {
    struct ucred peer = {0};
    struct stat found;
    socklen_t length = sizeof peer;
    if (look_at(at->sun_path, &found)) return errno == ENOENT ? FREE : NO_SOCKET;
    if (!S_ISSOCK(found.st_mode)) return NO_SOCKET;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return ALIVE;
    enum held held = ALIVE;
    if (connect(fd, (const struct sockaddr *)at, sizeof *at)) held = errno == ECONNREFUSED ? DEAD : errno == ENOENT ? FREE : ALIVE;
    else if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) && peer.pid == (int)syscall(SYS_getpid)) held = OURS;
    close(fd);
    return held;
}

/* With the directory's lock, so that what another process has just made is not taken for what a dead one has left. */
static int bind_to(const struct sockaddr_un *at, int may_remove) {
    enum held held = who_holds(at);
    if (held == DEAD && may_remove) unlink(at->sun_path);
    else if (held != FREE) return errno = EADDRINUSE, -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (!bind(fd, (const struct sockaddr *)at, sizeof *at) && !chmod(at->sun_path, 0600) && !listen(fd, BACKLOG) && !look_at(at->sun_path, &made)) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* 0: another process keeps it for too long, or the file system has none. */
static int lock(int directory) {
    static const struct timespec nap = {0, 5000000};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (!flock(directory, LOCK_EX | LOCK_NB)) return 1;
        if (errno != EWOULDBLOCK && errno != EINTR) return 1; /* without locks there is nobody to wait for */
        nanosleep(&nap, NULL);
    }
    return 0;
}

static int name_in(const char *directory, int with_namespace, struct sockaddr_un *at) {
    char name[64];
    if (with_namespace) snprintf(name, sizeof name, "%d-%llu.sock", named_for.pid, named_for.pid_namespace);
    else snprintf(name, sizeof name, "%d.sock", named_for.pid);
    return snprintf(at->sun_path, sizeof at->sun_path, "%s/%s", directory, name) < (int)sizeof at->sun_path;
}

/* Under one of the two names. -1: errno says why, ENAMETOOLONG among them. */
static int open_in(const char *directory) {
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd = -1;
    if (folder < 0) return -1;
    int may_remove = lock(folder);
    named_for = identity_now();
    errno = ENAMETOOLONG;
    for (has_namespace = 0; has_namespace < 2; has_namespace++) {
        if (!name_in(directory, has_namespace, &address)) break;
        if ((fd = bind_to(&address, may_remove)) >= 0 || errno != EADDRINUSE) break;
    }
    int error = errno;
    close(folder); /* and with it the lock */
    errno = error;
    return fd;
}

static int make(const char *directory) { return !mkdir(directory, 0700) || errno == EEXIST; }

static int open_wanted(const char *wanted) {
    char path[PATH_MAX];
    if (!trim(wanted, path, sizeof path)) return say(level, "no control socket: TORPOR_DIR is too long."), -1;
    if (!make(path)) return say(level, "no control socket: the folder %s cannot be made: %s.", path, strerror(errno)), -1;
    if (!is_own(path, 022)) return say(level, "no control socket: %s is no folder that only this user may write to.", path), -1;
    int fd = open_in(path);
    if (fd >= 0) return fd;
    if (errno == ENAMETOOLONG) say(level, "no control socket: the path %s/%d.sock is too long; set TORPOR_DIR to a shorter one.", path, named_for.pid);
    else say(level, "no control socket: %s: %s.", address.sun_path, strerror(errno));
    return -1;
}

/* Where a system keeps one for each user, in a directory of ours. */
static int open_below(const char *runtime) {
    char path[PATH_MAX];
    if (!runtime || *runtime != '/' || !trim(runtime, path, sizeof path - sizeof "/torpor") || !is_own(path, 077)) return -1;
    strcat(path, "/torpor");
    return make(path) && is_own(path, 022) ? open_in(path) : -1;
}

static int is_link(const char *path) {
    char target[sizeof address.sun_path];
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = 0;
    return !strcmp(target, address.sun_path);
}

/* So that who knows only the usual path gets here as well. What has that name already keeps it, unless it leads nowhere. */
static void add_link(const char *directory) {
    if (!make(directory) || !is_own(directory, 022)) return;
    snprintf(link_path, sizeof link_path, "%s/%d.sock", directory, named_for.pid);
    struct stat found;
    if (!look_at(link_path, &found) && S_ISLNK(found.st_mode) && access(link_path, F_OK)) unlink(link_path);
    if (symlink(address.sun_path, link_path) && !is_link(link_path)) *link_path = 0;
}

static int open_usual(void) {
    char path[64];
    unsigned user = geteuid();
    snprintf(path, sizeof path, "/run/user/%u", user);
    int fd = open_below(getenv("XDG_RUNTIME_DIR"));
    if (fd < 0) fd = open_below(path);
    if (fd >= 0) {
        snprintf(path, sizeof path, "/tmp/torpor-%u", user);
        return add_link(path), fd;
    }
    for (int i = 0; i <= MOST_OTHERS && fd < 0; i++) {
        snprintf(path, sizeof path, i ? "/tmp/torpor-%u-%d" : "/tmp/torpor-%u", user, i);
        if (make(path) && is_own(path, 022)) fd = open_in(path);
        else if (!i) say(level, "%s is no folder that only this user may write to; another one is looked for.", path);
    }
    if (fd < 0) say(level, "no control socket: no folder for it can be made; set TORPOR_DIR.");
    return fd;
}

int socket_file_open(int again) {
    level = again ? LOG_INFO : LOG_WARN; /* who cleans up may do it often */
    const char *wanted = getenv("TORPOR_DIR");
    if (wanted && *wanted == '/') return open_wanted(wanted);
    int fd = open_usual();
    if (wanted && *wanted && fd >= 0) say(level, "TORPOR_DIR=%s is not an absolute path; the control socket is %s.", wanted, address.sun_path);
    return fd;
}

/* CRIU makes the file again: then it is another one, and answers for this process. */
static int is_ours(void) {
    struct stat found;
    if (look_at(address.sun_path, &found)) return 0;
    if (is_made(&found)) return 1;
    if (who_holds(&address) != OURS) return 0;
    made = found;
    return 1;
}

int socket_file_is_current(void) {
    if (!is_ours() || (int)syscall(SYS_getpid) != named_for.pid) return 0;
    return !has_namespace || identity_now().pid_namespace == named_for.pid_namespace;
}

void socket_file_remove(void) {
    struct stat found;
    if (*link_path && is_link(link_path)) unlink(link_path);
    *link_path = 0;
    if (*address.sun_path && !look_at(address.sun_path, &found) && is_made(&found)) unlink(address.sun_path);
}
