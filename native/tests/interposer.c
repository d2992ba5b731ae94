/* Preloaded into a target: shows that the simulator takes its buffer through libc's mmap, as the driver does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((visibility("default"))) void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    if (!real) real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    if (flags == (MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE)) {
        const char *text = gettid() == getpid() ? "main\n" : "buffer\n";
        if (getenv("TORPOR_TEST_NO_MEMORY")) return MAP_FAILED;
        if (write(2, text, text[0] == 'm' ? 5 : 7) < 0) return MAP_FAILED;
    }
    return real(address, size, protection, flags, fd, offset);
}
