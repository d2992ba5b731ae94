#define _GNU_SOURCE
#include "settings.h"
#include "cores.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { NUMBER, SIZE, WORD };
enum { FEWEST_CORES = 4, MOST_STREAMS = 12, MOST_POPULATING = 16 };
static const char *const levels[] = {"off", "warn", "info"};

static struct settings values;
static const struct setting {
    const char *name;
    uint64_t *value;
    enum kind kind;
    uint64_t least, most, standard;
} list[] = {
    {"TORPOR_LOG", &values.log, WORD, LOG_OFF, LOG_INFO, LOG_WARN}, /* first: the others may complain */
    {"TORPOR_COPY", &values.copy, NUMBER, 0, 1, 1},
    {"TORPOR_COPY_STREAMS", &values.copy_streams, NUMBER, 1, MAX_STREAMS, 0},
    {"TORPOR_COPY_CHUNK", &values.copy_chunk, SIZE, 64 << 10, 64 << 20, 4 << 20},
    {"TORPOR_COPY_MIN", &values.copy_min, SIZE, 64 << 10, 1ULL << 40, 2 << 20},
    {"TORPOR_COPY_START", &values.copy_start, SIZE, 0, 1ULL << 40, 256 << 20},
    {"TORPOR_COPY_IDLE_MS", &values.copy_idle_ms, NUMBER, 0, 3600000, 10000},
    {"TORPOR_BUFFER_HUGE", &values.buffer_huge, NUMBER, 0, 1, 1},
    {"TORPOR_BUFFER_THREADS", &values.buffer_threads, NUMBER, 1, 64, 0},
    {"TORPOR_BUFFER_KEEP", &values.buffer_keep, SIZE, 0, 1ULL << 40, 0},
    {"TORPOR_PARK", &values.park, NUMBER, 0, 1, 1},
    {"TORPOR_PARK_MIN", &values.park_min, SIZE, 2 << 20, 1ULL << 40, 2 << 20},
    {"TORPOR_PARK_RDMA", &values.park_rdma, NUMBER, 0, 1, 1},
    {"TORPOR_FREED_KEEP", &values.freed_keep, SIZE, 0, 1ULL << 40, 256 << 20},
    {"TORPOR_ARENA_KEEP", &values.arena_keep, NUMBER, 0, 1, 1},
};

static int parse_number(const char *text, int may_have_unit, uint64_t *value) {
    static const char units[] = "KMGT";
    char *end;
    const char *unit;
    int shift = 0;
    if (!isdigit((unsigned char)*text)) return 0;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (may_have_unit && *end && (unit = strchr(units, toupper((unsigned char)*end)))) {
        shift = 10 * (int)(unit - units + 1);
        end++;
    }
    if (errno || *end || number > UINT64_MAX >> shift) return 0;
    *value = number << shift;
    return 1;
}

static int parse_word(const char *text, uint64_t *value) {
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (!strcmp(text, levels[i])) return *value = i, 1;
    return 0;
}

static void complain(const struct setting *setting, const char *text) {
    if (setting->kind == WORD) say(LOG_WARN, "%s=%s is not off, warn or info; warn is taken.", setting->name, text);
    else say(LOG_WARN, "%s=%s is not %s from %llu to %llu; the default is taken.", setting->name, text,
             setting->kind == SIZE ? "a size in bytes, or with a unit K, M, G or T," : "a number",
             (unsigned long long)setting->least, (unsigned long long)setting->most);
}

static void take(const struct setting *setting) {
    const char *text = getenv(setting->name);
    uint64_t value;
    *setting->value = setting->standard;
    if (!text || !*text) return;
    int good = setting->kind == WORD ? parse_word(text, &value) : parse_number(text, setting->kind == SIZE, &value);
    if (good && value >= setting->least && value <= setting->most) *setting->value = value;
    else complain(setting, text);
}

/* Every stream has a thread that copies; a quarter of the cores stays the program's. */
static void choose_by_cores(void) {
    uint64_t n = cores();
    if (!values.copy_streams && n >= FEWEST_CORES) values.copy_streams = n * 3 / 4 < MOST_STREAMS ? n * 3 / 4 : MOST_STREAMS;
    if (!values.buffer_threads) values.buffer_threads = n < MOST_POPULATING ? n : MOST_POPULATING;
}

static void read_all(void) {
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) take(&list[i]);
    choose_by_cores();
}

const struct settings *settings(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_all);
    return &values;
}

void say(enum log_level level, const char *format, ...) {
    static const char head[] = "torpor: ";
    char line[4352]; /* the statistics, and more */
    va_list args;
    if (values.log < (uint64_t)level) return; /* read before anything can be said */
    memcpy(line, head, sizeof head);
    va_start(args, format);
    vsnprintf(line + sizeof head - 1, sizeof line - sizeof head, format, args);
    va_end(args);
    size_t length = strlen(line);
    for (size_t i = 0; i < length; i++) /* what the environment holds may be anything */
        if (iscntrl((unsigned char)line[i])) line[i] = '?';
    line[length] = '\n';
    if (write(STDERR_FILENO, line, length + 1) < 0) return; /* nobody is left to be told */
}
