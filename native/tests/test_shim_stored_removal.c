/* Who removes the files of a park, and who never does. */
#include "launch.h"
#include "outcome.h"
#include "stored_files.h"

#include <pthread.h>

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
