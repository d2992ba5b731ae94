/* Parking into files of a folder that somebody names: the process does not refer to them, and they may be elsewhere when they are needed. */
#include "launch.h"
#include "outcome.h"
#include "parking.h"
#include "virtual.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

enum { BYTES = 7 * MIB, SOME = 2 * MIB, POOLED = 4 * MIB };
static CUdeviceptr memory, mine, pooled;
static char folder[200], path[300], elsewhere[400], line[500];
static const char *const ways[] = {"park keep=1", "park"};

/* One of those files. */
static const char *file_of(const char *where, int number) {
    static char name[420];
    snprintf(name, sizeof name, "%s/memory-%02d", where, number);
    return name;
}

static void prepare_in(const char *where) {
    use_device(0);
    snprintf(folder, sizeof folder, "%s", where);
    snprintf(path, sizeof path, "%s/stored-%d", folder, (int)getpid());
    snprintf(elsewhere, sizeof elsewhere, "%s/moved %d", folder, (int)getpid());
    OK(mkdir(path, 0700));
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    mine = mapped(SOME, made(SOME));
    OK(cu.cuMemAllocAsync(&pooled, POOLED, NULL));
    write_pattern(memory, BYTES, 1);
    write_pattern(mine, SOME, 2);
    write_pattern(pooled, POOLED, 3);
}

static void prepare(void) { prepare_in(getenv("TORPOR_DIR")); }

static void expect_whole(void) {
    EXPECT_PATTERN(memory, BYTES, 1);
    EXPECT_PATTERN(mine, SOME, 2);
    EXPECT_PATTERN(pooled, POOLED, 3);
}

static const char *with(const char *words, const char *file) {
    snprintf(line, sizeof line, "%s arena=%s", words, file);
    return line;
}

/* Mapped or open. */
static int refers_to(const char *file) {
    char text[600], target[300];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(text, sizeof text, maps)) found |= strstr(text, file) != NULL;
    fclose(maps);
    DIR *open = opendir("/proc/self/fd");
    for (struct dirent *one; (one = readdir(open));) {
        ssize_t length = readlinkat(dirfd(open), one->d_name, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        found |= strstr(target, file) != NULL;
    }
    closedir(open);
    return found;
}

/* What is removed is closed soon after. */
static int lets_go_of(const char *file) {
    for (int i = 0; i < 500 && refers_to(file); i++) sleep_ms(10);
    return !refers_to(file);
}

static int is_there(const char *file) { return !access(file, F_OK); }

static int files_in(const char *where) {
    int count = 0;
    DIR *open = opendir(where);
    for (struct dirent *one; open && (one = readdir(open));) count += *one->d_name != '.';
    if (open) closedir(open);
    return count;
}

/* How many it was. */
static int emptied(const char *where) {
    int count = 0;
    for (int i = 0; i < 16; i++) count += !unlink(file_of(where, i));
    return count;
}

/* With the files of a park, and nothing else. */
static void drop(const char *where) {
    EXPECT(emptied(where) > 0);
    OK(rmdir(where));
}

static void itIsNeitherOpenNorMappedAndMayMove(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    EXPECT(!refers_to(path));
    EXPECT_IS(0, status_of("arena_bytes"));
    OK(rename(path, elsewhere));
    COMMAND_FAILS("arena", "unpark");
    EXPECT(strstr(command("unpark"), path));
    EXPECT(strstr(command("status"), "state=parked"));
    COMMAND_OK(with("unpark", elsewhere));
    EXPECT(!refers_to(elsewhere));
    expect_whole();
    EXPECT(is_there(elsewhere));
    drop(elsewhere);
}

static void whoeverUnparksMaySayWhetherFilesStay(void) {
    static const char *const parks[] = {"park keep=0", "park keep=1"}, *const unparks[] = {"unpark keep=0", "unpark keep=1"};
    prepare();
    for (int how = 0; how < 4; how++) {
        COMMAND_OK(with(parks[how / 2], path));
        OK(rename(path, elsewhere));
        COMMAND_FAILS("arena", unparks[how % 2]);
        COMMAND_OK(with(unparks[how % 2], elsewhere));
        expect_whole();
        EXPECT_IS(how % 2, emptied(elsewhere) > 0);
        OK(rename(elsewhere, path));
    }
    OK(rmdir(path));
}

static void itIsLookedForWhereItWas(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    expect_whole();
    COMMAND_FAILS("arena", with("park keep=1", path)); /* they are there still */
    EXPECT(emptied(path) > 1);
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    expect_whole();
    drop(path);
}

static void itIsReadByAsManyProcessesAsComeOfIt(void) {
    prepare();
    for (int i = 0; i < 3; i++) {
        COMMAND_OK(with("park keep=1", path));
        COMMAND_OK("unpark");
        EXPECT(!is_there(elsewhere));
        OK(rename(path, elsewhere)); /* an older one, of the same bytes */
        OK(mkdir(path, 0700));
        COMMAND_OK(with("park keep=1", path));
        COMMAND_OK(with("unpark", elsewhere));
        expect_whole();
        EXPECT(emptied(path) > 1);
        drop(elsewhere);
    }
}

/* From an offset on the page cache has nothing of them. */
static void forget_cached(off_t offset) {
    for (int i = 0; is_there(file_of(path, i)); i++) {
        int fd = open(file_of(path, i), O_RDONLY);
        OK(fdatasync(fd)); /* what is dirty stays in the page cache */
        OK(posix_fadvise(fd, offset, 0, POSIX_FADV_DONTNEED));
        close(fd);
    }
}

/* Bytes that the process has had read from disks. */
static unsigned long long from_disk(void) {
    unsigned long long bytes = 0;
    char text[100];
    FILE *io = fopen("/proc/self/io", "r");
    while (io && fgets(text, sizeof text, io)) sscanf(text, "read_bytes: %llu", &bytes);
    if (io) fclose(io);
    return bytes;
}

static void whatTheDiskHasIsReadFromItOnce(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    forget_cached(0);
    unsigned long long before = from_disk();
    COMMAND_OK("unpark");
    EXPECT(from_disk() - before < BYTES + SOME + POOLED + 2 * MIB);
    expect_whole();
    drop(path);
}

static void whatThePageCacheHasInPartIsRead(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    forget_cached(MIB);
    COMMAND_OK("unpark");
    expect_whole();
    drop(path);
}

static void itMayLieInMemory(void) {
    const char *memory_folder = getenv("TORPOR_SIM_DIR") ? getenv("TORPOR_SIM_DIR") : "/dev/shm";
    struct statvfs room = {0};
    OK(statvfs(memory_folder, &room));
    if (skipped(room.f_bavail * room.f_frsize < 80 * MIB, "there is too little memory for files")) return;
    prepare_in(memory_folder);
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    expect_whole();
    drop(path);
}

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

/* The right one is taken afterwards. */
static void expect_refused(const char *where) {
    size_t free = free_memory();
    COMMAND_FAILS("arena", with("unpark", where));
    EXPECT_IS(free, free_memory());
    EXPECT(strstr(command("status"), "state=parked"));
    EXPECT(!refers_to(where));
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
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
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

static size_t parked_in(const char *where, int *files) {
    struct stat found;
    size_t bytes = 0;
    for (*files = 0; !stat(file_of(where, *files), &found); ++*files) bytes += (size_t)found.st_size;
    return bytes;
}

static void eachSizeIsSpreadAndComesBack(void) {
    static const size_t sizes[] = {2, 4, 6, 62, 64, 66, 130};
    use_device(0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int files;
        size_t bytes = sizes[i] * MIB;
        snprintf(path, sizeof path, "%s/size-%d-%zu", getenv("TORPOR_DIR"), (int)getpid(), i);
        OK(mkdir(path, 0700));
        OK(cu.cuMemAlloc_v2(&memory, bytes));
        write_pattern(memory, bytes, 7);
        COMMAND_OK(with("park keep=1", path));
        size_t parked = parked_in(path, &files), units = (parked + 4 * MIB - 1) / (4 * MIB);
        EXPECT(parked >= bytes);
        EXPECT_IS(units < 16 ? units : 16, files);
        COMMAND_OK("unpark");
        EXPECT_PATTERN(memory, bytes, 7);
        OK(cu.cuMemFree_v2(memory));
        drop(path);
    }
}

static void whatIsParkedInMemoryIsInNoFile(void) {
    prepare();
    COMMAND_OK("park");
    COMMAND_FAILS("arena", with("unpark", path));
    COMMAND_OK("unpark");
    EXPECT_IS(0, files_in(path));
    expect_whole();
}

static void memoryAndFilesTakeTurns(void) {
    prepare();
    for (int i = 0; i < 3; i++) {
        COMMAND_OK("park");
        COMMAND_OK("unpark");
        expect_whole();
        COMMAND_OK(with("park keep=1", path));
        COMMAND_OK("unpark");
        expect_whole();
        EXPECT(emptied(path) > 1);
        COMMAND_OK(with("park", path));
        EXPECT_IS(0, status_of("arena_bytes"));
        COMMAND_OK("unpark");
        expect_whole();
        EXPECT_IS(0, files_in(path));
    }
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

static void nothingNeedsNoFile(void) {
    use_device(0);
    snprintf(path, sizeof path, "%s/none-%d", getenv("TORPOR_DIR"), (int)getpid());
    for (int i = 0; i < 2; i++) {
        COMMAND_OK(with(ways[i], path));
        EXPECT(!is_there(path));
        COMMAND_OK(with("unpark", path));
    }
}

static void memoryThatIsFreedMeanwhileIsNotBroughtBack(void) {
    prepare();
    size_t before = settled_memory();
    COMMAND_OK(with("park keep=1", path));
    OK(cu.cuMemFree_v2(memory));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(mine, SOME, 2);
    EXPECT_PATTERN(pooled, POOLED, 3);
    EXPECT(free_memory() >= before + BYTES);
    drop(path);
}

static void filesOfWhatIsAllFreedMeanwhileGo(void) {
    use_device(0);
    snprintf(path, sizeof path, "%s/freed-%d", getenv("TORPOR_DIR"), (int)getpid());
    OK(mkdir(path, 0700));
    OK(cu.cuMemAlloc_v2(&memory, BYTES));
    COMMAND_OK(with("park", path));
    OK(cu.cuMemFree_v2(memory));
    EXPECT(files_in(path) > 1);
    EXPECT_IS(0, number_of(command("unpark"), "bytes"));
    OK(rmdir(path));
}

static void withoutPinnedMemoryTheDriverReads(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemHostAlloc=2", 1);
    prepare();
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    expect_whole();
    COMMAND_OK("park");
    COMMAND_OK("unpark");
    drop(path);
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

static void aChildHasNoPartInIt(void) {
    prepare();
    for (int i = 0; i < 2; i++) {
        COMMAND_OK(with(ways[i], path));
        int files = files_in(path);
        EXPECT(files > 1);
        fflush(stdout);
        int child = fork();
        if (!child) {
            if (sanitized()) _exit(0);
            exit(0);
        }
        OK(wait_child(child));
        EXPECT_IS(files, files_in(path));
        COMMAND_OK("unpark");
        expect_whole();
        EXPECT_IS(i ? 0 : files, emptied(path));
    }
    OK(rmdir(path));
}

static void withoutKeepItGoes(void) {
    static const char *const names[] = {"plain", "with two  blanks ", "arena=x keep=1"};
    prepare();
    for (int i = 0; i < 3; i++) {
        struct stat found = {0};
        snprintf(elsewhere, sizeof elsewhere, "%s/%s", path, names[i]);
        OK(mkdir(elsewhere, 0700));
        OK(close(open(file_of(elsewhere, 16), O_RDWR | O_CREAT | O_EXCL, 0600)));
        COMMAND_OK(with("park timeout-ms=5000", elsewhere));
        EXPECT(!refers_to(elsewhere));
        EXPECT_IS(0, status_of("arena_bytes"));
        OK(lstat(file_of(elsewhere, 0), &found));
        EXPECT_IS(0600, found.st_mode & 07777);
        COMMAND_OK("unpark");
        EXPECT_IS(1, files_in(elsewhere)); /* what is not of the park */
        EXPECT(lets_go_of(elsewhere));
        expect_whole();
        OK(unlink(file_of(elsewhere, 16)));
        OK(rmdir(elsewhere));
    }
    OK(rmdir(path));
}

static void aChildDoesNotHoldWhatIsRemoved(void) {
    prepare();
    for (int i = 0; i < 20; i++) {
        COMMAND_OK(with("park", path));
        COMMAND_OK("unpark");
        fflush(stdout);
        int child = fork();
        if (!child) _exit(refers_to(path));
        EXPECT_IS(0, wait_child(child));
    }
    expect_whole();
    OK(rmdir(path));
}

static void withoutKeepItMayMove(void) {
    prepare();
    COMMAND_OK(with("park", path));
    OK(rename(path, elsewhere));
    OK(mkdir(path, 0700));
    for (int i = 0; i < 2; i++) COMMAND_FAILS("arena", "unpark");
    EXPECT(files_in(elsewhere) > 1);
    COMMAND_OK(with("unpark", elsewhere));
    expect_whole();
    OK(rmdir(elsewhere));
    COMMAND_OK(with("park", path)); /* the folder of last time is forgotten */
    COMMAND_OK("unpark");
    expect_whole();
    OK(rmdir(path));
}

static void withoutKeepAFailedUnparkLeavesIt(void) {
    char real[400];
    prepare();
    COMMAND_OK(with("park", path));
    int files = files_in(path);
    snprintf(real, sizeof real, "%s/real", path);
    OK(rename(file_of(path, 1), real));
    expect_refused(path);
    int fd = open(file_of(path, 1), O_RDWR | O_CREAT | O_EXCL, 0600); /* somebody else's */
    EXPECT_IS(4, write(fd, "mine", 4));
    close(fd);
    expect_refused(path);
    EXPECT_IS(files + 1, files_in(path));
    OK(rename(real, file_of(path, 1)));
    COMMAND_OK("unpark");
    expect_whole();
    OK(rmdir(path));
}

static void *park_in_vain(void *unused) {
    (void)unused;
    COMMAND_FAILS("busy", with("park timeout-ms=2000", path));
    return NULL;
}

static void anotherFileInItsPlaceIsLeftAlone(void) {
    char text[8] = "";
    pthread_t parking;
    prepare();
    CUstream s = made_stream();
    stop_at(s);
    OK(pthread_create(&parking, NULL, park_in_vain, NULL));
    for (int i = 0; i < 1000 && !is_there(file_of(path, 3)); i++) sleep_ms(1);
    OK(unlink(file_of(path, 1)));
    int fd = open(file_of(path, 1), O_RDWR | O_CREAT | O_EXCL, 0600);
    EXPECT_IS(5, write(fd, "mine!", 5));
    OK(pthread_join(parking, NULL));
    go_on = 1;
    EXPECT_IS(1, files_in(path));
    EXPECT(is_there(file_of(path, 1)) && pread(fd, text, sizeof text, 0) == 5 && !memcmp(text, "mine!", 5));
    close(fd);
    expect_whole();
    drop(path);
}

static void whoEndsLeavesIt(void *way) {
    prepare();
    COMMAND_OK(with(way, path));
    printf("%s\n", path);
    fflush(stdout);
    exit(0);
}

static void expect_outlived(const char *way) {
    struct outcome o = outcome_of(whoEndsLeavesIt, (void *)way);
    EXPECT_IS(0, o.status);
    o.out[strcspn(o.out, "\n")] = 0;
    struct stat found = {0};
    int files;
    EXPECT(parked_in(o.out, &files) >= BYTES + SOME + POOLED);
    OK(stat(file_of(o.out, files - 1), &found));
    EXPECT_IS(0600, found.st_mode & 07777);
    drop(o.out);
    outcome_free(&o);
}

static void itOutlivesTheProcess(void) {
    for (int i = 0; i < 2; i++) expect_outlived(ways[i]);
}

int main(void) {
    RUN(itIsNeitherOpenNorMappedAndMayMove);
    RUN(whoeverUnparksMaySayWhetherFilesStay);
    RUN(itIsLookedForWhereItWas);
    RUN(itIsReadByAsManyProcessesAsComeOfIt);
    RUN(whatTheDiskHasIsReadFromItOnce);
    RUN(whatThePageCacheHasInPartIsRead);
    RUN(itMayLieInMemory);
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
    RUN(eachSizeIsSpreadAndComesBack);
    RUN(whatIsParkedInMemoryIsInNoFile);
    RUN(memoryAndFilesTakeTurns);
    RUN(whatCannotBeParkedLeavesNoFile);
    RUN(nothingNeedsNoFile);
    RUN(memoryThatIsFreedMeanwhileIsNotBroughtBack);
    RUN(withoutPinnedMemoryTheDriverReads);
    RUN(aShortageOfMemoryIsNoLoss);
    RUN(withoutKeepAShortageOfMemoryIsNone);
    RUN(filesOfWhatIsAllFreedMeanwhileGo);
    RUN(aChildHasNoPartInIt);
    RUN(withoutKeepItGoes);
    RUN(aChildDoesNotHoldWhatIsRemoved);
    RUN(withoutKeepItMayMove);
    RUN(withoutKeepAFailedUnparkLeavesIt);
    RUN(anotherFileInItsPlaceIsLeftAlone);
    RUN(itOutlivesTheProcess);
    return summary();
}
