/* Where the parts of what is parked lie in its files. */
#include "harness.h"
#include "../shim/stripe.h"

static size_t size_number(unsigned *seed) {
    size_t units = (size_t)rand_r(seed) % 70;
    switch (rand_r(seed) % 4) {
    case 0: return units * STRIPE_UNIT;
    case 1: return units * STRIPE_UNIT + 1;
    case 2: return (size_t)rand_r(seed) % STRIPE_UNIT;
    default: return units * STRIPE_UNIT + (size_t)rand_r(seed) % STRIPE_UNIT;
    }
}

/* Each file is filled from its begin to its end, in this order, and nothing lies twice. */
static void filesAreFilledWithoutGaps(void) {
    unsigned seed = 5;
    for (int round = 0; round < 3000; round++) {
        size_t bytes = size_number(&seed), filled[MOST_STRIPES] = {0}, sum = 0;
        for (size_t at = 0; at < bytes;) {
            size_t wanted = 1 + (size_t)rand_r(&seed) % (3 * (size_t)STRIPE_UNIT);
            struct stripe part = stripe_at(at, wanted < bytes - at ? wanted : bytes - at);
            EXPECT(part.bytes > 0 && part.bytes <= wanted && part.bytes <= bytes - at);
            EXPECT(part.file >= 0 && part.file < stripe_files(bytes));
            EXPECT_IS(filled[part.file], part.offset);
            filled[part.file] += part.bytes;
            at += part.bytes;
        }
        for (int file = 0; file < MOST_STRIPES; file++) {
            EXPECT_IS(filled[file], stripe_size(bytes, file));
            EXPECT_IS(file < stripe_files(bytes), filled[file] > 0);
            sum += filled[file];
        }
        EXPECT_IS(bytes, sum);
    }
}

static void neighboursLieInDifferentFiles(void) {
    for (size_t unit = 0; unit < 40; unit++) {
        struct stripe part = stripe_at(unit * STRIPE_UNIT, 2 * (size_t)STRIPE_UNIT);
        EXPECT_IS(unit % MOST_STRIPES, part.file);
        EXPECT_IS(unit / MOST_STRIPES * STRIPE_UNIT, part.offset);
        EXPECT_IS(STRIPE_UNIT, part.bytes);
    }
}

int main(void) {
    RUN(filesAreFilledWithoutGaps);
    RUN(neighboursLieInDifferentFiles);
    return summary();
}
