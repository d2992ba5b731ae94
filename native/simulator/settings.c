#define _GNU_SOURCE
#include "settings.h"
#include "machine.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct settings values;

/* A size may carry a unit; a plain number may not. */
static const struct number {
    const char *name;
    uint64_t *value, least, most, standard;
    int is_size;
} numbers[] = {
    {"TORPOR_SIM_DEVICES", &values.devices, 0, MAX_DEVICES, 1, 0},
    {"TORPOR_SIM_MEMORY", &values.memory, 1 << 20, 1ULL << 40, 16ULL << 30, 1},
    {"TORPOR_SIM_CONTEXT", &values.context, 0, 1ULL << 40, 8 << 20, 1},
    {"TORPOR_SIM_DELAY_US", &values.delay_us, 0, 60000000, 200, 0},
    {"TORPOR_SIM_MPS", &values.mps, 0, 1, 0, 0},
    {"TORPOR_SIM_STATE", &values.state, 0, 1000000000, NO_STATE, 0},
};
enum { COUNT = sizeof numbers / sizeof numbers[0] };

void complain(const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "SIMULATED GPU: %s\n", line);
}

static int unit_shift(const char *unit) {
    static const char units[] = "KMGT";
    if (!*unit) return 0;
    const char *at = strchr(units, toupper((unsigned char)*unit));
    return at && !unit[1] ? 10 * (int)(at - units + 1) : -1;
}

static int parse(const char *text, int is_size, uint64_t *value) {
    char *end;
    if (!isdigit((unsigned char)*text)) return 0;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    int shift = is_size ? unit_shift(end) : *end ? -1 : 0;
    if (errno || shift < 0 || number > UINT64_MAX >> shift) return 0;
    *value = number << shift;
    return 1;
}

static int take(const struct number *number) {
    const char *text = getenv(number->name);
    uint64_t value;
    *number->value = number->standard;
    if (!text || !*text) return 1;
    if (parse(text, number->is_size, &value) && value >= number->least && value <= number->most) return *number->value = value, 1;
    complain("%s=%s is not %s from %llu to %llu.", number->name, text,
             number->is_size ? "a size in bytes, or with a unit K, M, G or T," : "a number",
             (unsigned long long)number->least, (unsigned long long)number->most);
    return 0;
}

static int valid = 1;
static void read_all(void) {
    for (int i = 0; i < COUNT; i++) valid &= take(&numbers[i]);
}

const struct settings *settings(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_all);
    return valid ? &values : NULL;
}

int setting_given(const char *name) {
    const char *text = getenv(name);
    return text && *text;
}
