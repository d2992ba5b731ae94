/* A stand-in for nvidia-cuda-mps-control, where there is no GPU: its clients are the simulated machine's, its one server is itself.
 *   nvidia-cuda-mps-control -d   leaves the daemon behind
 *   nvidia-cuda-mps-control      gives it the commands that come on stdin: get_server_list, get_client_list PID, quit [-t SECONDS] */
#define _GNU_SOURCE
#include "../simulator/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { POLL_US = 10000 };

static const char *folder(const char *variable, const char *otherwise) {
    const char *named = getenv(variable);
    return named && *named ? named : otherwise;
}

static const char *pipes(void) { return folder("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"); }
static const char *logs(void) { return folder("CUDA_MPS_LOG_DIRECTORY", "/var/log/nvidia-mps"); }

static FILE *open_in(const char *directory, const char *name, const char *mode) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return fopen(path, mode);
}

static void note(const char *format, ...) {
    FILE *log = open_in(logs(), "control.log", "a");
    va_list args;
    if (!log) return;
    fprintf(log, "[SIMULATED Control %d] ", (int)getpid());
    va_start(args, format);
    vfprintf(log, format, args);
    va_end(args);
    fputc('\n', log);
    fclose(log);
}

static struct sockaddr_un control_address(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/control", pipes());
    return address;
}

static int connect_to_daemon(void) {
    struct sockaddr_un address = control_address();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address)) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* Writes the clients, a line each; how many there are. */
static int list_clients(FILE *to) {
    struct machine *m = machine();
    int count = 0;
    for (int i = 0; m && i < MAX_SLOTS; i++) {
        struct slot *slot = &m->slots[i];
        if (!atomic_load(&slot->mps) || !slot_alive(slot, atomic_load(&slot->generation))) continue;
        if (to) fprintf(to, "%d\n", atomic_load(&slot->pid));
        count++;
    }
    return count;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Until the last client has ended; with a time, no longer than that. */
static void await_clients(int seconds) {
    double begun = now();
    while (list_clients(NULL) && (seconds < 0 || now() - begun < seconds)) usleep(POLL_US);
}

/* Whether the daemon is to end. */
static int obey(const char *line, FILE *peer) {
    static int serves; /* its server stays when the clients go */
    int pid, seconds = -1;
    serves |= list_clients(NULL) > 0;
    if (!strcmp(line, "get_server_list")) {
        if (serves) fprintf(peer, "%d\n", (int)getpid());
    } else if (sscanf(line, "get_client_list %d", &pid) == 1 && pid == getpid() && serves) {
        list_clients(peer);
    } else if (!strcmp(line, "quit") || sscanf(line, "quit -t %d", &seconds) == 1) {
        note("quits after its clients");
        await_clients(seconds);
        return 1;
    } else {
        fprintf(peer, "SIMULATED: cannot obey: %s\n", line);
    }
    return 0;
}

static int serve_one(int fd) {
    char line[256];
    FILE *peer = fdopen(fd, "r+");
    int quits = 0;
    if (!peer) return close(fd), 0;
    if (fgets(line, sizeof line, peer)) {
        line[strcspn(line, "\n")] = 0;
        fseek(peer, 0, SEEK_CUR); /* from reading to writing */
        quits = obey(line, peer);
    }
    if (quits) { /* the pipes stay */
        char path[4096];
        snprintf(path, sizeof path, "%s/nvidia-cuda-mps-control.pid", pipes());
        unlink(path);
    }
    fclose(peer);
    return quits;
}

static int listen_to_clients(void) {
    struct sockaddr_un address = control_address();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof address) && !listen(fd, 64)) return fd;
    note("cannot listen at %s: %s", address.sun_path, strerror(errno));
    return -1;
}

static int write_pid(void) {
    FILE *file = open_in(pipes(), "nvidia-cuda-mps-control.pid", "w");
    if (!file) return 0;
    fprintf(file, "%d", (int)getpid());
    return !fclose(file);
}

/* In the process that stays: tells the one that goes when it is ready. */
static int become_daemon(int ready) {
    setsid();
    signal(SIGPIPE, SIG_IGN);
    int nothing = open("/dev/null", O_RDWR), listener = listen_to_clients();
    for (int fd = 0; fd < 3; fd++) dup2(nothing, fd);
    if (listener < 0 || !write_pid()) return 1;
    note("listens at %s/control", pipes());
    if (write(ready, "", 1) != 1) return 1;
    close(ready);
    for (;;) {
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (peer >= 0 && serve_one(peer)) return 0;
    }
}

static int daemonize(void) {
    int ready[2];
    char byte;
    mkdir(pipes(), 0755);
    mkdir(logs(), 0755);
    int other = connect_to_daemon();
    if (other >= 0) return fprintf(stderr, "SIMULATED: a control daemon is there already, at %s.\n", pipes()), 1;
    if (pipe2(ready, O_CLOEXEC)) return 1;
    pid_t child = fork();
    if (child == 0) _exit(become_daemon(ready[1]));
    close(ready[1]);
    int started = child > 0 && read(ready[0], &byte, 1) == 1;
    if (started) printf("SIMULATED: control daemon %d listens at %s/control.\n", (int)child, pipes());
    else fprintf(stderr, "SIMULATED: the control daemon has ended; its log is %s/control.log.\n", logs());
    return !started;
}

static int converse(void) {
    char line[256], answer[4096];
    while (fgets(line, sizeof line, stdin)) {
        int fd = connect_to_daemon();
        if (fd < 0) return fprintf(stderr, "SIMULATED: no control daemon listens at %s/control.\n", pipes()), 1;
        if (write(fd, line, strlen(line)) < 0) return 1;
        for (ssize_t got; (got = read(fd, answer, sizeof answer)) > 0;) fwrite(answer, 1, (size_t)got, stdout);
        close(fd);
    }
    return 0;
}

int main(int count, char **words) {
    if (count == 1) return converse();
    if (count == 2 && !strcmp(words[1], "-d")) return daemonize();
    return fprintf(stderr, "usage: nvidia-cuda-mps-control [-d]\n"), 64;
}
