/* What the tests of parking into files share. */
#ifndef TORPOR_TESTS_STORED_FILES_H
#define TORPOR_TESTS_STORED_FILES_H

#include "parking.h"
#include "virtual.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { BYTES = 7 * MIB, SOME = 2 * MIB, POOLED = 4 * MIB };
static CUdeviceptr memory, mine, pooled;
static char folder[200], path[300], elsewhere[400], line[500];
static const char *const ways[] = {"park keep=1", "park"};

/* One of those files. */
static inline const char *file_of(const char *where, int number) {
    static char name[420];
    snprintf(name, sizeof name, "%s/memory-%02d", where, number);
    return name;
}

static inline void prepare_in(const char *where) {
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

static inline void prepare(void) { prepare_in(getenv("TORPOR_DIR")); }

static inline void expect_whole(void) {
    EXPECT_PATTERN(memory, BYTES, 1);
    EXPECT_PATTERN(mine, SOME, 2);
    EXPECT_PATTERN(pooled, POOLED, 3);
}

static inline const char *with(const char *words, const char *file) {
    snprintf(line, sizeof line, "%s arena=%s", words, file);
    return line;
}

/* Mapped or open. */
static inline int refers_to(const char *file) {
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
static inline int lets_go_of(const char *file) {
    for (int i = 0; i < 500 && refers_to(file); i++) sleep_ms(10);
    return !refers_to(file);
}

static inline int is_there(const char *file) { return !access(file, F_OK); }

static inline int files_in(const char *where) {
    int count = 0;
    DIR *open = opendir(where);
    for (struct dirent *one; open && (one = readdir(open));) count += *one->d_name != '.';
    if (open) closedir(open);
    return count;
}

/* How many it was. */
static inline int emptied(const char *where) {
    int count = 0;
    for (int i = 0; i < 16; i++) count += !unlink(file_of(where, i));
    return count;
}

/* With the files of a park, and nothing else. */
static inline void drop(const char *where) {
    EXPECT(emptied(where) > 0);
    OK(rmdir(where));
}

/* The right one is taken afterwards. */
static inline void expect_refused(const char *where) {
    size_t free = free_memory();
    COMMAND_FAILS("arena", with("unpark", where));
    EXPECT_IS(free, free_memory());
    EXPECT(strstr(command("status"), "state=parked"));
    EXPECT(!refers_to(where));
}

static inline size_t parked_in(const char *where, int *files) {
    struct stat found;
    size_t bytes = 0;
    for (*files = 0; !stat(file_of(where, *files), &found); ++*files) bytes += (size_t)found.st_size;
    return bytes;
}

#endif
