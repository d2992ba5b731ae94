/* Parking into a file that belongs to whoever names it: the process does not refer to it, and it may be elsewhere when it is needed. */
#include "parking.h"
#include "outcome.h"
#include "virtual.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

enum { BYTES = 6 * MIB, SOME = 2 * MIB, POOLED = 4 * MIB };
static CUdeviceptr memory, mine, pooled;
static char folder[200], path[300], elsewhere[300], line[400];

static void prepare_in(const char *where) {
    use_device(0);
    snprintf(folder, sizeof folder, "%s", where);
    snprintf(path, sizeof path, "%s/stored-%d", folder, (int)getpid());
    snprintf(elsewhere, sizeof elsewhere, "%s/moved %d", folder, (int)getpid());
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

static int is_there(const char *file) { return !access(file, F_OK); }

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
    OK(unlink(elsewhere));
}

static void itIsLookedForWhereItWas(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    expect_whole();
    COMMAND_FAILS("arena", with("park keep=1", path)); /* it is there still */
    OK(unlink(path));
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    expect_whole();
    OK(unlink(path));
}

static void itIsReadByAsManyProcessesAsComeOfIt(void) {
    prepare();
    for (int i = 0; i < 3; i++) {
        COMMAND_OK(with("park keep=1", path));
        COMMAND_OK("unpark");
        EXPECT(!is_there(elsewhere));
        OK(rename(path, elsewhere)); /* an older one, of the same bytes */
        COMMAND_OK(with("park keep=1", path));
        COMMAND_OK(with("unpark", elsewhere));
        expect_whole();
        OK(unlink(path));
        OK(unlink(elsewhere));
    }
}

static void whatTheDiskHasIsReadFromIt(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    int fd = open(path, O_RDONLY);
    OK(fdatasync(fd)); /* what is dirty stays in the page cache */
    OK(posix_fadvise(fd, MIB, 0, POSIX_FADV_DONTNEED));
    close(fd);
    COMMAND_OK("unpark");
    expect_whole();
    OK(unlink(path));
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
    OK(unlink(path));
}

static void oneThatWasCutIsNoLoss(void) {
    static char rest[MIB];
    prepare();
    COMMAND_OK(with("park keep=1", path));
    int fd = open(path, O_RDWR);
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
    OK(unlink(path));
}

static void anotherFileIsNotRead(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    struct stat parked = {0};
    OK(stat(path, &parked));
    int fd = open(elsewhere, O_RDWR | O_CREAT | O_EXCL, 0600);
    OK(ftruncate(fd, parked.st_size + 1));
    size_t free = free_memory();
    COMMAND_FAILS("arena", with("unpark", elsewhere));
    COMMAND_FAILS("arena", with("unpark", "/dev/zero"));
    EXPECT_IS(free, free_memory());
    EXPECT(strstr(command("status"), "state=parked"));
    COMMAND_OK(with("unpark", path));
    expect_whole();
    close(fd);
    OK(unlink(elsewhere));
    OK(unlink(path));
}

static void whatIsNoFileIsNotRead(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    OK(symlink(path, elsewhere));
    COMMAND_FAILS("arena", with("unpark", elsewhere));
    COMMAND_FAILS("arena", with("unpark", folder));
    OK(unlink(elsewhere));
    OK(mkfifo(elsewhere, 0600));
    COMMAND_FAILS("arena", with("unpark", elsewhere)); /* and nobody waits for a writer */
    COMMAND_OK("unpark");
    expect_whole();
    OK(unlink(elsewhere));
    OK(unlink(path));
}

static void whatIsParkedInMemoryIsInNoFile(void) {
    prepare();
    COMMAND_OK("park");
    COMMAND_FAILS("arena", with("unpark", path));
    COMMAND_OK("unpark");
    COMMAND_OK(with("park", path));
    COMMAND_FAILS("arena", with("unpark", path));
    COMMAND_OK("unpark");
    EXPECT(!is_there(path));
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
        OK(unlink(path));
    }
}

static void whatCannotBeParkedLeavesNoFile(void) {
    CUgraph captured;
    prepare();
    CUstream s;
    OK(cu.cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    OK(cu.cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
    COMMAND_FAILS("busy", with("park keep=1", path));
    EXPECT(!is_there(path));
    OK(cu.cuStreamEndCapture(s, &captured));
    expect_whole();
}

static void nothingNeedsNoFile(void) {
    use_device(0);
    snprintf(path, sizeof path, "%s/none-%d", getenv("TORPOR_DIR"), (int)getpid());
    COMMAND_OK(with("park keep=1", path));
    EXPECT(!is_there(path));
    COMMAND_OK(with("unpark", path));
}

static void memoryThatIsFreedMeanwhileIsNotBroughtBack(void) {
    prepare();
    size_t before = free_memory();
    COMMAND_OK(with("park keep=1", path));
    OK(cu.cuMemFree_v2(memory));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(mine, SOME, 2);
    EXPECT_PATTERN(pooled, POOLED, 3);
    EXPECT(free_memory() >= before + BYTES);
    OK(unlink(path));
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
    OK(unlink(path));
}

static void aShortageOfMemoryIsNoLoss(void) {
    if (skipped(real_driver(), "faults are the simulator's")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemCreate#6-7=2", 1); /* the first three are the program's */
    prepare();
    COMMAND_OK(with("park keep=1", path));
    const char *answer = command("unpark");
    while (is_error(answer, "device-memory")) answer = command("unpark");
    if (!is_ok(answer)) fail_at(__FILE__, __LINE__, "unpark: %s", answer);
    expect_whole();
    OK(unlink(path));
}

static void aChildHasNoPartInIt(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    pid_t child = fork();
    if (!child) _exit(0);
    int status = -1;
    EXPECT_IS(child, waitpid(child, &status, 0));
    EXPECT_IS(0, status);
    EXPECT(is_there(path));
    COMMAND_OK("unpark");
    expect_whole();
    OK(unlink(path));
}

static void whoEndsLeavesIt(void *unused) {
    (void)unused;
    prepare();
    COMMAND_OK(with("park keep=1", path));
    printf("%s\n", path);
    fflush(stdout);
    exit(0);
}

static void itOutlivesTheProcess(void) {
    struct outcome o = outcome_of(whoEndsLeavesIt, NULL);
    EXPECT_IS(0, o.status);
    o.out[strcspn(o.out, "\n")] = 0;
    struct stat found = {0};
    OK(stat(o.out, &found));
    EXPECT(found.st_size >= BYTES + SOME + POOLED);
    EXPECT_IS(0600, found.st_mode & 07777);
    OK(unlink(o.out));
    outcome_free(&o);
}

int main(void) {
    RUN(itIsNeitherOpenNorMappedAndMayMove);
    RUN(itIsLookedForWhereItWas);
    RUN(itIsReadByAsManyProcessesAsComeOfIt);
    RUN(whatTheDiskHasIsReadFromIt);
    RUN(itMayLieInMemory);
    RUN(oneThatWasCutIsNoLoss);
    RUN(anotherFileIsNotRead);
    RUN(whatIsNoFileIsNotRead);
    RUN(whatIsParkedInMemoryIsInNoFile);
    RUN(memoryAndFilesTakeTurns);
    RUN(whatCannotBeParkedLeavesNoFile);
    RUN(nothingNeedsNoFile);
    RUN(memoryThatIsFreedMeanwhileIsNotBroughtBack);
    RUN(withoutPinnedMemoryTheDriverReads);
    RUN(aShortageOfMemoryIsNoLoss);
    RUN(aChildHasNoPartInIt);
    RUN(itOutlivesTheProcess);
    return summary();
}
