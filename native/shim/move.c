#include "move.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { CACHED = 128 << 10, LINE = 64 };

/* In pieces for which memcpy does not leave the caches: the GPU reads them from there. */
void move_in(char *pinned, const char *from, size_t bytes) {
    for (size_t done = 0; done < bytes; done += CACHED) memcpy(pinned + done, from + done, bytes - done < CACHED ? bytes - done : CACHED);
}

/* Stores that go past the caches, as nobody reads the memory soon: without them each line would be read before it is written. */
__attribute__((target("avx2"))) static void stream_avx2(char *to, const char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += LINE) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(from + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(from + i + 32));
        _mm256_stream_si256((__m256i *)(void *)(to + i), a);
        _mm256_stream_si256((__m256i *)(void *)(to + i + 32), b);
    }
}

static void stream_sse2(char *to, const char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 16) _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
}

void move_out(char *to, const char *pinned, size_t bytes) {
    size_t head = (LINE - (uintptr_t)to % LINE) % LINE;
    if (head > bytes) head = bytes;
    size_t body = (bytes - head) / LINE * LINE;
    memcpy(to, pinned, head);
    if (__builtin_cpu_supports("avx2")) stream_avx2(to + head, pinned + head, body);
    else stream_sse2(to + head, pinned + head, body);
    _mm_sfence(); /* before anybody is told that the bytes are there */
    memcpy(to + head + body, pinned + head + body, bytes - head - body);
}
