/* The control socket: who may use it, what it answers to nonsense, and how it comes and goes with the process. */
#include "parking.h"
#include "launch.h"
#include "outcome.h"
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <poll.h>
#include <sys/stat.h>

static char folder[200], path[256];

/* A folder that is not there yet. */
static void new_folder(void) {
    snprintf(folder, sizeof folder, "%s/new-%d", getenv("TORPOR_DIR"), (int)getpid());
    setenv("TORPOR_DIR", folder, 1);
}

static const char *socket_path(void) {
    snprintf(path, sizeof path, "%s/%d.sock", getenv("TORPOR_DIR"), (int)getpid());
    return path;
}

static int mode_of(const char *name) {
    struct stat found;
    return lstat(name, &found) ? -1 : (int)(found.st_mode & 07777);
}

static int is_there(const char *name) { return mode_of(name) >= 0; }

static void onlyTheUserReachesTheSocket(void) {
    mode_t before = umask(0);
    new_folder();
    use_device(0);
    EXPECT_IS(0700, mode_of(folder));
    EXPECT_IS(0600, mode_of(socket_path()));
    EXPECT_IS(0, umask(before));
    COMMAND_OK("status");
}

/* What is said, without the path in it; the caller's. */
static char *complaint(void) {
    int capture = capture_errors();
    use_device(0);
    return captured_errors(capture);
}

static void expect_refused(const char *why) {
    char *said = complaint();
    EXPECT(strstr(said, "no control socket") && strstr(said, why));
    EXPECT(!strcmp(command("status"), "no socket"));
    copy_bytes(4 * MIB, 1); /* all else works */
    free(said);
}

static void aFolderThatOthersMayWriteToIsRefused(void) {
    new_folder();
    OK(mkdir(folder, 0700));
    OK(chmod(folder, 0777));
    expect_refused("only this user may write");
}

static void somebodyElsesFolderIsRefused(void) {
    if (skipped(geteuid() != 0, "only root can give a folder away")) return;
    new_folder();
    OK(mkdir(folder, 0700));
    OK(chown(folder, 12345, 12345));
    expect_refused("only this user may write");
}

static void aLinkToAFolderIsRefused(void) {
    char old[200];
    snprintf(old, sizeof old, "%s", getenv("TORPOR_DIR"));
    new_folder();
    OK(symlink(old, folder));
    expect_refused("only this user may write");
    OK(unlink(folder));
}

static void aFolderThatCannotBeMadeIsSaid(void) {
    setenv("TORPOR_DIR", "/proc/no/such", 1);
    expect_refused("cannot be made");
}

static void aPathThatIsTooLongIsSaid(void) {
    char name[400];
    snprintf(name, sizeof name, "%s/%0100d", getenv("TORPOR_DIR"), 7);
    OK(mkdir(name, 0700));
    setenv("TORPOR_DIR", name, 1);
    expect_refused("too long");
}

static void withoutAFolderThereIsAStandardOne(void) {
    char standard[64];
    snprintf(standard, sizeof standard, "/tmp/torpor-%u", (unsigned)geteuid());
    if (skipped(is_there(standard) && mode_of(standard) & 022, "somebody has been there")) return;
    unsetenv("TORPOR_DIR");
    use_device(0);
    setenv("TORPOR_DIR", standard, 1);
    COMMAND_OK("status");
    EXPECT_IS(0600, mode_of(socket_path()));
}

struct named { const char *value, *folder; };

/* A row of the table: the socket is in the directory, however its path is written. */
static void expect_in_folder(void *row) {
    const struct named *named = row;
    char root[200], value[256], standard[64];
    snprintf(root, sizeof root, "%s", getenv("TORPOR_DIR"));
    snprintf(standard, sizeof standard, "/tmp/torpor-%u", (unsigned)geteuid());
    const char *start = strstr(named->value, "ROOT");
    if (start) snprintf(value, sizeof value, "%.*s%s%s", (int)(start - named->value), named->value, root, start + 4);
    else snprintf(value, sizeof value, "%s", named->value);
    if (!strcmp(named->folder, "DEFAULT")) snprintf(folder, sizeof folder, "%s", standard);
    else if (!strncmp(named->folder, "ROOT", 4)) snprintf(folder, sizeof folder, "%.190s%s", root, named->folder + 4);
    else snprintf(folder, sizeof folder, "%s", named->folder);
    setenv("TORPOR_DIR", value, 1);
    use_device(0);
    setenv("TORPOR_DIR", folder, 1);
    COMMAND_OK("status");
}

static void theFolderIsNamedAsJavaReadsIt(void) {
    static const struct named table[] = {
#define SOCKET_FOLDER(value, folder) {value, folder},
#include "socket_folders.h"
#undef SOCKET_FOLDER
    };
    char standard[64];
    snprintf(standard, sizeof standard, "/tmp/torpor-%u", (unsigned)geteuid());
    if (skipped(is_there(standard) && mode_of(standard) & 022, "others may write to the default folder")) return;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!strcmp(table[i].folder, "/")) continue; /* no test writes there */
        int status = wait_child(start_child(expect_in_folder, (void *)(uintptr_t)&table[i]));
        if (status) fail_at(__FILE__, __LINE__, "TORPOR_DIR=%s", table[i].value);
    }
}

static void aFolderThatIsNotAbsoluteIsSaid(void) {
    setenv("TORPOR_DIR", "relative", 1);
    char *said = complaint();
    EXPECT(strstr(said, "TORPOR_DIR=relative is not an absolute path"));
    free(said);
}

static void aLinkIsRefusedWithASlashBehindIt(void) {
    char old[200], link[220];
    snprintf(old, sizeof old, "%s", getenv("TORPOR_DIR"));
    new_folder();
    OK(symlink(old, folder));
    snprintf(link, sizeof link, "%s/", folder);
    setenv("TORPOR_DIR", link, 1);
    expect_refused("only this user may write");
    OK(unlink(folder));
}

static void aSocketThatAnEarlierProcessLeftIsReplaced(void) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, socket_path());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    OK(bind(fd, (struct sockaddr *)&at, sizeof at));
    OK(close(fd));
    use_device(0);
    COMMAND_OK("status");
}

/* --- lines --- */

static void send_all(int fd, const char *text) { EXPECT_IS(strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL)); }

/* The next line, or "" where nothing more comes. */
static const char *next_line(int fd) {
    static char line[16384];
    struct pollfd ready = {fd, POLLIN, 0};
    size_t length = 0;
    while (length < sizeof line - 1 && poll(&ready, 1, 20000) == 1 && recv(fd, line + length, 1, 0) == 1)
        if (line[length++] == '\n') break;
    line[length] = 0;
    return line;
}

static void linesAreAnsweredOneByOne(void) {
    use_device(0);
    int fd = connect_to(getpid());
    send_all(fd, "status\nunpark\nstatus\nstats\nsta");
    EXPECT(is_ok(next_line(fd)));
    EXPECT(is_error(next_line(fd), "running"));
    EXPECT(is_ok(next_line(fd)));
    EXPECT(is_ok(next_line(fd)));
    send_all(fd, "tus\r\n");
    EXPECT(strstr(next_line(fd), "state=running"));
    send_all(fd, "\n");
    EXPECT(is_error(next_line(fd), "unknown"));
    for (const char *c = "status\n"; *c; c++) send_all(fd, (char[]){*c, 0});
    EXPECT(is_ok(next_line(fd)));
    close(fd);
    fd = connect_to(getpid());
    send_all(fd, "park"); /* and no more */
    close(fd);
    EXPECT(strstr(command("status"), "state=running"));
}

static void aLineWithoutEndIsRefused(void) {
    char *much = malloc(20001);
    use_device(0);
    int fd = connect_to(getpid());
    memset(much, 'x', 20000);
    much[20000] = 0;
    send(fd, much, 20000, MSG_NOSIGNAL);
    EXPECT(is_error(next_line(fd), "argument"));
    EXPECT(!*next_line(fd));
    close(fd);
    fd = connect_to(getpid());
    much[8000] = 0;
    send_all(fd, much);
    send_all(fd, "\n");
    EXPECT(is_error(next_line(fd), "unknown"));
    EXPECT(is_ok(answer_on(fd, "status")));
    close(fd);
    free(much);
}

static void wrongWordsAreNamed(void) {
    static const char *const wrong[] = {
        "park now", "park timeout-ms=", "park timeout-ms=x", "park timeout-ms=-1", "park timeout-ms=3600001", "park timeout-ms=99999999999999999999", "park timeout-ms=5s",
        "park arena=", "park arena=relative/path", "park timeout-ms=5 arena", "park keep=1", "park keep=2 arena=/tmp/x", "unpark now", "unpark keep=yes", "unpark timeout-ms=5",
        "unpark arena=relative", "park by=", "park by=a/b", "unpark by=a.b", "status please", "prepare 5", "release all",
    };
    use_device(0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) COMMAND_FAILS("argument", wrong[i]);
    static const char *const strange[] = {"", "Park", "parking", "\x01\x02", "status\tx", "help", "%s%n%s"};
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) COMMAND_FAILS("unknown", strange[i]);
    EXPECT(strstr(command("\x01\x02"), "??"));
    COMMAND_OK("park  timeout-ms=100  timeout-ms=5000 ");
    COMMAND_OK("unpark");
}

static void manyConnectionsAreServed(void) {
    int fd[16];
    use_device(0);
    for (int i = 0; i < 16; i++) {
        fd[i] = connect_to(getpid());
        EXPECT(is_ok(answer_on(fd[i], "status")));
    }
    int more = connect_to(getpid());
    EXPECT(is_error(next_line(more), "busy"));
    close(more);
    EXPECT(is_ok(answer_on(fd[7], "park")));
    EXPECT(is_error(answer_on(fd[3], "park"), "parked"));
    EXPECT(is_ok(answer_on(fd[0], "unpark")));
    for (int i = 0; i < 16; i++) close(fd[i]);
    for (int i = 0; i < 100 && !is_ok(command("status")); i++) sleep_ms(5);
    COMMAND_OK("status");
}

static void twoAtOnceParkOnce(void) {
    use_device(0);
    OK(spin(NULL, 80));
    int a = connect_to(getpid()), b = connect_to(getpid());
    send_all(a, "park\n");
    send_all(b, "park\n");
    char first[256], second[256];
    snprintf(first, sizeof first, "%s", next_line(a));
    snprintf(second, sizeof second, "%s", next_line(b));
    EXPECT(is_ok(first) != is_ok(second));
    const char *other = is_ok(first) ? second : first;
    EXPECT(is_error(other, "parked") || is_error(other, "busy"));
    close(a);
    close(b);
    COMMAND_OK("unpark");
}

/* Until the shim has taken so many commands that are not done. */
static void await_pending(unsigned long long count) {
    for (int i = 0; i < 4000 && status_of("pending_commands") != count; i++) sleep_ms(5);
    EXPECT_IS(count, status_of("pending_commands"));
}

static void await_state(const char *state) {
    for (int i = 0; i < 4000 && !strstr(command("status"), state); i++) sleep_ms(5);
    EXPECT(strstr(command("status"), state));
}

static void questionsAreAnsweredWhileACommandRuns(void) {
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(d, 4 * MIB, 1);
    EXPECT_IS(0, status_of("pending_commands"));
    stop_at(NULL);
    int fd = connect_to(getpid());
    send_all(fd, "park timeout-ms=60000\nstatus\n");
    await_state("state=parking");
    EXPECT_IS(1, status_of("pending_commands"));
    EXPECT_IS(4 * MIB, status_of("parkable_bytes"));
    COMMAND_OK("stats");
    COMMAND_FAILS("unknown", "help");
    COMMAND_FAILS("argument", "status please");
    go_on = 1;
    EXPECT(is_ok(next_line(fd)));
    const char *own = next_line(fd); /* in its turn */
    EXPECT(strstr(own, "state=parked") && strstr(own, "pending_commands=0"));
    close(fd);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d, 4 * MIB, 1);
}

/* The answer to each goes to who has asked. */
static void commandsAreCarriedOutInTheOrderInWhichTheyCame(void) {
    CUdeviceptr d;
    int fd[6];
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(d, 4 * MIB, 1);
    stop_at(NULL);
    for (int i = 0; i < 6; i++) {
        fd[i] = connect_to(getpid());
        send_all(fd[i], i % 2 ? "unpark\n" : "park timeout-ms=60000\n");
        await_pending((unsigned)i + 1);
    }
    close(fd[3]); /* which changes nothing for the others */
    go_on = 1;
    for (int i = 0; i < 6; i++)
        if (i != 3) EXPECT(is_ok(next_line(fd[i])));
    await_pending(0);
    EXPECT(strstr(command("status"), "state=running"));
    EXPECT_PATTERN(d, 4 * MIB, 1);
    for (int i = 0; i < 6; i++)
        if (i != 3) close(fd[i]);
}

/* So a controller undoes its own park, and no other's. */
static void aParkHasTheNameOfItsController(void) {
    char name[80] = "park by=";
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(d, 4 * MIB, 1);
    EXPECT(strstr(command("status"), " parked_by="));
    COMMAND_OK("park by=controller-1_a timeout-ms=5000");
    EXPECT(strstr(command("status"), " parked_by=controller-1_a"));
    COMMAND_FAILS("parked", "park by=other");
    COMMAND_FAILS("parked", "unpark by=other");
    COMMAND_FAILS("parked", "unpark by=controller-1_");
    EXPECT(strstr(command("status"), "state=parked"));
    COMMAND_OK("unpark by=controller-1_a");
    EXPECT(!strstr(command("status"), "controller-1_a"));
    COMMAND_FAILS("running", "unpark by=controller-1_a");
    COMMAND_OK("park");
    COMMAND_FAILS("parked", "unpark by=controller-1_a");
    COMMAND_OK("unpark");
    COMMAND_OK("park by=other");
    COMMAND_OK("unpark"); /* which is for any */
    memset(name + 8, 'x', 65);
    COMMAND_FAILS("argument", name);
    name[8 + 64] = 0;
    COMMAND_OK(name);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d, 4 * MIB, 1);
}

static void withoutFilesNobodyIsKeptBusy(void) {
    int limit = 0;
    struct timespec before, after;
    use_device(0);
    COMMAND_OK("status");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while (dup(fd) >= 0 && limit < 100000) limit++;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, socket_path());
    OK(connect(fd, (struct sockaddr *)&at, sizeof at)); /* which cannot be taken */
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    sleep_ms(300);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    for (int other = fd + 1; limit; other++) limit -= !close(other);
    EXPECT((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 < 100);
}

/* --- the life of the process --- */

static void theSocketGoesWithTheProcess(void) {
    int go[2], end[2];
    char name[256];
    if (pipe(go) || pipe(end)) abort();
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        use_device(0);
        char told;
        close(end[1]);
        if (write(go[1], "", 1) != 1 || read(end[0], &told, 1) < 0) abort(); /* until it has been looked at */
        exit(0);
    }
    char byte;
    if (read(go[0], &byte, 1) != 1) abort();
    snprintf(name, sizeof name, "%s/%d.sock", getenv("TORPOR_DIR"), pid);
    EXPECT(is_there(name));
    EXPECT(is_ok(command_to(pid, "status")));
    close(end[1]);
    OK(wait_child(pid));
    EXPECT(!is_there(name));
}

static void theListeningThreadTakesNoSignals(void) {
    use_device(0);
    COMMAND_OK("status");
    EXPECT_IS(0, shim_threads_open_to(SIGINT));
    EXPECT_IS(0, shim_threads_open_to(SIGTERM));
    EXPECT_IS(0, shim_threads_open_to(SIGUSR1));
    EXPECT_IS(0, shim_threads_open_to(SIGCHLD));
}

static void aChildIsNotItsParent(void) {
    CUdeviceptr d;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(d, 4 * MIB, 1);
    for (int parked = 0; parked < 2; parked++) {
        if (parked) COMMAND_OK("park");
        fflush(stdout);
        int pid = fork();
        if (!pid) {
            int alone = !strcmp(command("status"), "no socket"); /* of its own number */
            EXPECT(alone && cu.cuInit(0) == CUDA_ERROR_NOT_INITIALIZED);
            const char *state = command_to(getppid(), "status");
            EXPECT(strstr(state, parked ? "state=parked" : "state=running"));
            fflush(stdout);
            if (sanitized()) _exit(alone ? 0 : 1);
            exit(alone ? 0 : 1);
        }
        OK(wait_child(pid));
        EXPECT(is_there(socket_path()));
        if (parked) COMMAND_OK("unpark");
    }
    EXPECT_PATTERN(d, 4 * MIB, 1);
}

static void use_cuda_itself(void *unused) {
    CUdeviceptr d;
    (void)unused;
    use_device(0);
    OK(cu.cuMemAlloc_v2(&d, 4 * MIB));
    write_pattern(d, 4 * MIB, 2);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(d, 4 * MIB, 2);
}

static void aChildOfAProcessWithoutCudaListensItself(void) {
    load_driver();
    OK(wait_child(start_child(use_cuda_itself, NULL)));
    use_cuda_itself(NULL);
}

static void start_a_program(void *unused) {
    (void)unused;
    use_device(0);
    COMMAND_OK("park");
    EXPECT_IS(7 << 8, system("exit 7"));
    COMMAND_OK("unpark");
    execlp("sh", "sh", "-c", "exit 7", (char *)NULL);
}

static void otherProgramsAreStarted(void) { EXPECT_QUIET(7, outcome_of(start_a_program, NULL)); }

int main(void) {
    RUN(onlyTheUserReachesTheSocket);
    RUN(aFolderThatOthersMayWriteToIsRefused);
    RUN(somebodyElsesFolderIsRefused);
    RUN(aLinkToAFolderIsRefused);
    RUN(aFolderThatCannotBeMadeIsSaid);
    RUN(aPathThatIsTooLongIsSaid);
    RUN(withoutAFolderThereIsAStandardOne);
    RUN(theFolderIsNamedAsJavaReadsIt);
    RUN(aFolderThatIsNotAbsoluteIsSaid);
    RUN(aLinkIsRefusedWithASlashBehindIt);
    RUN(aSocketThatAnEarlierProcessLeftIsReplaced);
    RUN(linesAreAnsweredOneByOne);
    RUN(aLineWithoutEndIsRefused);
    RUN(wrongWordsAreNamed);
    RUN(manyConnectionsAreServed);
    RUN(twoAtOnceParkOnce);
    RUN(questionsAreAnsweredWhileACommandRuns);
    RUN(commandsAreCarriedOutInTheOrderInWhichTheyCame);
    RUN(aParkHasTheNameOfItsController);
    RUN(withoutFilesNobodyIsKeptBusy);
    RUN(theSocketGoesWithTheProcess);
    RUN(theListeningThreadTakesNoSignals);
    RUN(aChildIsNotItsParent);
    RUN(aChildOfAProcessWithoutCudaListensItself);
    RUN(otherProgramsAreStarted);
    return summary();
}
