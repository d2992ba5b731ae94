/* Memory of other processes is read and written where they keep it: in a file that their /proc leads to. */
#define _GNU_SOURCE
#include "driver.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { MAX_FOREIGN = 64, PLACE_BITS = 48 };
static _Atomic int files[MAX_FOREIGN]; /* one more than the descriptor; 0: unused */

int foreign_open(int pid, int file, uint64_t *offset) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, file);
    int opened = open(path, O_RDWR | O_CLOEXEC);
    for (uint64_t i = 0; opened >= 0 && i < MAX_FOREIGN; i++) {
        int unused = 0;
        if (!atomic_compare_exchange_strong(&files[i], &unused, opened + 1)) continue;
        *offset |= (i + 1) << PLACE_BITS;
        return 1;
    }
    if (opened >= 0) close(opened);
    return 0;
}

int foreign_file(uint64_t *offset) {
    uint64_t place = *offset >> PLACE_BITS;
    *offset &= (1ULL << PLACE_BITS) - 1;
    return place ? atomic_load(&files[place - 1]) - 1 : -1;
}

void foreign_close(uint64_t offset) {
    uint64_t place = offset >> PLACE_BITS;
    if (place) close(atomic_exchange(&files[place - 1], 0) - 1);
}
