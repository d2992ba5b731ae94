/* Files of a park belong to that park: what another process or another park has written is neither read nor removed. */
#include "stored_files.h"

static void expect_back_from(const char *where) {
    COMMAND_OK(with("unpark", where));
    expect_whole();
}

static void filesOfAnEarlierParkAreRefused(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    OK(rename(path, elsewhere));
    OK(mkdir(path, 0700));
    write_pattern(memory, BYTES, 9); /* what the older files do not have */
    COMMAND_OK(with("park", path));
    expect_refused(elsewhere);
    EXPECT(strstr(command(line), "another park"));
    COMMAND_FAILS("arena", with("unpark keep=0", elsewhere));
    EXPECT(files_in(elsewhere) > 1);
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, BYTES, 9);
    drop(elsewhere);
    OK(rmdir(path));
}

static int other_in, other_out;

static void be_another(void *nothing) {
    char go;
    (void)nothing;
    prepare();
    write_pattern(memory, BYTES, 5);
    COMMAND_OK(with("park", path));
    EXPECT(write(other_out, path, sizeof path) == sizeof path);
    EXPECT(read(other_in, &go, 1) == 1);
    COMMAND_OK("unpark"); /* with what is its own */
    EXPECT_PATTERN(memory, BYTES, 5);
    OK(rmdir(path));
}

static void filesOfAnotherProcessAreRefused(void) {
    int to[2], from[2];
    char others[sizeof path];
    OK(pipe(to));
    OK(pipe(from));
    other_in = to[0];
    other_out = from[1];
    int child = start_child(be_another, NULL);
    prepare();
    EXPECT(read(from[0], others, sizeof others) == sizeof others);
    COMMAND_OK(with("park", path));
    int files = files_in(others);
    expect_refused(others);
    for (int i = 0; i < 2; i++) COMMAND_FAILS("arena", with(i ? "unpark keep=0" : "unpark", others));
    EXPECT_IS(files, files_in(others));
    EXPECT(write(to[1], "g", 1) == 1);
    OK(wait_child(child));
    COMMAND_OK("unpark");
    expect_whole();
    OK(rmdir(path));
}

static void swap(const char *one, const char *other) {
    char first[500], second[500], third[520];
    snprintf(first, sizeof first, "%s", one);
    snprintf(second, sizeof second, "%s", other);
    snprintf(third, sizeof third, "%s.kept", first);
    OK(rename(first, third));
    OK(rename(second, first));
    OK(rename(third, second));
}

static void swap_file(int number, int other) {
    char first[500];
    snprintf(first, sizeof first, "%s", file_of(path, number));
    swap(first, file_of(elsewhere, other));
}

static void oneFileOfAnotherParkIsRefused(void) {
    prepare();
    COMMAND_OK(with("park keep=1", path));
    COMMAND_OK("unpark");
    OK(rename(path, elsewhere));
    OK(mkdir(path, 0700));
    COMMAND_OK(with("park keep=1", path));
    int files = files_in(path);
    for (int i = 0; i < files; i++) {
        swap_file(i, i);
        expect_refused(path);
        swap_file(i, i);
    }
    expect_back_from(path);
    drop(elsewhere);
    drop(path);
}

static void filesInAnotherOrderAreRefused(void) {
    char first[500];
    use_device(0);
    snprintf(path, sizeof path, "%s/order-%d", getenv("TORPOR_DIR"), (int)getpid());
    OK(mkdir(path, 0700));
    OK(cu.cuMemAlloc_v2(&memory, 128 * MIB));
    write_pattern(memory, 128 * MIB, 3);
    COMMAND_OK(with("park keep=1", path));
    snprintf(first, sizeof first, "%s", file_of(path, 3));
    swap(first, file_of(path, 4)); /* of the same size */
    expect_refused(path);
    swap(first, file_of(path, 4));
    COMMAND_OK("unpark");
    EXPECT_PATTERN(memory, 128 * MIB, 3);
    drop(path);
}

/* The last so many bytes but `from`; what was there. */
static char turn_over(int file, off_t from_end) {
    char was = 0, now;
    int fd = open(file_of(path, file), O_RDWR);
    off_t at = lseek(fd, 0, SEEK_END) - from_end;
    EXPECT_IS(1, pread(fd, &was, 1, at));
    now = (char)~was;
    EXPECT_IS(1, pwrite(fd, &now, 1, at));
    close(fd);
    return was;
}

static void aDamagedSealOrTableIsRefused(void) {
    static const struct { int file; off_t from_end; } damages[] = {
        {0, 4096}, {0, 4096 - 8}, {0, 4096 - 16}, {1, 4096 - 40}, {2, 4096 - 75}, {0, 8192}, {0, 4097},
    };
    prepare();
    COMMAND_OK(with("park keep=1", path));
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        turn_over(damages[i].file, damages[i].from_end);
        expect_refused(path);
        turn_over(damages[i].file, damages[i].from_end);
    }
    expect_back_from(path);
    drop(path);
}

static void theTableNamesTheBlocks(void) {
    struct { uint64_t place, bytes, address, device; } table[128];
    prepare();
    COMMAND_OK(with("park keep=1", path));
    int fd = open(file_of(path, 0), O_RDONLY), found = 0;
    EXPECT_IS(sizeof table, pread(fd, table, sizeof table, lseek(fd, 0, SEEK_END) - 8192));
    close(fd);
    for (int i = 0; i < 128; i++) found += table[i].bytes && table[i].device == 0 && (table[i].address == memory || table[i].address == mine);
    EXPECT_IS(2, found);
    expect_back_from(path);
    drop(path);
}

int main(void) {
    RUN(filesOfAnEarlierParkAreRefused);
    RUN(filesOfAnotherProcessAreRefused);
    RUN(oneFileOfAnotherParkIsRefused);
    RUN(filesInAnotherOrderAreRefused);
    RUN(aDamagedSealOrTableIsRefused);
    RUN(theTableNamesTheBlocks);
    return summary();
}
