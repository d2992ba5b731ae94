/* What the programs print is what others read. */
#include "harness.h"

static void theTargetAnswersEveryCommand(void) {
    static const char *const talk[][2] = {
        {"ping", "OK"}, {"check", "OK words=393216"}, {"fill 77", "OK"}, {"check", "OK words=393216"}, {"spin 1", "OK"}, {"sync", "OK"},
        {"alloc 1M", "OK"}, {"alloc 100", "OK"}, {"free", "OK"}, {"info", "OK free="}, {"fill", "ERROR cannot obey: fill"},
        {"fill x", "ERROR cannot obey: fill x"}, {"spin -1", "ERROR cannot obey: spin -1"}, {"alloc 1X", "ERROR cannot obey: alloc 1X"},
        {"alloc 90000G", "ERROR cuMemAlloc_v2 2"}, {"", "ERROR cannot obey:"}, {"dance", "ERROR cannot obey: dance"}, {"quit", "OK"},
    };
    char ready[64];
    struct target t = start_target(NULL, "3M", NULL, NULL);
    snprintf(ready, sizeof ready, "READY pid=%d bytes=3145728", t.pid);
    EXPECT(!strcmp(t.ready, ready));
    for (size_t i = 0; i < sizeof talk / sizeof talk[0]; i++) {
        const char *answer = ask(&t, talk[i][0]);
        if (strncmp(answer, talk[i][1], strlen(talk[i][1]))) fail_at(__FILE__, __LINE__, "%s: %s", talk[i][0], answer);
    }
    OK(reap(&t));
}

static void theTargetEndsWithItsInput(void) {
    struct target t = start_target(NULL, "2M", NULL, NULL);
    OK(reap(&t));
}

static void theTargetFindsWhatWasOverwritten(void) {
    const char *const environment[] = {"TORPOR_SIM_FAULTS=cuLaunchKernel#4=0", NULL}; /* the second chunk is not filled anew */
    if (getenv("TORPOR_REAL_DRIVER")) return;
    struct target t = start_target(environment, "2M", NULL, NULL);
    EXPECT(!strcmp(ask(&t, "fill 2"), "OK"));
    const char *answer = ask(&t, "check");
    EXPECT(!strcmp(answer, "ERROR bad=131072 of 262144"));
    OK(finish(&t));
}

/* Runs a program; its output, and in *status its exit status. */
static const char *output_of(const char *arguments, int *status) {
    static char text[1024];
    char command[4500];
    snprintf(command, sizeof command, "%s < /dev/null 2>&1", output_path(arguments));
    FILE *pipe = popen(command, "r");
    size_t length = pipe ? fread(text, 1, sizeof text - 1, pipe) : 0;
    text[length] = 0;
    *status = pipe ? pclose(pipe) >> 8 : -1;
    return text;
}

static void coldStartMeasuresEveryStep(void) {
    static const char *const keys[] = {"dlopen", "symbols", "cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "firstAllocation", "total", "release"};
    int status;
    char key[64];
    const char *text = output_of("programs/cold-start", &status);
    EXPECT_IS(0, status);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        snprintf(key, sizeof key, "\"%s\":", keys[i]);
        if (!strstr(text, key)) fail_at(__FILE__, __LINE__, "no %s in %s", key, text);
    }
    EXPECT(*text == '{' && !strcmp(text + strlen(text) - 2, "}\n"));
    output_of("programs/cold-start --hold", &status);
    EXPECT_IS(0, status);
    EXPECT(strstr(output_of("programs/cold-start --device 99", &status), "\"failed\":\"cuDeviceGet\",\"code\":101}"));
    EXPECT_IS(1, status);
    EXPECT(strstr(output_of("programs/cold-start --nonsense", &status), "usage: cold-start"));
    EXPECT_IS(64, status);
}

static void stateQueryMeasuresTheQuery(void) {
    int status;
    char arguments[64];
    struct target t = start_target(NULL, "2M", NULL, NULL);
    snprintf(arguments, sizeof arguments, "programs/state-query %d 1000", t.pid);
    EXPECT(!strncmp(output_of(arguments, &status), "{\"calls\":1000,\"median\":", 23));
    EXPECT_IS(0, status);
    OK(finish(&t));
    EXPECT(strstr(output_of(arguments, &status), "\"code\":304}"));
    EXPECT_IS(1, status);
}

static void copyBenchMeasuresAndVerifies(void) {
    int status;
    const char *text = output_of("programs/copy-bench --sizes 64K,3M --span 1M --warm 4M --rounds 2 --json", &status);
    EXPECT_IS(0, status);
    EXPECT(strstr(text, "{\"direction\":\"from-gpu\",\"memory\":\"pageable\",\"size\":65536,\"copies\":16,\"threads\":1,\"samples\":2,\"median\":"));
    EXPECT(strstr(text, "{\"direction\":\"to-gpu\",\"memory\":\"pageable\",\"size\":3145728,\"copies\":1,"));
    EXPECT(strstr(text, "\"verified\":true}"));
    text = output_of("programs/copy-bench --sizes 64K --span 0 --warm 0 --rounds 1 --json --pinned --threads 8 --copies 5 --direction to-gpu", &status);
    EXPECT_IS(0, status);
    EXPECT(strstr(text, "{\"direction\":\"to-gpu\",\"memory\":\"pinned\",\"size\":65536,\"copies\":5,\"threads\":8,"));
    EXPECT(!strstr(text, "from-gpu"));
    EXPECT(strstr(output_of("programs/copy-bench --sizes 1M,x", &status), "usage: copy-bench"));
    EXPECT_IS(64, status);
}

static void callBenchTimesLaunchesAllocationsAndCopies(void) {
    int status;
    const char *text = output_of("programs/call-bench launch 300 alloc 20 alloc x", &status);
    EXPECT_IS(0, status);
    EXPECT(!strncmp(text, "READY pid=", 10));
    EXPECT(strstr(text, "shim=\nOK us="));
    text = strstr(text, "OK us=");
    EXPECT(text && strstr(text + 1, "OK us=") && strstr(text, "ERROR launch COUNT"));
    text = strstr(output_of("programs/call-bench compare 300 copy-to 64 copy-from 100 copy-to 0", &status), "\nOK own=");
    for (int i = 0; i < 2; i++) text = text ? strstr(text + 1, "\nOK own=") : NULL;
    EXPECT(text && strstr(text, "\nERROR launch COUNT"));
}

static void copyBenchFindsWhatWasNotCopied(void) {
    int status;
    if (getenv("TORPOR_REAL_DRIVER")) return;
    setenv("TORPOR_SIM_FAULTS", "cuMemcpyHtoD=0", 1);
    const char *text = output_of("programs/copy-bench --sizes 1M --span 0 --warm 0 --rounds 1 --direction to-gpu --json", &status);
    unsetenv("TORPOR_SIM_FAULTS");
    EXPECT(strstr(text, "{\"failed\":\"verification\",\"direction\":\"to-gpu\",\"bytes\":1048576,\"wrong_words\":131072}"));
    EXPECT_IS(1, status);
}

int main(void) {
    RUN(theTargetAnswersEveryCommand);
    RUN(theTargetEndsWithItsInput);
    RUN(theTargetFindsWhatWasOverwritten);
    RUN(coldStartMeasuresEveryStep);
    RUN(stateQueryMeasuresTheQuery);
    RUN(copyBenchMeasuresAndVerifies);
    RUN(copyBenchFindsWhatWasNotCopied);
    RUN(callBenchTimesLaunchesAllocationsAndCopies);
    return summary();
}
