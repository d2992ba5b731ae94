/* Parking into files where something goes wrong: the process runs on, or is parked still, and nothing is lost or left behind. */
#include "broken_calls.h"
#include "outcome.h"
#include "stored_files.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

static void oneThatWasCutIsNoLoss(void) {
    static char rest[MIB];
    prepare();
    COMMAND_OK(with("park keep=1", path));
    int fd = open(file_of(path, 1), O_RDWR);
    long whole = lseek(fd, 0, SEEK_END);
    EXPECT_IS(MIB, pread(fd, rest, MIB, whole - MIB));
    OK(ftruncate(fd, whole - MIB));
    size_t free = free_memory();
    for (int i = 0; i < 2; i++) COMMAND_FAILS("arena", "unpark");
    EXPECT_IS(free, free_memory());
    EXPECT(strstr(command("status"), "state=parked"));
    EXPECT_IS(MIB, pwrite(fd, rest, MIB, whole - MIB));
    close(fd);
    COMMAND_OK("unpark");
    expect_whole();
    drop(path);
}

static void otherFilesAreNotRead(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    OK(mkdir(elsewhere, 0700));
    expect_refused(elsewhere);
    for (int i = 0; is_there(file_of(path, i)); i++) {
        struct stat parked = {0};
        OK(stat(file_of(path, i), &parked));
        int fd = open(file_of(elsewhere, i), O_RDWR | O_CREAT | O_EXCL, 0600);
        OK(ftruncate(fd, parked.st_size + (i == 1)));
        close(fd);
    }
    expect_refused(elsewhere); /* one is too long */
    OK(unlink(file_of(elsewhere, 1)));
    expect_refused(elsewhere); /* one is missing */
    expect_refused("/dev/full");
    COMMAND_OK(with("unpark", path));
    expect_whole();
    drop(elsewhere);
    drop(path);
}

static void filesOfMoreThanWasParkedAreNotRead(void) {
    prepare();
    OK(cu.cuMemFreeAsync(pooled, NULL)); /* a pool's memory takes all files */
    OK(cu.cuStreamSynchronize(NULL));
    COMMAND_OK(with("park keep=1", path));
    EXPECT(!is_there(file_of(path, 15)));
    OK(close(open(file_of(path, 15), O_RDWR | O_CREAT | O_EXCL, 0600)));
    expect_refused(path);
    OK(unlink(file_of(path, 15)));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 1);
    EXPECT_PATTERN(mine, SOME, 2);
    drop(path);
}

static void whatIsNoFileIsNotRead(void) {
    char real[400];
    prepare();
    COMMAND_OK(with("park keep=1", path));
    snprintf(real, sizeof real, "%s/real", path);
    OK(rename(file_of(path, 1), real));
    OK(symlink("real", file_of(path, 1)));
    expect_refused(path);
    OK(unlink(file_of(path, 1)));
    OK(mkfifo(file_of(path, 1), 0600));
    expect_refused(path); /* and nobody waits for a writer */
    OK(unlink(file_of(path, 1)));
    OK(mkdir(file_of(path, 1), 0700));
    expect_refused(path);
    OK(rmdir(file_of(path, 1)));
    OK(rename(real, file_of(path, 1)));
    COMMAND_OK("unpark");
    expect_whole();
    drop(path);
}

static void aNameThatIsTakenIsLeftAlone(void) {
    prepare();
    int fd = open(file_of(path, 2), O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT_IS(4, write(fd, "mine", 4));
    for (int i = 0; i < 2; i++) {
        COMMAND_FAILS("arena", with(ways[i], path));
        EXPECT(strstr(command(line), "memory-02"));
        EXPECT(strstr(command("status"), "state=running"));
        EXPECT_IS(4, lseek(fd, 0, SEEK_END));
        EXPECT_IS(1, files_in(path));
    }
    close(fd);
    OK(unlink(file_of(path, 2)));
    OK(symlink(elsewhere, file_of(path, 2)));
    for (int i = 0; i < 2; i++) COMMAND_FAILS("arena", with(ways[i], path));
    EXPECT(!is_there(elsewhere));
    expect_whole();
    drop(path);
}

static void aFolderMustBeThere(void) {
    prepare();
    for (int i = 0; i < 2; i++) {
        COMMAND_FAILS("arena", with(ways[i], elsewhere));
        EXPECT(strstr(command(line), elsewhere));
        COMMAND_FAILS("arena", with(ways[i], "/dev/zero"));
    }
    EXPECT(!is_there(elsewhere));
    expect_whole();
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    expect_whole();
    drop(path);
}

static void expect_untouched(void) {
    EXPECT(strstr(command("status"), "state=running"));
    EXPECT(lets_go_of(path));
    OK(rmdir(path)); /* nothing is left in it */
    expect_whole();
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    expect_whole();
}

static void aFullDiskIsNoLoss(void) {
    prepare();
    if (skipped(mount("torpor", path, "tmpfs", 0, "size=6m"), "no file system can be mounted")) return;
    for (int i = 0; i < 2; i++) {
        COMMAND_FAILS("arena", with(ways[i], path));
        EXPECT(strstr(command(line), "No space left"));
        EXPECT_IS(0, files_in(path));
    }
    OK(mount("torpor", path, NULL, MS_REMOUNT, "size=80m"));
    COMMAND_OK(with("park", path));
    COMMAND_OK("unpark");
    EXPECT_IS(0, files_in(path));
    OK(umount2(path, MNT_DETACH));
    expect_untouched();
}

/* The kernel ends a process whose thread goes beyond it with the signal open. */
static void aLimitToFilesIsNoLoss(void) {
    struct rlimit before, low;
    prepare();
    OK(getrlimit(RLIMIT_FSIZE, &before));
    low = (struct rlimit){3 * MIB, before.rlim_max};
    OK(setrlimit(RLIMIT_FSIZE, &low));
    for (int i = 0; i < 2; i++) COMMAND_FAILS("arena", with(ways[i], path));
    OK(setrlimit(RLIMIT_FSIZE, &before));
    expect_untouched();
}

/* In the whole process: whatever a file that is opened from now on gets behind its first MiB. */
static int break_writes(void) {
    int last = 0;
    for (int i = 0; i < 100; i++) last = dup(0); /* every number below is taken */
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (unsigned)last, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, MIB, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    return install_filter(program, sizeof program / sizeof *program);
}

static void aDiskThatBreaksMidwayIsNoLoss(void) {
    prepare();
    if (skipped(!break_writes(), "no system call can be made to fail")) return;
    for (int i = 0; i < 2; i++) COMMAND_FAILS("arena", with(ways[i], path));
    EXPECT(strstr(command(line), "Input/output error"));
    expect_untouched();
}

static void withoutPinnedMemoryABrokenDiskIsNoLoss(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemHostAlloc=2", 1);
    aDiskThatBreaksMidwayIsNoLoss();
}

static void expect_comes_back(void) {
    for (int i = 0; i < 2; i++) {
        COMMAND_OK(with(ways[i], path));
        EXPECT(files_in(path) > 1);
        COMMAND_OK("unpark");
        expect_whole();
        emptied(path);
    }
}

/* NFS before version 4.2, ramfs, ZFS before 2.1 and some FUSE file systems. */
static void aFileSystemThatCannotReserveIsWrittenTo(void) {
    prepare();
    if (skipped(mount("torpor", path, "ramfs", 0, ""), "no file system can be mounted")) return;
    expect_comes_back();
    OK(umount2(path, MNT_DETACH));
    expect_untouched();
}

static void aFullDiskThatCannotReserveIsNoLoss(void) {
    prepare();
    if (skipped(mount("torpor", path, "tmpfs", 0, "size=6m") || !break_calls(SYS_fallocate, SYS_fallocate, EOPNOTSUPP), "no file system can be mounted")) return;
    for (int i = 0; i < 2; i++) {
        COMMAND_FAILS("arena", with(ways[i], path));
        EXPECT(strstr(command(line), "No space left"));
        EXPECT_IS(0, files_in(path));
    }
    OK(umount2(path, MNT_DETACH));
    expect_untouched();
}

/* The rest of this process sees a machine with 64 MiB left. */
static int leave_little_memory(void) {
    static const char little[] = "MemTotal: 65536 kB\nMemAvailable: 65536 kB\n";
    char file[300];
    snprintf(file, sizeof file, "%s/meminfo-%d", getenv("TORPOR_DIR"), (int)getpid());
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
    int done = write(fd, little, sizeof little - 1) == sizeof little - 1 && !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)
        && !mount(file, "/proc/meminfo", NULL, MS_BIND, NULL);
    close(fd);
    return done;
}

static void aDirectoryInMemoryCountsAsMemory(void) {
    if (skipped(!leave_little_memory(), "nothing can be mounted")) return;
    prepare();
    COMMAND_FAILS("host-memory", "park");
    COMMAND_OK(with("park", path)); /* a disk has room */
    COMMAND_OK("unpark");
    OK(mkdir(elsewhere, 0700));
    if (skipped(mount("torpor", elsewhere, "tmpfs", 0, "size=80m"), "no file system can be mounted")) return;
    for (int i = 0; i < 2; i++) {
        COMMAND_FAILS("host-memory", with(ways[i], elsewhere));
        EXPECT(strstr(command(line), elsewhere));
        EXPECT_IS(0, files_in(elsewhere));
    }
    EXPECT(strstr(command("status"), "state=running"));
    expect_whole();
    OK(rmdir(path));
}

/* The process stays as it is until the disk has what it is to have. */
static void aDiskThatFailsToSyncIsNoLoss(void) {
    prepare();
    COMMAND_FAILS("argument", "park sync=1");
    COMMAND_FAILS("argument", "unpark sync=1");
    EXPECT(strstr(command(with("park sync=1", path)), " synced=1"));
    COMMAND_OK("unpark");
    EXPECT(strstr(command(with("park", path)), " synced=0"));
    COMMAND_OK("unpark");
    EXPECT(!strstr(command("park"), "synced"));
    COMMAND_OK("unpark");
    if (skipped(!break_calls(SYS_fdatasync, SYS_fsync, EIO), "no system call can be made to fail")) return;
    COMMAND_FAILS("arena", with("park sync=1", path));
    EXPECT(strstr(command(line), "Input/output error"));
    expect_untouched();
}

static void withoutThreadsTheAnswerSaysSo(void) {
    prepare();
    COMMAND_OK("status");
    if (skipped(!break_calls(SYS_clone, SYS_clone3, EAGAIN), "no system call can be made to fail")) return;
    for (int i = 0; i < 2; i++) COMMAND_FAILS("busy", with(ways[i], path));
    EXPECT(strstr(command(line), "no thread can be started"));
    EXPECT(strstr(command("status"), "state=running"));
    EXPECT_IS(0, files_in(path));
    expect_whole();
    OK(rmdir(path));
}

static void whatCannotBeParkedLeavesNoFile(void) {
    CUgraph captured;
    prepare();
    CUstream s;
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    for (int i = 0; i < 2; i++) COMMAND_FAILS("busy", with(ways[i], path));
    OK(rmdir(path));
    OK(cu.cuStreamEndCapture(s, &captured));
    expect_whole();
}

static void expect_no_loss_for_want_of_memory(const char *way, int keep) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemCreate#6-7=2", 1); /* the first three are the program's */
    prepare();
    COMMAND_OK(with(way, path));
    int files = files_in(path), refused = 0;
    const char *answer = command("unpark");
    for (; is_error(answer, "device-memory"); answer = command("unpark"), refused++) EXPECT_IS(files, files_in(path));
    if (!is_ok(answer)) fail_at(__FILE__, __LINE__, "unpark: %s", answer);
    EXPECT(refused > 0);
    expect_whole();
    EXPECT_IS(keep ? files : 0, emptied(path));
    OK(rmdir(path));
}

static void aShortageOfMemoryIsNoLoss(void) { expect_no_loss_for_want_of_memory("park keep=1", 1); }

static void withoutKeepAShortageOfMemoryIsNone(void) { expect_no_loss_for_want_of_memory("park", 0); }

int main(void) {
    RUN(oneThatWasCutIsNoLoss);
    RUN(otherFilesAreNotRead);
    RUN(filesOfMoreThanWasParkedAreNotRead);
    RUN(whatIsNoFileIsNotRead);
    RUN(aNameThatIsTakenIsLeftAlone);
    RUN(aFolderMustBeThere);
    RUN(aFullDiskIsNoLoss);
    RUN(aLimitToFilesIsNoLoss);
    RUN(aDiskThatBreaksMidwayIsNoLoss);
    RUN(withoutPinnedMemoryABrokenDiskIsNoLoss);
    RUN(aFileSystemThatCannotReserveIsWrittenTo);
    RUN(aFullDiskThatCannotReserveIsNoLoss);
    RUN(aDirectoryInMemoryCountsAsMemory);
    RUN(aDiskThatFailsToSyncIsNoLoss);
    RUN_IF(!sanitized(), withoutThreadsTheAnswerSaysSo, "a sanitizer starts a thread of its own");
    RUN(whatCannotBeParkedLeavesNoFile);
    RUN(aShortageOfMemoryIsNoLoss);
    RUN(withoutKeepAShortageOfMemoryIsNone);
    return summary();
}
