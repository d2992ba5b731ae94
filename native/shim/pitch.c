/* Only an allocation tells, and freeing that would wait for the GPU: so each width is asked for once, and what was allocated for it stays
 * until the GPU is known to be idle, or the context ends. */
#include "pitch.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUCKETS = 64, MOST_ANSWERS = 4096, MOST_KEPT = 4 << 20 };

struct answer { struct answer *next; CUdevice device; size_t width, pitch; unsigned element; };
struct probe { struct probe *next; CUcontext context; CUdeviceptr address; };

static struct answer *answers[BUCKETS];
static int answer_count;
static struct probe *probes;
static size_t kept; /* bytes of all probes */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all this; before nothing, and no driver call is made with it */

static struct answer **bucket(size_t width) { return &answers[width / 4 % BUCKETS]; }

static size_t find(CUdevice device, size_t width, unsigned element, int *full) {
    pthread_mutex_lock(&mutex);
    struct answer *a = *bucket(width);
    while (a && (a->device != device || a->width != width || a->element != element)) a = a->next;
    size_t pitch = a ? a->pitch : 0;
    *full = answer_count >= MOST_ANSWERS || kept + width > MOST_KEPT;
    pthread_mutex_unlock(&mutex);
    return pitch;
}

static void remember(struct answer *a, struct probe *p) {
    struct answer **first = bucket(a->width);
    pthread_mutex_lock(&mutex);
    a->next = *first;
    *first = a;
    answer_count++;
    p->next = probes;
    probes = p;
    kept += a->pitch;
    pthread_mutex_unlock(&mutex);
}

static size_t ask(CUdevice device, size_t width, unsigned element) {
    struct answer *a = malloc(sizeof *a);
    struct probe *p = malloc(sizeof *p);
    if (a && p) {
        *a = (struct answer){.device = device, .width = width, .element = element};
        *p = (struct probe){0};
        if (!driver()->cuCtxGetCurrent(&p->context) && !driver()->cuMemAllocPitch_v2(&p->address, &a->pitch, width, 1, element)) return remember(a, p), a->pitch;
    }
    free(a);
    free(p);
    return 0;
}

size_t pitch_for(CUdevice device, size_t width, unsigned element) {
    int full;
    size_t pitch = find(device, width, element, &full);
    return pitch || full ? pitch : ask(device, width, element);
}

/* Of one context, or of any: NULL. */
static struct probe *take(CUcontext context) {
    pthread_mutex_lock(&mutex);
    struct probe **link = &probes;
    while (*link && context && (*link)->context != context) link = &(*link)->next;
    struct probe *p = *link;
    if (p) *link = p->next;
    if (!probes) kept = 0;
    pthread_mutex_unlock(&mutex);
    return p;
}

void pitches_free(void) {
    CUcontext popped;
    for (struct probe *p; (p = take(NULL)); free(p)) {
        if (driver()->cuCtxPushCurrent_v2(p->context)) continue;
        driver()->cuMemFree_v2(p->address);
        driver()->cuCtxPopCurrent_v2(&popped);
    }
}

void pitches_context_gone(CUcontext context) {
    for (struct probe *p; (p = take(context));) free(p);
}

/* The memory is the parent's; the answers hold. */
void pitches_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    probes = NULL;
    kept = 0;
}
