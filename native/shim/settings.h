/* What the environment asks for; read once, when it is first needed. */
#ifndef TORPOR_SETTINGS_H
#define TORPOR_SETTINGS_H

#include <stdint.h>

enum log_level { LOG_OFF, LOG_WARN, LOG_INFO };
enum { MAX_STREAMS = 64 };

struct settings {
    uint64_t copy;         /* 0: every copy is the driver's */
    uint64_t copy_streams; /* 0: this machine has too few cores for it */
    uint64_t copy_chunk, copy_min, copy_start, copy_idle_ms;
    uint64_t buffer_huge, buffer_threads, buffer_keep;
    uint64_t park, park_min, park_rdma, freed_keep, arena_keep;
    uint64_t log;
};
const struct settings *settings(void);

/* One line on stderr, if the level is wanted. */
void say(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
