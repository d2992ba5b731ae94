#define _GNU_SOURCE
#include "faults.h"
#include "errors.h"
#include "settings.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ENTRIES = 64, NAME_SIZE = 64, LARGEST = 1000000000 };

static struct entry {
    char name[NAME_SIZE];
    long from, to; /* calls, counted from 1 */
    long calls;
    struct fault fault;
} entries[MAX_ENTRIES];
static int entry_count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int number(const char **at, const char *end, long *value) {
    const char *start = *at;
    *value = 0;
    while (*at < end && isdigit((unsigned char)**at) && *value <= LARGEST) *value = *value * 10 + (*(*at)++ - '0');
    return *at > start && *value <= LARGEST;
}

static int whole_number(const char *at, const char *end, long *value) { return number(&at, end, value) && at == end; }

static int option(const char **at, const char *end, const char *prefix) {
    size_t length = strlen(prefix);
    if ((size_t)(end - *at) <= length || strncmp(*at, prefix, length)) return 0;
    *at += length;
    return 1;
}

static int is(const char *at, const char *end, const char *word) {
    return strlen(word) == (size_t)(end - at) && !strncmp(at, word, strlen(word));
}

static int parse_action(const char *at, const char *end, struct fault *fault) {
    long value;
    if (is(at, end, "after")) return fault->after = 1;
    if (is(at, end, "die")) return fault->die = 1;
    if (is(at, end, "hang")) return fault->hang = 1;
    if (option(&at, end, "delay:")) return whole_number(at, end, &value) && (fault->delay_ms = (int)value, 1);
    if (option(&at, end, "state:")) return whole_number(at, end, &value) && (fault->state = (int)value, 1);
    if (option(&at, end, "slow:")) return whole_number(at, end, &value) && value > 0 && (fault->slow = (uint64_t)value, 1);
    if (whole_number(at, end, &value)) return fault->code = (int)value, 1;
    fault->code = error_code(at, (int)(end - at));
    return fault->code >= 0;
}

static int parse_actions(const char *at, const char *end, struct fault *fault) {
    *fault = (struct fault){.code = -1, .state = -1};
    for (;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (!parse_action(at, comma ? comma : end, fault)) return 0;
        if (!comma) break;
        at = comma + 1;
    }
    return !fault->after || fault->code >= 0 || fault->delay_ms || fault->hang || fault->die; /* after what? */
}

/* "", "#3", "#2-" or "#2-5" */
static int parse_calls(const char *at, const char *end, struct entry *entry) {
    entry->from = 1;
    entry->to = LARGEST;
    if (at == end) return 1;
    if (*at++ != '#' || !number(&at, end, &entry->from) || entry->from < 1) return 0;
    entry->to = entry->from;
    if (at == end) return 1;
    if (*at++ != '-') return 0;
    entry->to = LARGEST;
    if (at == end) return 1;
    return whole_number(at, end, &entry->to) && entry->to >= entry->from;
}

static int moves_memory(const char *name) {
    return !strcmp(name, "cuCheckpointProcessCheckpoint") || !strcmp(name, "cuCheckpointProcessRestore");
}

static int parse_entry(const char *at, const char *end, struct entry *entry) {
    const char *name = at, *equals = memchr(at, '=', (size_t)(end - at));
    memset(entry, 0, sizeof *entry);
    while (at < end && (isalnum((unsigned char)*at) || *at == '_')) at++;
    if (at == name || at - name >= NAME_SIZE || !equals) return 0;
    memcpy(entry->name, name, (size_t)(at - name));
    return parse_calls(at, equals, entry) && parse_actions(equals + 1, end, &entry->fault);
}

static const char *take_entry(const char *at, const char *end, const char *(*find)(const char *)) {
    struct entry entry;
    if (!parse_entry(at, end, &entry)) return "is not NAME[#FROM[-TO]]=ACTION[,ACTION...]";
    const char *name = find(entry.name);
    if (!name) return "names no function of the simulator";
    if (entry.fault.slow && !moves_memory(name)) return "slows a function that moves no device memory";
    if (entry_count == MAX_ENTRIES) return "is one entry too many";
    strcpy(entry.name, name);
    entries[entry_count++] = entry;
    return NULL;
}

static int add_entry(const char *at, const char *end, const char *(*find)(const char *)) {
    const char *wrong = take_entry(at, end, find);
    if (wrong) complain("TORPOR_SIM_FAULTS: \"%.*s\" %s.", (int)(end - at), at, wrong);
    return !wrong;
}

static int is_nvml(const char *name) { return !strncmp(name, "nvml", 4); }

int faults_load(const char *text, int nvml, const char *(*find)(const char *)) {
    int valid = 1;
    pthread_mutex_lock(&mutex);
    while (text && *text) {
        const char *next = strchrnul(text, ';'), *end = next;
        while (text < end && isspace((unsigned char)*text)) text++;
        while (text < end && isspace((unsigned char)end[-1])) end--;
        if (text < end && is_nvml(text) == nvml) valid &= add_entry(text, end, find);
        text = *next ? next + 1 : next;
    }
    pthread_mutex_unlock(&mutex);
    return valid;
}

int fault_next(const char *name, struct fault *fault) {
    int hit = 0;
    if (!entry_count) return 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < entry_count; i++) {
        struct entry *entry = &entries[i];
        if (strcmp(entry->name, name)) continue;
        long call = ++entry->calls;
        if (hit || call < entry->from || call > entry->to) continue;
        *fault = entry->fault;
        hit = 1;
    }
    pthread_mutex_unlock(&mutex);
    return hit;
}

void fault_suffer(const struct fault *fault) {
    if (fault->delay_ms) {
        struct timespec time = {fault->delay_ms / 1000, fault->delay_ms % 1000 * 1000000L};
        while (nanosleep(&time, &time)) {}
    }
    while (fault->hang) pause();
    if (fault->die) raise(SIGKILL);
}
