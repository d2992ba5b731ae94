/* How parked bytes are spread over files: writes to one file wait for each other, and neighbouring parts are written at once. */
#ifndef TORPOR_STRIPE_H
#define TORPOR_STRIPE_H

#include <stddef.h>

enum { STRIPE_UNIT = 4 << 20 /* the engine's usual chunk */, MOST_STRIPES = 16 };

/* Unit k is in file k % MOST_STRIPES, behind those before it there. */
struct stripe {
    int file;
    size_t offset; /* in that file */
    size_t bytes;  /* of those that were asked for, up to the unit's end */
};

struct stripe stripe_at(size_t offset, size_t bytes);
int stripe_files(size_t bytes);             /* how many it takes */
size_t stripe_size(size_t bytes, int file); /* how large that one gets */

#endif
