/* What the shim says and does not say, and how it takes the settings. */
#include "shim.h"
#include "outcome.h"

#include <ctype.h>

enum { MB = 1 << 20 };

/* argument: NAME=VALUE strings, NULL at the end */
static void with_settings(void *argument) {
    for (char **setting = argument; *setting; setting++) putenv(*setting);
    use_device(0);
}

#define SETTINGS(...) (char *[]){__VA_ARGS__, NULL}

static void expect_complaint(char *setting) {
    struct outcome o = outcome_of(with_settings, SETTINGS(setting));
    char beginning[512];
    snprintf(beginning, sizeof beginning, "torpor: %s is not ", setting);
    EXPECT_IS(0, o.status);
    if (line_count(o.errors) != 1 || strncmp(o.errors, beginning, strlen(beginning)) || *o.out)
        fail_at(__FILE__, __LINE__, "%s is answered: %s%s", setting, o.out, o.errors);
    outcome_free(&o);
}

static void eachWrongValueIsOneLineThatNamesIt(void) {
    static char *const wrong[] = {
        "TORPOR_LOG=loud", "TORPOR_LOG=WARN", "TORPOR_LOG=1", "TORPOR_LOG=info ",
        "TORPOR_COPY=2", "TORPOR_COPY=yes", "TORPOR_COPY=-1", "TORPOR_COPY=1K",
        "TORPOR_COPY_STREAMS=0", "TORPOR_COPY_STREAMS=65", "TORPOR_COPY_STREAMS= 4", "TORPOR_COPY_STREAMS=4 ", "TORPOR_COPY_STREAMS=+4",
        "TORPOR_COPY_CHUNK=65535", "TORPOR_COPY_CHUNK=65M", "TORPOR_COPY_CHUNK=4MB", "TORPOR_COPY_CHUNK=0x100000", "TORPOR_COPY_CHUNK=1E",
        "TORPOR_COPY_MIN=1K", "TORPOR_COPY_MIN=2T", "TORPOR_COPY_MIN=M", "TORPOR_COPY_MIN=1.5M",
        "TORPOR_COPY_START=2T", "TORPOR_COPY_START=17179869185T", "TORPOR_COPY_START=99999999999999999999",
        "TORPOR_COPY_IDLE_MS=3600001", "TORPOR_COPY_IDLE_MS=1s",
        "TORPOR_BUFFER_HUGE=2", "TORPOR_BUFFER_HUGE=on", "TORPOR_BUFFER_THREADS=0", "TORPOR_BUFFER_THREADS=65",
        "TORPOR_BUFFER_KEEP=2T", "TORPOR_BUFFER_KEEP=all",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) expect_complaint(wrong[i]);
}

static void severalWrongValuesAreALineEach(void) {
    struct outcome o = outcome_of(with_settings, SETTINGS("TORPOR_COPY=x", "TORPOR_BUFFER_KEEP=y", "TORPOR_LOG=z"));
    EXPECT_IS(3, line_count(o.errors));
    EXPECT(strstr(o.errors, "TORPOR_COPY=x ") && strstr(o.errors, "TORPOR_BUFFER_KEEP=y ") && strstr(o.errors, "TORPOR_LOG=z "));
    outcome_free(&o);
}

static void aLongOrStrangeValueIsStillOneLine(void) {
    char longer[4096] = "TORPOR_COPY=";
    memset(longer + strlen(longer), '9', sizeof longer - strlen(longer) - 1);
    struct outcome o = outcome_of(with_settings, SETTINGS(longer));
    EXPECT_IS(1, line_count(o.errors));
    EXPECT(!strncmp(o.errors, "torpor: TORPOR_COPY=999", 23));
    outcome_free(&o);
    o = outcome_of(with_settings, SETTINGS("TORPOR_COPY=1\n2\t\033[31m"));
    EXPECT_IS(1, line_count(o.errors));
    for (const char *at = o.errors; *at; at++) EXPECT(*at == '\n' || isprint((unsigned char)*at));
    outcome_free(&o);
}

static void rightValuesAreTakenInSilence(void) {
    EXPECT_QUIET(0, outcome_of(with_settings, SETTINGS("TORPOR_COPY=1", "TORPOR_COPY_STREAMS=64", "TORPOR_COPY_CHUNK=64K", "TORPOR_COPY_MIN=65536",
        "TORPOR_COPY_START=1T", "TORPOR_COPY_IDLE_MS=0", "TORPOR_BUFFER_HUGE=0", "TORPOR_BUFFER_THREADS=1", "TORPOR_BUFFER_KEEP=1t")));
    EXPECT_QUIET(0, outcome_of(with_settings, SETTINGS("TORPOR_LOG=warn", "TORPOR_COPY_CHUNK=64m", "TORPOR_COPY_MIN=1T", "TORPOR_COPY_START=0",
        "TORPOR_COPY_IDLE_MS=3600000", "TORPOR_BUFFER_THREADS=64")));
}

static void anEmptyValueCountsAsUnset(void) {
    EXPECT_QUIET(0, outcome_of(with_settings, SETTINGS("TORPOR_LOG=", "TORPOR_COPY=", "TORPOR_COPY_STREAMS=", "TORPOR_COPY_CHUNK=", "TORPOR_COPY_MIN=",
        "TORPOR_COPY_START=", "TORPOR_COPY_IDLE_MS=", "TORPOR_BUFFER_HUGE=", "TORPOR_BUFFER_THREADS=", "TORPOR_BUFFER_KEEP=")));
}

static void switchedOffNothingIsSaidOfWrongValues(void) {
    EXPECT_QUIET(0, outcome_of(with_settings, SETTINGS("TORPOR_LOG=off", "TORPOR_COPY=2", "TORPOR_COPY_CHUNK=1", "TORPOR_BUFFER_KEEP=lots")));
}

static void insteadOfAWrongMinimumTheDefaultIsTaken(void) {
    setenv("TORPOR_LOG", "off", 1);
    setenv("TORPOR_COPY_MIN", "1K", 1);
    engine_at_once("2");
    use_device(0);
    copy_bytes(MB, 0); /* less than 2M */
    EXPECT_IS(2, statistic("passed_small"));
    EXPECT_IS(0, statistic("to_device"));
    copy_bytes(2 * MB, 0);
    EXPECT_IS(2, statistic("passed_small"));
    EXPECT_IS(1, statistic("to_device"));
}

static void insteadOfAWrongStartTheDefaultIsTaken(void) {
    setenv("TORPOR_LOG", "off", 1);
    setenv("TORPOR_COPY_STREAMS", "2", 1);
    setenv("TORPOR_COPY_START", "-0", 1);
    use_device(0);
    copy_bytes(4 * MB, 0); /* less than 256M */
    EXPECT_IS(2, statistic("passed_cold"));
    EXPECT_IS(0, statistic("to_device") + statistic("to_host"));
}

static void zeroLeavesTheCopiesToTheDriver(void) {
    setenv("TORPOR_COPY", "0", 1);
    engine_at_once("2");
    use_device(0);
    copy_bytes(4 * MB, 0);
    EXPECT_IS(2, statistic("passed_off"));
    EXPECT_IS(8 * MB, statistic("passed_off_bytes"));
    EXPECT_IS(0, statistic("to_device") + statistic("to_host"));
}

static void use_the_engine(void *log) {
    if (log) setenv("TORPOR_LOG", log, 1);
    engine_at_once("2");
    use_device(0);
    copy_bytes(4 * MB, 0);
}

static void aNormalRunSaysNothing(void) {
    unsetenv("TORPOR_LOG");
    EXPECT_QUIET(0, outcome_of(use_the_engine, NULL));
    EXPECT_QUIET(0, outcome_of(use_the_engine, "off"));
    EXPECT_QUIET(0, outcome_of(use_the_engine, "warn"));
}

static int is_number(const char *text) {
    char *end;
    strtod(text, &end);
    return isdigit((unsigned char)*text) && !*end;
}

static void expect_words(char *line) {
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
        char *value = strchr(word, '=');
        if (value && value > word && is_number(value + 1)) continue;
        fail_at(__FILE__, __LINE__, "%s is not NAME=NUMBER", word);
    }
}

static void askedForInformationItSaysOneLineAtTheEnd(void) {
    struct outcome o = outcome_of(use_the_engine, "info");
    EXPECT_IS(0, o.status);
    EXPECT(!*o.out);
    EXPECT_IS(1, line_count(o.errors));
    EXPECT(!strncmp(o.errors, "torpor: ", 8));
    EXPECT(strstr(o.errors, " to_device=1 to_device_bytes=4194304 "));
    expect_words(o.errors + 8);
    outcome_free(&o);
}

static void leave_at_once(void *argument) {
    use_the_engine(argument);
    _exit(3);
}

static void whoLeavesWithoutExitHandlersIsNotHeldUp(void) { EXPECT_QUIET(3, outcome_of(leave_at_once, "info")); }

static void fork_and_end(void *argument) {
    use_the_engine(argument);
    fflush(stdout);
    int pid = fork();
    if (!pid) exit(5);
    EXPECT_IS(5, wait_child(pid));
}

static void aChildSaysNothingOfItsParentsCopies(void) {
    if (skipped(getenv("TORPOR_SANITIZED") != NULL, "the leak check has its say in a child of many threads")) return;
    struct outcome o = outcome_of(fork_and_end, "info");
    EXPECT_IS(0, o.status);
    EXPECT(!*o.out);
    EXPECT_IS(1, line_count(o.errors));
    outcome_free(&o);
}

/* As frameworks do that are imported before their workers are forked. */
static void load_fork_use(void *argument) {
    setenv("TORPOR_LOG", argument, 1);
    engine_at_once("2");
    load_driver();
    fflush(stdout);
    int pid = fork();
    if (!pid) {
        use_the_engine(NULL);
        exit(0);
    }
    EXPECT_IS(0, wait_child(pid));
    _exit(0);
}

static void aChildThatUsesCudaItselfReportsItsOwnCopies(void) {
    struct outcome o = outcome_of(load_fork_use, "info");
    EXPECT_IS(0, o.status);
    EXPECT(!*o.out);
    EXPECT_IS(1, line_count(o.errors));
    EXPECT(strstr(o.errors, "to_device=1 "));
    outcome_free(&o);
}

static void need_no_cuda(void *argument) { putenv(argument); }

static void aProgramWithoutCudaIsNotToldOfSettings(void) { EXPECT_QUIET(0, outcome_of(need_no_cuda, "TORPOR_COPY=wrong")); }

static void theStatisticsFitTheirLine(void) {
    char whole[8192], part[16];
    __typeof__(torpor_statistics) *statistics = (__typeof__(torpor_statistics) *)dlsym(RTLD_DEFAULT, "torpor_statistics");
    use_the_engine("off");
    size_t length = statistics(whole, sizeof whole);
    EXPECT_IS(length, strlen(whole));
    memset(part, 'x', sizeof part);
    EXPECT_IS(length, statistics(part, 8));
    EXPECT(!part[7] && part[8] == 'x' && !memcmp(part, whole, 7));
    EXPECT_IS(length, statistics(NULL, 0));
    expect_words(whole);
}

int main(void) {
    RUN(eachWrongValueIsOneLineThatNamesIt);
    RUN(severalWrongValuesAreALineEach);
    RUN(aLongOrStrangeValueIsStillOneLine);
    RUN(rightValuesAreTakenInSilence);
    RUN(anEmptyValueCountsAsUnset);
    RUN(switchedOffNothingIsSaidOfWrongValues);
    RUN(insteadOfAWrongMinimumTheDefaultIsTaken);
    RUN(insteadOfAWrongStartTheDefaultIsTaken);
    RUN(zeroLeavesTheCopiesToTheDriver);
    RUN(aNormalRunSaysNothing);
    RUN(askedForInformationItSaysOneLineAtTheEnd);
    RUN(whoLeavesWithoutExitHandlersIsNotHeldUp);
    RUN(aChildSaysNothingOfItsParentsCopies);
    RUN(aChildThatUsesCudaItselfReportsItsOwnCopies);
    RUN(aProgramWithoutCudaIsNotToldOfSettings);
    RUN(theStatisticsFitTheirLine);
    return summary();
}
