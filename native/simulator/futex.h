/* Words in shared memory that processes wait for. */
#ifndef SIM_FUTEX_H
#define SIM_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Until the word is no longer `value`, or something else happens, or the time is over (0: no limit). */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t value, int milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    syscall(SYS_futex, (void *)word, FUTEX_WAIT, value, milliseconds ? &time : NULL, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word) {
    syscall(SYS_futex, (void *)word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

#endif
