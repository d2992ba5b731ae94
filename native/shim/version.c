#include "torpor.h"

#include <elf.h>

#ifndef TORPOR_VERSION
#define TORPOR_VERSION "0"
#endif

const char torpor_shim_version[] = TORPOR_VERSION;

/* For whoever asks which shim a process carries: it reads the file, or the first page of the mapping. */
static const struct {
    Elf64_Nhdr header;
    char name[8];
    char version[(sizeof TORPOR_VERSION + 3) / 4 * 4];
} note __attribute__((section(".note.torpor,\"a\",@note#"), used, aligned(4))) = {{7, sizeof TORPOR_VERSION, 1}, "Torpor", TORPOR_VERSION};
