/* How much host memory the control groups leave to the shim. */
#include "groups.h"
#include "outcome.h"
#include "../shim/host_memory.h"

#include <errno.h>
#include <sys/vfs.h>

enum { MB = 1 << 20, TMPFS = 0x01021994 };

static long long left(void) { return (long long)host_memory_by_groups(path("groups"), path("mounts")); }

/* --- the table that the controller is tested with, too --- */

static int is_word(const char *line, const char *word, const char **rest) {
    size_t length = strlen(word);
    *rest = line + length + 1;
    return !strncmp(line, word, length) && line[length] == ' ';
}

static void mount_as_said(const char *words) {
    char root[256], point[256], type[32], options[64];
    EXPECT_IS(4, sscanf(words, "%255s %255s %31s %63s", root, point, type, options));
    mounted(root, !strcmp(point, "/") ? "" : point, type, options);
}

/* "a/b c/memory.stat active_file 5": a path whose last part has no blank, and a line of the file. */
static void file_as_said(const char *words) {
    char name[512];
    size_t directory = 0;
    for (size_t at = 0; words[at]; at++)
        if (!strncmp(words + at, "memory.", 7) || !strncmp(words + at, "cgroup.", 7)) directory = at;
    const char *text = strchr(words + directory, ' ') + 1;
    snprintf(name, sizeof name, "%.*s", (int)(text - 1 - words), words);
    if (access(path(name), F_OK)) put(name, "");
    append(name, "%s\n", text);
}

static void expect_left(const char *name, const char *text) {
    long long expected = strcmp(text, "none") ? atoll(text) : NONE, found = left();
    if (found != expected) fail_at("host_memory.txt", 0, "%s: %lld left, not %lld", name, found, expected);
}

static void theRulesTableHolds(void) {
    FILE *table = fopen("tests/host_memory.txt", "r");
    char line[1024], name[1024] = "";
    const char *rest;
    int cases = 0;
    if (!table) return fail_at(__FILE__, __LINE__, "tests/host_memory.txt: %s", strerror(errno));
    while (fgets(line, sizeof line, table)) {
        line[strcspn(line, "\n")] = 0;
        if (is_word(line, "case", &rest)) begin(""), strcpy(name, rest);
        else if (is_word(line, "group", &rest)) append("groups", "%s\n", rest);
        else if (is_word(line, "mount", &rest)) mount_as_said(rest);
        else if (is_word(line, "file", &rest)) file_as_said(rest);
        else if (is_word(line, "left", &rest)) expect_left(name, rest), end(), cases++;
        else if (*line && *line != '#') fail_at("host_memory.txt", 0, "what is '%s'?", line);
    }
    fclose(table);
    EXPECT(cases > 30);
}

static void whatIsUnknownCountsAsEnough(void) {
    EXPECT_IS(NONE, host_memory_by_groups("/no/such/file", "/no/such/file"));
    EXPECT_IS(NONE, host_memory_by_groups("/proc/self/cgroup", "/no/such/file"));
    EXPECT(host_memory_has(0));
    EXPECT(!host_memory_has(SIZE_MAX / 4));
}

static void aLineOfAnyLengthIsRead(void) {
    char *line = calloc(1, 40000);
    strcpy(line, "0::");
    for (size_t at = 3; at < 39000; at += 2) memcpy(line + at, "/a", 2);
    begin(line);
    mounted("/", "", "cgroup2", "rw");
    append("mounts", "%s\n - - -\n1 2 3 4 5 6 7 8\n1 2 3 4 5 6 -\n1 2 3 4 5 6 - cgroup2\n\n", line);
    EXPECT_IS(NONE, left());
    end();
    free(line);
}

/* --- groups of this machine's kernel --- */

static char group_directory[256];

static void write_to(const char *directory, const char *name, const char *text) {
    char file[512];
    snprintf(file, sizeof file, "%s/%s", directory, name);
    FILE *to = fopen(file, "w");
    EXPECT(to != NULL);
    if (!to) return;
    fputs(text, to);
    OK(fclose(to));
}

static void remove_group(void) {
    for (int i = 0; rmdir(group_directory) && errno == EBUSY && i < 2000; i++) sleep_ms(5); /* a process leaves it when it is gone for good */
}

/* 0: such groups cannot be made here. */
static int make_group(const char *hierarchy, const char *limit_file) {
    char file[512];
    snprintf(group_directory, sizeof group_directory, "%s/torpor-test-%d", hierarchy, (int)getpid());
    if (mkdir(group_directory, 0755)) return 0;
    snprintf(file, sizeof file, "%s/%s", group_directory, limit_file);
    if (!access(file, W_OK)) return 1;
    remove_group();
    return 0;
}

/* A file read twice, as the page cache that a process has used twice is active. */
static void fill_page_cache(const char *name, size_t bytes) {
    char *chunk = calloc(1, MB);
    FILE *file = fopen(name, "w+");
    EXPECT(file != NULL);
    for (size_t done = 0; file && done < bytes; done += MB) EXPECT_IS(MB, fwrite(chunk, 1, MB, file));
    OK(fflush(file));
    OK(fsync(fileno(file)));
    for (int twice = 0; twice < 3; twice++) {
        rewind(file);
        for (size_t done = 0; done < bytes; done += MB) EXPECT_IS(MB, fread(chunk, 1, MB, file));
    }
    fclose(file);
    free(chunk);
}

static void live_in_group(void *limit_file) {
    char name[4096], self[32];
    struct statfs file_system;
    snprintf(self, sizeof self, "%d", (int)getpid());
    write_to(group_directory, limit_file, "314572800"); /* 300 MiB */
    write_to(group_directory, "cgroup.procs", self);
    EXPECT(!host_memory_has(300 * MB)); /* with the margin */
    EXPECT(host_memory_by_groups("/proc/self/cgroup", "/proc/self/mountinfo") > 280 * MB);
    char *used = calloc(1, 100 * MB);
    memset(used, 1, 100 * MB);
    uint64_t without = host_memory_by_groups("/proc/self/cgroup", "/proc/self/mountinfo");
    EXPECT(without > 130 * MB && without < 210 * MB);
    snprintf(name, sizeof name, "%s-%s", output_path("tests/cache"), self);
    fill_page_cache(name, 80 * MB);
    uint64_t with = host_memory_by_groups("/proc/self/cgroup", "/proc/self/mountinfo");
    EXPECT(with > without - 20 * MB || (!statfs(name, &file_system) && file_system.f_type == TMPFS)); /* the kernel counts itself, too */
    unlink(name);
    free(used);
    exit(0);
}

static void live_in(const char *hierarchy, const char *limit_file) {
    char reason[256];
    snprintf(reason, sizeof reason, "needs memory groups under %s, and root", hierarchy);
    if (skipped(!make_group(hierarchy, limit_file), reason)) return;
    int status = wait_child(start_child(live_in_group, (char *)(uintptr_t)limit_file));
    remove_group();
    OK(status);
}

static void aGroupOfVersion1LimitsWhatItsProcessesHave(void) { live_in("/sys/fs/cgroup/memory", "memory.limit_in_bytes"); }
static void aGroupOfVersion2LimitsWhatItsProcessesHave(void) { live_in("/sys/fs/cgroup", "memory.max"); }

int main(void) {
    RUN(theRulesTableHolds);
    RUN(whatIsUnknownCountsAsEnough);
    RUN(aLineOfAnyLengthIsRead);
    RUN(aGroupOfVersion1LimitsWhatItsProcessesHave);
    RUN(aGroupOfVersion2LimitsWhatItsProcessesHave);
    return summary();
}
