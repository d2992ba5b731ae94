/* Numbers and sizes as people write them. */
#ifndef TORPOR_SIZES_H
#define TORPOR_SIZES_H

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline int parse_number(const char *text, unsigned long long *value) {
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return isdigit((unsigned char)*text) && !*end && !errno;
}

/* Bytes, or a number with K, M or G. */
static inline int parse_size(const char *text, size_t *size) {
    static const char units[] = "KMG";
    char digits[24], *unit;
    unsigned long long value;
    snprintf(digits, sizeof digits, "%s", text);
    size_t last = strlen(digits) - (*digits != 0);
    int shift = digits[last] && (unit = strchr(units, toupper((unsigned char)digits[last]))) ? 10 * (int)(unit - units + 1) : 0;
    if (shift) digits[last] = 0;
    if (!parse_number(digits, &value) || value > SIZE_MAX >> shift) return 0;
    *size = (size_t)value << shift;
    return 1;
}

#endif
