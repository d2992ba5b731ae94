/* How many cores the control groups leave to the shim. */
#include "groups.h"
#include "../shim/cores.h"

#include <sched.h>

static uint64_t quota(void) { return cores_by_quota(path("groups"), path("mounts")); }

static void begin_mounted(const char *groups) {
    begin(groups);
    mounted("/", "root", "cgroup2", "rw");
    mounted("/", "root/cpu", "cgroup", "rw,cpuacct,cpu");
}

static void theUnifiedHierarchysQuotaIsRoundedUp(void) {
    static const struct { const char *text; long long cores; } cases[] = {
        {"400000 100000\n", 4}, {"400001 100000\n", 5}, {"1000 100000\n", 1}, {"150000 100000", 2}, {"50000 10000\n", 5},
        {"max 100000\n", NONE}, {"", NONE}, {"0 100000\n", NONE}, {"-1 100000\n", NONE}, {"100000\n", NONE}, {"100000 0\n", NONE}, {"9223372036854775807 1\n", INT64_MAX},
    };
    begin_mounted("0::/a\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put("root/a/cpu.max", cases[i].text);
        EXPECT_IS(cases[i].cores, quota());
    }
    end();
}

static void theLeastOfAllParentsCounts(void) {
    begin_mounted("0::/a/b c/d:e\n");
    put("root/a/b c/d:e/cpu.max", "800000 100000");
    EXPECT_IS(8, quota());
    put("root/a/b c/cpu.max", "max 100000");
    EXPECT_IS(8, quota());
    put("root/a/cpu.max", "300000 100000");
    EXPECT_IS(3, quota());
    put("root/a/b c/cpu.max", "600000 100000");
    EXPECT_IS(3, quota());
    put("root/cpu.max", "200000 100000");
    EXPECT_IS(2, quota());
    put("cpu.max", "100000 100000"); /* of another hierarchy, if anything */
    put("root/a/b c/d:e/f/cpu.max", "100000 100000");
    EXPECT_IS(2, quota());
    end();
}

/* Docker's containers without a namespace for their groups. */
static void aGroupThatIsNotSeenIsItsRoot(void) {
    static const char *const groups[] = {"0::/docker/0123456789\n", "0::/docker\n", "0::/\n"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        begin_mounted(groups[i]);
        EXPECT_IS(NONE, quota());
        put("root/cpu.max", "250000 100000");
        EXPECT_IS(3, quota());
        end();
    }
}

static void theOlderHierarchyHasItsOwnFolder(void) {
    static const char *const groups[] = {"4:cpu,cpuacct:/a/b\n", "12:memory:/\n3:cpuacct,cpu:/a/b\n1:name=systemd:/x\n", "2:cpu:/a/b\n0::/user.slice"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        begin_mounted(groups[i]);
        EXPECT_IS(NONE, quota());
        put("root/cpu/a/b/cpu.cfs_quota_us", "-1\n");
        put("root/cpu/a/b/cpu.cfs_period_us", "50000\n");
        EXPECT_IS(NONE, quota());
        put("root/cpu/a/b/cpu.cfs_quota_us", "260000\n");
        EXPECT_IS(6, quota());
        put("root/cpu/cpu.cfs_period_us", "100000\n");
        put("root/cpu/cpu.cfs_quota_us", "200000\n");
        EXPECT_IS(2, quota());
        put("root/cpu.cfs_period_us", "100000\n");
        put("root/cpu.cfs_quota_us", "100000\n");
        EXPECT_IS(2, quota());
        end();
    }
}

static void otherControllersHaveNoQuota(void) {
    begin_mounted("5:cpuset:/a\n2:cpuacct:/a\n1:name=cpu:/a\n");
    put("root/cpu/a/cpu.cfs_quota_us", "100000\n");
    put("root/cpu/a/cpu.cfs_period_us", "100000\n");
    EXPECT_IS(NONE, quota());
    end();
}

static void whatMakesNoSenseAllowsAnything(void) {
    static const char *const groups[] = {"", "\n", "::\n", "0\n", "0:\n", "nothing of the kind"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        begin_mounted(groups[i]);
        EXPECT_IS(NONE, quota());
        end();
    }
    EXPECT_IS(NONE, cores_by_quota("/no/such/file", "/no/such/file"));
}

static void aPathOfAnyLengthIsRead(void) {
    char line[20000] = "0::";
    for (size_t at = 3; at < sizeof line - 2; at += 2) memcpy(line + at, "/a", 2);
    begin_mounted(line);
    EXPECT_IS(NONE, quota());
    end();
}

static cpu_set_t allowed(void) {
    cpu_set_t all;
    OK(sched_getaffinity(0, sizeof all, &all));
    return all;
}

/* The first so many of those that are allowed. */
static void restrict_to(int count) {
    cpu_set_t all = allowed(), some;
    CPU_ZERO(&some);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&some) < count; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &some);
    OK(sched_setaffinity(0, sizeof some, &some));
}

static void noMoreThanTheAffinityAllows(void) {
    cpu_set_t all = allowed();
    EXPECT(cores() >= 1 && cores() <= (uint64_t)CPU_COUNT(&all));
    if (CPU_COUNT(&all) < 3) return;
    restrict_to(2);
    EXPECT(cores() <= 2);
}

/* A thread that is pinned says nothing of the others. */
static void aPinnedThreadHasTheCoresThatTheProcessStartedWith(void) {
    uint64_t before = cores();
    restrict_to(1);
    EXPECT_IS(before, cores());
}

int main(void) {
    RUN(theUnifiedHierarchysQuotaIsRoundedUp);
    RUN(theLeastOfAllParentsCounts);
    RUN(aGroupThatIsNotSeenIsItsRoot);
    RUN(theOlderHierarchyHasItsOwnFolder);
    RUN(otherControllersHaveNoQuota);
    RUN(whatMakesNoSenseAllowsAnything);
    RUN(aPathOfAnyLengthIsRead);
    RUN(noMoreThanTheAffinityAllows);
    RUN(aPinnedThreadHasTheCoresThatTheProcessStartedWith);
    return summary();
}
