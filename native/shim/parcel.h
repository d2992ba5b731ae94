/* The blocks that are parked together. By whoever has closed the gate. */
#ifndef TORPOR_PARCEL_H
#define TORPOR_PARCEL_H

#include "blocks.h"
#include "statistics.h"
#include "stored.h"

struct parcel {
    struct block **blocks;
    size_t count;
    uint64_t bytes;
    uint64_t copied; /* of the last copy: what is free within a pool's chunk is not */
};

/* Where parked bytes lie: in memory, or in files. Each block has its place there. */
struct shelf {
    char *base;
    struct stored *file;
};

/* What the driver refused, or how much of a device's memory is missing. */
struct failure {
    const char *call;
    CUresult result;
    uint64_t missing;
    int device;
    int lost; /* the device cannot be reached any more: its contexts have failed, and another cannot be made */
};

/* Sums over all blocks. */
struct extent {
    uint64_t parkable, parked, left;
    struct { uint64_t parked, left; int used; } device[MAX_DEVICES]; /* used: has blocks or a context */
};
struct extent blocks_extent(void);
void blocks_try_extent(struct extent *sum); /* leaves it as it is where the list of blocks is not to be had within some milliseconds */

int parcel_pack(struct parcel *parcel); /* everything that can be parked. 0: out of host memory */
int parcel_repack(struct parcel *parcel, uint64_t without); /* everything that is parked, but for some devices. 0: likewise */
uint64_t parcel_give_up(void); /* what is parked is lost; so many bytes */
void parcel_forget(struct parcel *parcel);

void parcel_release(struct parcel *parcel); /* what the driver will not release stays, and is none of the parcel's any more */
/* 0 and a failure, or all is done. What is half done is undone. */
int parcel_copy_out(struct parcel *parcel, const struct shelf *shelf, struct failure *failure);
int parcel_seal(struct parcel *parcel, struct stored *file, int synced); /* when all of it is copied out. 0: file->error says why */
int parcel_has_room(struct parcel *parcel, struct failure *failure);
int parcel_map(struct parcel *parcel, struct failure *failure);
int parcel_fill(struct parcel *parcel, const struct shelf *shelf, struct failure *failure); /* not filled: not mapped any more either */

#endif
