/* How much host memory the control groups leave to the shim. */
#include "groups.h"
#include "../shim/host_memory.h"

static uint64_t left(void) { return host_memory_by_groups(path("groups"), path("root")); }

static void theUnifiedHierarchysLimitCounts(void) {
    begin("0::/a/b\n");
    EXPECT_IS(NONE, left());
    put("root/a/b/memory.max", "max\n");
    EXPECT_IS(NONE, left());
    put("root/a/b/memory.max", "1000000\n");
    EXPECT_IS(1000000, left());
    put("root/a/b/memory.current", "300000\n");
    EXPECT_IS(700000, left());
    put("root/a/b/memory.stat", "anon 5\ninactive_anon 7\ninactive_file 100000\n");
    EXPECT_IS(800000, left());
    put("root/a/b/memory.current", "50000\n"); /* read a moment apart */
    EXPECT_IS(1000000, left());
    put("root/a/b/memory.current", "2000000\n");
    EXPECT_IS(0, left());
    end();
}

static void theLeastOfAllParentsCounts(void) {
    begin("0::/a/b\n");
    put("root/a/b/memory.max", "3000\n");
    put("root/a/memory.max", "2000\n");
    EXPECT_IS(2000, left());
    put("root/memory.max", "1000\n"); /* a container's own, where it has no namespace for its groups */
    EXPECT_IS(1000, left());
    end();
}

static void theOlderHierarchysLimitCounts(void) {
    static const char *const groups[] = {"4:memory:/a/b\n", "12:cpu:/x\n3:hugetlb,memory:/a/b\n1:name=systemd:/x\n", "2:memory:/a/b\n0::/user.slice"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        begin(groups[i]);
        EXPECT_IS(NONE, left());
        put("root/memory/a/b/memory.limit_in_bytes", "1000000\n");
        put("root/memory/a/b/memory.usage_in_bytes", "300000\n");
        put("root/memory/a/b/memory.stat", "inactive_file 5\ntotal_inactive_file 100000\n");
        EXPECT_IS(800000, left());
        put("root/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
        EXPECT_IS(800000, left());
        put("root/memory/a/memory.limit_in_bytes", "400000\n");
        EXPECT_IS(400000, left());
        end();
    }
}

static void aHierarchyWithoutMemoryIsPassedOver(void) {
    begin("1:name=systemd:/a\n0::/a\n2:cpu:/a\n");
    put("root/cpu/a/memory.limit_in_bytes", "1000\n");
    put("root/memory/a/memory.limit_in_bytes", "1000\n");
    EXPECT_IS(NONE, left());
    put("root/a/memory.max", "2000\n"); /* the unified one, wherever its line is */
    EXPECT_IS(2000, left());
    end();
}

static void whatIsUnknownCountsAsEnough(void) {
    EXPECT_IS(NONE, host_memory_by_groups("/no/such/file", "/no/such/folder"));
    EXPECT(host_memory_has(0));
    EXPECT(!host_memory_has(SIZE_MAX / 4));
}

int main(void) {
    RUN(theUnifiedHierarchysLimitCounts);
    RUN(theLeastOfAllParentsCounts);
    RUN(theOlderHierarchysLimitCounts);
    RUN(aHierarchyWithoutMemoryIsPassedOver);
    RUN(whatIsUnknownCountsAsEnough);
    return summary();
}
