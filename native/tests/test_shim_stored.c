/* Parking into files of a folder that somebody names: the process does not refer to them, and they may be elsewhere when they are needed. */
#include "outcome.h"
#include "stored_files.h"

#include <sys/statvfs.h>

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

static void eachSizeIsSpreadAndComesBack(void) {
    static const size_t sizes[] = {2, 4, 6, 62, 64, 66, 130};
    use_device(0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int files = 0;
        size_t bytes = sizes[i] * MIB;
        snprintf(path, sizeof path, "%s/size-%d-%zu", getenv("TORPOR_DIR"), (int)getpid(), i);
        OK(mkdir(path, 0700));
        OK(cu.cuMemAlloc_v2(&memory, bytes));
        write_pattern(memory, bytes, 7);
        size_t parked = number_of(command(with("park keep=1", path)), "bytes"), units = (parked + 4 * MIB - 1) / (4 * MIB);
        EXPECT(parked >= bytes && parked_in(path, &files) > parked);
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

int main(void) {
    RUN(itIsNeitherOpenNorMappedAndMayMove);
    RUN(whoeverUnparksMaySayWhetherFilesStay);
    RUN(itIsLookedForWhereItWas);
    RUN(whatTheDiskHasIsReadFromItOnce);
    RUN(whatThePageCacheHasInPartIsRead);
    RUN(itMayLieInMemory);
    RUN(eachSizeIsSpreadAndComesBack);
    RUN(whatIsParkedInMemoryIsInNoFile);
    RUN(memoryAndFilesTakeTurns);
    RUN(nothingNeedsNoFile);
    RUN(memoryThatIsFreedMeanwhileIsNotBroughtBack);
    RUN(withoutPinnedMemoryTheDriverReads);
    return summary();
}
