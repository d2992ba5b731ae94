/* What the driver says of memory that is parked, which it knows nothing of meanwhile: it is asked while the memory is still there. */
#ifndef TORPOR_ATTRIBUTES_H
#define TORPOR_ATTRIBUTES_H

#include "blocks.h"

/* Called by a park before it unmaps anything. Asks about one mapping for all that are alike. */
void attributes_learn(void);

/* As cuPointerGetAttribute, or as cuPointerGetAttributes with that one alone. With the blocks' lock. 0: nobody knows. */
enum asked { ONE, SEVERAL, WAYS };
int attribute_learned(const struct block *block, enum asked way, CUpointer_attribute attribute, void *data, CUresult *result);
void attributes_after_fork(void);

#endif
