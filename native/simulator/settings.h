/* What the environment asks of the simulator, read once. */
#ifndef SIM_SETTINGS_H
#define SIM_SETTINGS_H

#include <stdint.h>

#define NO_STATE UINT64_MAX

struct settings {
    uint64_t devices, memory, context, delay_us, mps, state;
};

const struct settings *settings(void); /* NULL: a value is malformed, as stderr has been told */
int setting_given(const char *name);
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
