/* Compiles only where the declarations agree: with the real header first when AUDIT_CUDA is set, with ours alone otherwise. */
#ifdef AUDIT_CUDA
#include <cuda.h>
#endif
#include "cuda_functions.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type);
#define FIELD(type, field, at) _Static_assert(offsetof(type, field) == (at), #type "." #field);
#define VALUE(name, number) _Static_assert((name) == (number), #name);
#include "cuda_facts.h"
