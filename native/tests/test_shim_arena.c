/* The host memory that takes what is parked. */
#include "parking.h"
#include "outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { BYTES = 8 * MIB };
static CUdeviceptr memory;
static char path[400], line[500];

static void prepare(void) {
    use_device(0);
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    write_pattern(memory, BYTES, 1);
}

static const char *file(const char *name) {
    snprintf(path, sizeof path, "%s/%s-%d", getenv("TORPOR_DIR"), name, (int)getpid());
    return path;
}

static const char *park_into(const char *name) {
    snprintf(line, sizeof line, "park timeout-ms=5000 arena=%s", name);
    return line;
}

static long size_of(const char *name) {
    struct stat found;
    return lstat(name, &found) ? -1 : (long)found.st_size;
}

static void expect_whole(void) {
    EXPECT_PATTERN(memory, BYTES, 1);
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 1);
}

static void hostMemoryIsKeptForTheNextTime(void) {
    prepare();
    EXPECT_IS(0, status_of("arena_bytes"));
    COMMAND_OK("park");
    EXPECT_IS(BYTES, status_of("arena_bytes"));
    COMMAND_OK("unpark");
    EXPECT_IS(BYTES, status_of("arena_bytes"));
    long resident = kib_of(getpid(), "VmRSS:");
    EXPECT_IS(BYTES, number_of(command("release"), "arena_bytes"));
    EXPECT(kib_of(getpid(), "VmRSS:") <= resident - BYTES / 1024 + 1024 || sanitized());
    EXPECT_IS(0, status_of("arena_bytes"));
    EXPECT_IS(0, number_of(command("release"), "arena_bytes"));
    expect_whole();
}

static void hostMemoryIsNotKeptAgainstTheSetting(void) {
    setenv("TORPOR_ARENA_KEEP", "0", 1);
    prepare();
    expect_whole();
    EXPECT_IS(0, status_of("arena_bytes"));
    EXPECT_IS(BYTES, number_of(command("prepare"), "arena_bytes"));
    expect_whole();
    EXPECT_IS(0, status_of("arena_bytes"));
}

static void hostMemoryIsPreparedAndGrows(void) {
    CUdeviceptr more;
    prepare();
    EXPECT_IS(BYTES, number_of(command("prepare"), "arena_bytes"));
    EXPECT_IS(BYTES, number_of(command("prepare"), "arena_bytes"));
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    OK(cu.cuMemAlloc_v2(&more, 6 * MIB));
    write_pattern(more, 6 * MIB, 2);
    COMMAND_OK("park");
    EXPECT_IS(BYTES + 6 * MIB, status_of("arena_bytes"));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(more, 6 * MIB, 2);
    OK(cu.cuMemFree_v2(more));
    expect_whole();
    EXPECT_IS(BYTES + 6 * MIB, status_of("arena_bytes")); /* it does not shrink */
}

static void nothingNeedsNoHostMemory(void) {
    use_device(0);
    EXPECT_IS(0, number_of(command("prepare"), "arena_bytes"));
    EXPECT_IS(0, number_of(command("park"), "bytes"));
    COMMAND_OK("unpark");
    COMMAND_OK(park_into(file("nothing")));
    COMMAND_OK("unpark");
    EXPECT_IS(-1, size_of(path));
    EXPECT_IS(0, status_of("arena_bytes"));
}

static void aFileTakesItAndGoes(void) {
    static const char *const names[] = {"plain", "with two  blanks ", "arena=x timeout-ms=5"};
    prepare();
    for (int i = 0; i < 3; i++) {
        file(names[i]);
        COMMAND_OK(park_into(path));
        EXPECT_IS(BYTES, size_of(path));
        struct stat found;
        OK(lstat(path, &found));
        EXPECT_IS(0600, found.st_mode & 07777);
        COMMAND_OK("unpark");
        EXPECT_IS(-1, size_of(path));
        EXPECT_PATTERN(memory, BYTES, 1);
        EXPECT_IS(0, status_of("arena_bytes"));
    }
    expect_whole();
}

static void aFileThatIsThereIsLeftAlone(void) {
    char text[8] = "";
    prepare();
    int fd = open(file("mine"), O_CREAT | O_WRONLY, 0600);
    EXPECT_IS(5, write(fd, "mine!", 5));
    close(fd);
    COMMAND_FAILS("arena", park_into(path));
    fd = open(path, O_RDONLY);
    EXPECT(read(fd, text, sizeof text) == 5 && !memcmp(text, "mine!", 5));
    close(fd);
    OK(unlink(path));
    OK(symlink("/tmp/nowhere-at-all", path));
    COMMAND_FAILS("arena", park_into(path));
    OK(unlink(path));
    expect_whole();
}

static void aFolderThatIsMissingIsNamed(void) {
    prepare();
    COMMAND_FAILS("arena", "park arena=/no/such/folder/file");
    EXPECT(strstr(command("park arena=/no/such/folder/file"), "/no/such/folder/file"));
    EXPECT(strstr(command("status"), "state=running"));
    expect_whole();
}

static void aFileThatIsLostIsNoLoss(void) {
    prepare();
    COMMAND_OK(park_into(file("lost")));
    OK(unlink(path));
    COMMAND_OK("unpark");
    expect_whole();
}

static void anotherFileInItsPlaceIsLeftAlone(void) {
    char text[8] = "";
    prepare();
    COMMAND_OK(park_into(file("replaced")));
    OK(unlink(path));
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
    EXPECT_IS(5, write(fd, "mine!", 5));
    close(fd);
    COMMAND_OK("unpark");
    fd = open(path, O_RDONLY);
    EXPECT(read(fd, text, sizeof text) == 5 && !memcmp(text, "mine!", 5));
    close(fd);
    OK(unlink(path));
    expect_whole();
}

static void aFileThatIsNotNeededGoes(void) {
    CUgraph captured;
    CUstream s;
    prepare();
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    COMMAND_FAILS("busy", park_into(file("busy")));
    EXPECT_IS(-1, size_of(path));
    OK(cu.cuStreamEndCapture(s, &captured));
    expect_whole();
}

/* A file system of 4 MiB that nobody else sees. */
static void aDiskThatIsFullIsSaid(void) {
    if (skipped(unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "only root can mount")) return;
    char folder[300];
    snprintf(folder, sizeof folder, "%s/disk-%d", getenv("TORPOR_DIR"), (int)getpid());
    OK(mkdir(folder, 0700));
    OK(mount("torpor", folder, "tmpfs", 0, "size=4m"));
    prepare();
    snprintf(path, sizeof path, "%s/file", folder);
    COMMAND_FAILS("arena", park_into(path));
    EXPECT_IS(-1, size_of(path));
    expect_whole();
    OK(mount("torpor", folder, NULL, MS_REMOUNT, "size=16m"));
    COMMAND_OK(park_into(path));
    COMMAND_OK("unpark");
    expect_whole();
    OK(umount2(folder, MNT_DETACH));
}

static void aLimitOfFilesIsSaid(void) {
    struct rlimit before, small;
    prepare();
    OK(getrlimit(RLIMIT_FSIZE, &before));
    small = before;
    small.rlim_cur = MIB;
    OK(setrlimit(RLIMIT_FSIZE, &small)); /* whose signal would end the process */
    COMMAND_FAILS("arena", park_into(file("large")));
    EXPECT_IS(-1, size_of(path));
    OK(setrlimit(RLIMIT_FSIZE, &before));
    COMMAND_OK(park_into(path));
    COMMAND_OK("unpark");
    expect_whole();
}

static void aLimitOfMemoryIsSaid(void) {
    struct rlimit before, small;
    if (skipped(sanitized() || real_driver(), "neither sanitizers nor a real driver stand a limit of memory")) return;
    CUdeviceptr large;
    prepare();
    OK(cu.cuMemAlloc_v2(&large, 256 * MIB));
    COMMAND_OK("status");
    OK(getrlimit(RLIMIT_AS, &before));
    small = before;
    small.rlim_cur = (rlim_t)kib_of(getpid(), "VmSize:") * 1024 + 64 * MIB;
    OK(setrlimit(RLIMIT_AS, &small));
    COMMAND_FAILS("host-memory", "park");
    COMMAND_FAILS("host-memory", "prepare");
    COMMAND_FAILS("host-memory", park_into(file("unmapped")));
    EXPECT_IS(-1, size_of(path));
    OK(setrlimit(RLIMIT_AS, &before));
    OK(cu.cuMemFree_v2(large));
    expect_whole();
}

static void aChildHasNoPartInIt(void) {
    prepare();
    COMMAND_OK(park_into(file("shared")));
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        if (sanitized()) _exit(0);
        exit(0); /* its file stays */
    }
    OK(wait_child(pid));
    EXPECT_IS(BYTES, size_of(path));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 1);
    COMMAND_OK("park");
    pid = fork();
    if (!pid) _exit(kib_of(getpid(), "VmSize:") < kib_of(getppid(), "VmSize:") - BYTES / 1024 + 1024 ? 0 : 1);
    OK(wait_child(pid));
    COMMAND_OK("unpark");
    expect_whole();
}

int main(void) {
    RUN(hostMemoryIsKeptForTheNextTime);
    RUN(hostMemoryIsNotKeptAgainstTheSetting);
    RUN(hostMemoryIsPreparedAndGrows);
    RUN(nothingNeedsNoHostMemory);
    RUN(aFileTakesItAndGoes);
    RUN(aFileThatIsThereIsLeftAlone);
    RUN(aFolderThatIsMissingIsNamed);
    RUN(aFileThatIsLostIsNoLoss);
    RUN(anotherFileInItsPlaceIsLeftAlone);
    RUN(aFileThatIsNotNeededGoes);
    RUN(aDiskThatIsFullIsSaid);
    RUN(aLimitOfFilesIsSaid);
    RUN(aLimitOfMemoryIsSaid);
    RUN(aChildHasNoPartInIt);
    return summary();
}
