/* The file of the control socket: found by its name, not taken from a living process, and made again. */
#include "outcome.h"
#include "parking.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { BYTES = 4 * MIB };
static unsigned another_user; /* whom no other run of these tests has */
static CUdeviceptr memory;
static char folder[200];

static void prepare(void) {
    use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    write_pattern(memory, BYTES, 1);
}

/* A directory that is not there yet. */
static void new_folder(void) {
    snprintf(folder, sizeof folder, "%s/place-%d", getenv("TORPOR_DIR"), (int)getpid());
    setenv("TORPOR_DIR", folder, 1);
}

static unsigned long long own_namespace(void) {
    char target[64] = "";
    EXPECT(readlink("/proc/self/ns/pid", target, sizeof target - 1) > 0);
    return strtoull(strchr(target, '[') + 1, NULL, 10);
}

/* What listens under a path answers. */
static const char *ask_at(const char *path, const char *line) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    const char *answer = connect(fd, (struct sockaddr *)&at, sizeof at) ? "no socket" : answer_on(fd, line);
    close(fd);
    return answer;
}

static const char *path_in(const char *where, const char *form, int pid, unsigned long long namespace) {
    static char path[400];
    char name[100];
    snprintf(name, sizeof name, form, pid, namespace);
    snprintf(path, sizeof path, "%s/%s", where, name);
    return path;
}

static int listen_at(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    OK(bind(fd, (struct sockaddr *)&at, sizeof at));
    OK(listen(fd, 4));
    return fd;
}

static int names_pid(const char *answer, int pid) { return is_ok(answer) && number_of(answer, "pid") == (unsigned)pid; }

/* --- names --- */

/* There only when it listens. */
static void listen_and_wait(void *path) {
    char before[420];
    snprintf(before, sizeof before, "%s.b", (const char *)path);
    listen_at(before);
    OK(rename(before, path));
    for (;;) pause();
}

static int await_file(const char *path) {
    struct stat found;
    for (int i = 0; i < 4000 && lstat(path, &found); i++) sleep_ms(5);
    return !lstat(path, &found);
}

static void aSocketThatAnswersIsNotTaken(void) {
    char taken[400];
    new_folder();
    OK(mkdir(folder, 0700));
    snprintf(taken, sizeof taken, "%s", path_in(folder, "%d.sock", (int)getpid(), 0));
    int other = start_child(listen_and_wait, taken);
    EXPECT(await_file(taken));
    struct stat before = {0}, after = {0};
    OK(lstat(taken, &before));
    prepare();
    OK(lstat(taken, &after));
    EXPECT(before.st_ino == after.st_ino);
    EXPECT(names_pid(ask_at(path_in(folder, "%d-%llu.sock", (int)getpid(), own_namespace()), "status"), (int)getpid()));
    OK(kill(other, SIGKILL));
    wait_child(other);
}

static void whatADeadProcessLeftIsReplaced(void) {
    new_folder();
    OK(mkdir(folder, 0700));
    close(listen_at(path_in(folder, "%d.sock", (int)getpid(), 0)));
    prepare();
    COMMAND_OK("status");
}

static void whatIsNoSocketIsLeftAlone(void) {
    new_folder();
    OK(mkdir(folder, 0700));
    OK(mkdir(path_in(folder, "%d.sock", (int)getpid(), 0), 0700));
    prepare();
    EXPECT(names_pid(ask_at(path_in(folder, "%d-%llu.sock", (int)getpid(), own_namespace()), "status"), (int)getpid()));
}

static int say_ready, wait_for_go;

/* The first process of its pid namespace, and so number 1. */
static void be_first(void *seed) {
    char go;
    unsigned long long self = 0;
    if (mount("proc", "/proc", "proc", 0, NULL)) _exit(77);
    prepare();
    write_pattern(memory, BYTES, *(unsigned *)seed);
    self = own_namespace();
    EXPECT_IS(1, getpid());
    EXPECT(write(say_ready, &self, sizeof self) == sizeof self);
    EXPECT(read(wait_for_go, &go, 1) == 1);
    EXPECT_PATTERN(memory, BYTES, *(unsigned *)seed);
}

static int leave_namespaces(void) { return unshare(CLONE_NEWPID | CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL); }
static void mount_proc(void *unused) { (void)unused; _exit(mount("proc", "/proc", "proc", 0, NULL) != 0); }

static int can_make_namespaces(void) {
    int pid = fork();
    if (!pid) _exit(leave_namespaces() || wait_child(start_child(mount_proc, NULL)));
    return !wait_child(pid);
}

static int start_first(unsigned *seed) {
    int pid = fork();
    if (pid) return pid;
    if (leave_namespaces()) _exit(77);
    _exit(wait_child(start_child(be_first, seed)) ? 1 : 0);
}

static void equalPidsOfTwoNamespacesAreToldApart(void) {
    int ready[2], go[2], pids[2], status;
    unsigned long long namespaces[2];
    unsigned seeds[2] = {5, 6};
    if (skipped(!can_make_namespaces(), "no pid namespace can be made")) return;
    new_folder();
    OK(pipe(ready));
    OK(pipe(go));
    say_ready = ready[1];
    wait_for_go = go[0];
    for (int i = 0; i < 2; i++) {
        pids[i] = start_first(&seeds[i]);
        OK(read(ready[0], &namespaces[i], sizeof namespaces[i]) != sizeof namespaces[i]);
    }
    char first[400], second[400];
    snprintf(first, sizeof first, "%s", path_in(folder, "%d.sock", 1, 0));
    snprintf(second, sizeof second, "%s", path_in(folder, "%d-%llu.sock", 1, namespaces[1]));
    EXPECT(number_of(ask_at(first, "status"), "pid_namespace") == namespaces[0]);
    EXPECT(number_of(ask_at(second, "status"), "pid_namespace") == namespaces[1]);
    EXPECT(is_ok(ask_at(first, "park")));
    EXPECT(strstr(ask_at(second, "status"), "state=running"));
    EXPECT(is_ok(ask_at(first, "unpark")));
    EXPECT(write(go[1], "gg", 2) == 2);
    for (int i = 0; i < 2; i++) {
        OK(waitpid(pids[i], &status, 0) != pids[i]);
        OK(status);
    }
}

static void theStatusSaysWhichProcessItIs(void) {
    char text[1024] = "";
    prepare();
    FILE *file = fopen("/proc/self/stat", "r");
    EXPECT(file && fgets(text, sizeof text, file));
    fclose(file);
    char *field = strrchr(text, ')');
    for (int i = 0; i < 20; i++) field = strchr(field + 1, ' ');
    EXPECT_IS(strtoull(field, NULL, 10), status_of("start_ticks"));
    EXPECT_IS(own_namespace(), status_of("pid_namespace"));
    EXPECT_IS(getpid(), status_of("pid"));
}

/* --- what happens to the file later --- */

static void await_answer(const char *path) {
    for (int i = 0; i < 4000 && !is_ok(ask_at(path, "status")); i++) sleep_ms(5);
    EXPECT(names_pid(ask_at(path, "status"), (int)getpid()));
}

static void whatWasSweptIsMadeAgain(void) {
    char path[400];
    new_folder();
    prepare();
    snprintf(path, sizeof path, "%s", path_in(folder, "%d.sock", (int)getpid(), 0));
    int fd = connect_to(getpid()); /* this one goes on */
    EXPECT(is_ok(answer_on(fd, "status")));
    for (int i = 0; i < 2; i++) {
        OK(unlink(path));
        if (i) OK(rmdir(folder));
        await_answer(path);
        struct stat found = {0};
        OK(lstat(path, &found));
        EXPECT_IS(0600, found.st_mode & 07777);
    }
    EXPECT(is_ok(answer_on(fd, "park")));
    close(fd);
    OK(unlink(path));
    OK(rmdir(folder));
    await_answer(path);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 1);
}

static void aFileThatAnotherHasReplacedIsLeftToIt(void) {
    char path[400], aside[420];
    new_folder();
    prepare();
    snprintf(path, sizeof path, "%s", path_in(folder, "%d.sock", (int)getpid(), 0));
    snprintf(aside, sizeof aside, "%s.new", path);
    int other = start_child(listen_and_wait, aside);
    EXPECT(await_file(aside));
    OK(rename(aside, path));
    struct stat before = {0}, after = {0};
    OK(lstat(path, &before));
    await_answer(path_in(folder, "%d-%llu.sock", (int)getpid(), own_namespace()));
    OK(lstat(path, &after));
    EXPECT(before.st_ino == after.st_ino);
    OK(kill(other, SIGKILL));
    wait_child(other);
}

/* --- directories and users --- */

static void become_another_user(void) {
    char sim[100];
    load_driver();
    unsetenv("LD_PRELOAD"); /* that user may not read it */
    snprintf(sim, sizeof sim, "/dev/shm/torpor-user-%d", (int)getpid());
    OK(mkdir(sim, 0700));
    OK(chown(sim, another_user, another_user));
    setenv("TORPOR_SIM_DIR", sim, 1);
    OK(setgroups(0, NULL));
    OK(setgid(another_user));
    OK(setuid(another_user));
    OK(prctl(PR_SET_DUMPABLE, 1)); /* as a program is that was started by that user */
}

static void remove_all(const char *directory) {
    char text[500];
    snprintf(text, sizeof text, "rm -rf '%s'", directory);
    EXPECT(!system(text));
}

static void use_as_another(void *place) {
    become_another_user();
    unsetenv("TORPOR_DIR");
    use_device(0);
    EXPECT(names_pid(ask_at(path_in(place, "%d.sock", (int)getpid(), 0), "status"), (int)getpid()));
    remove_all(getenv("TORPOR_SIM_DIR"));
}

static void expect_in(const char *place) {
    int status = wait_child(start_child(use_as_another, (void *)(uintptr_t)place));
    if (status) fail_at(__FILE__, __LINE__, "no socket in %s", place);
}

static int cannot_become_another(void) {
    another_user = 100000 + (unsigned)getpid() % 1000000;
    return skipped(geteuid() != 0 || real_driver(), "only root can become another user, and the simulator takes any");
}

static void aDirectoryThatOthersMayWriteToIsNotUsed(void) {
    char usual[64], second[80], runtime[300], below[320];
    if (cannot_become_another()) return;
    snprintf(usual, sizeof usual, "/tmp/torpor-%u", another_user);
    snprintf(second, sizeof second, "%s-1", usual);
    snprintf(runtime, sizeof runtime, "/tmp/torpor-run-%d", (int)getpid());
    snprintf(below, sizeof below, "%s/torpor", runtime);
    remove_all(usual);
    remove_all(second);
    unsetenv("XDG_RUNTIME_DIR");
    expect_in(usual);
    remove_all(usual);
    OK(mkdir(usual, 0700)); /* somebody was faster */
    expect_in(second);
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    OK(mkdir(runtime, 0700));
    expect_in(second); /* it is root's */
    OK(chown(runtime, another_user, another_user));
    expect_in(below);
    OK(chmod(runtime, 0755));
    expect_in(second);
    remove_all(usual);
    remove_all(second);
    remove_all(runtime);
}

static void use_by_both_paths(void *usual) {
    char path[400];
    struct stat found;
    become_another_user();
    unsetenv("TORPOR_DIR");
    use_device(0);
    snprintf(path, sizeof path, "%s", path_in(usual, "%d.sock", (int)getpid(), 0));
    EXPECT(!lstat(path, &found) && S_ISLNK(found.st_mode));
    EXPECT(names_pid(ask_at(path, "status"), (int)getpid()));
    EXPECT(names_pid(ask_at(path_in(getenv("XDG_RUNTIME_DIR"), "torpor/%d.sock", (int)getpid(), 0), "status"), (int)getpid()));
    remove_all(getenv("TORPOR_SIM_DIR"));
}

static void theUsualPathLeadsToTheSocketWhereverItIs(void) {
    char usual[64], runtime[300];
    if (cannot_become_another()) return;
    snprintf(usual, sizeof usual, "/tmp/torpor-%u", another_user);
    snprintf(runtime, sizeof runtime, "/tmp/torpor-run-%d", (int)getpid());
    OK(mkdir(runtime, 0700));
    OK(chown(runtime, another_user, another_user));
    setenv("XDG_RUNTIME_DIR", runtime, 1);
    OK(wait_child(start_child(use_by_both_paths, usual)));
    remove_all(usual);
    remove_all(runtime);
}

static void command_as_undumpable(void *pipes) {
    char go;
    int *ends = pipes;
    become_another_user();
    use_device(0);
    COMMAND_OK("status");
    OK(prctl(PR_SET_DUMPABLE, 0));
    COMMAND_FAILS("permission", "status");
    EXPECT(write(ends[1], "r", 1) == 1);
    EXPECT(read(ends[2], &go, 1) == 1);
    OK(prctl(PR_SET_DUMPABLE, 1));
    COMMAND_OK("status");
    remove_all(getenv("TORPOR_SIM_DIR"));
}

static void onlyRootCommandsWhatIsNotDumpable(void) {
    int pipes[4];
    char ready;
    if (cannot_become_another()) return;
    snprintf(folder, sizeof folder, "/tmp/torpor-undumpable-%d", (int)getpid());
    setenv("TORPOR_DIR", folder, 1);
    OK(mkdir(folder, 0700));
    OK(chown(folder, another_user, another_user));
    OK(pipe(pipes));
    OK(pipe(pipes + 2));
    int child = start_child(command_as_undumpable, pipes);
    EXPECT(read(pipes[0], &ready, 1) == 1);
    EXPECT(is_ok(command_to(child, "status")));
    EXPECT(write(pipes[3], "g", 1) == 1);
    OK(wait_child(child));
    remove_all(folder);
}

int main(void) {
    RUN(aSocketThatAnswersIsNotTaken);
    RUN(whatADeadProcessLeftIsReplaced);
    RUN(whatIsNoSocketIsLeftAlone);
    RUN(equalPidsOfTwoNamespacesAreToldApart);
    RUN(theStatusSaysWhichProcessItIs);
    RUN(whatWasSweptIsMadeAgain);
    RUN(aFileThatAnotherHasReplacedIsLeftToIt);
    RUN(aDirectoryThatOthersMayWriteToIsNotUsed);
    RUN(theUsualPathLeadsToTheSocketWhereverItIs);
    RUN(onlyRootCommandsWhatIsNotDumpable);
    return summary();
}
