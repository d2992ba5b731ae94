#include "stripe.h"

struct stripe stripe_at(size_t offset, size_t bytes) {
    size_t unit = offset / STRIPE_UNIT, inside = offset % STRIPE_UNIT, left = STRIPE_UNIT - inside;
    return (struct stripe){(int)(unit % MOST_STRIPES), unit / MOST_STRIPES * STRIPE_UNIT + inside, bytes < left ? bytes : left};
}

int stripe_files(size_t bytes) {
    size_t units = bytes / STRIPE_UNIT + (bytes % STRIPE_UNIT != 0);
    return units < MOST_STRIPES ? (int)units : MOST_STRIPES;
}

/* Whole rounds, and what the last one, which may end early, has for it. */
size_t stripe_size(size_t bytes, int file) {
    size_t round = (size_t)STRIPE_UNIT * MOST_STRIPES, before = (size_t)file * STRIPE_UNIT, last = bytes % round;
    size_t more = last > before ? last - before : 0;
    return bytes / round * STRIPE_UNIT + (more < STRIPE_UNIT ? more : STRIPE_UNIT);
}
