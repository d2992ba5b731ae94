/* A program that is linked against the driver, uses memory, is parked and unparked, and says how often another interposer was called. */
#define _GNU_SOURCE
#include "../abi/cuda_functions.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BYTES = 8 << 20 };
static unsigned char host[BYTES];
static int failures;

static void check(CUresult result, const char *call) {
    if (!result) return;
    failures++;
    printf("%s: %d\n", call, (int)result);
}
#define CHECK(call) check(call, #call)

static void command(const char *line) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char answer[1024] = "";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/%d.sock", getenv("TORPOR_DIR"), (int)getpid());
    if (connect(fd, (struct sockaddr *)&at, sizeof at) || dprintf(fd, "%s\n", line) < 0 || recv(fd, answer, sizeof answer - 1, 0) <= 0 || strncmp(answer, "ok ", 3)) {
        failures++;
        printf("%s: %s\n", line, answer);
    }
    close(fd);
}

static void expect_filled(CUdeviceptr memory, unsigned char value) {
    CHECK(cuMemcpyDtoH_v2(host, memory, BYTES));
    if (host[0] == value && !memcmp(host, host + 1, BYTES - 1)) return;
    failures++;
    printf("the memory is not what it was\n");
}

int main(void) {
    CUcontext context;
    CUdeviceptr memory;
    CHECK(cuInit(0));
    CHECK(cuDevicePrimaryCtxRetain(&context, 0));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuMemAlloc_v2(&memory, BYTES));
    CHECK(cuMemsetD8_v2(memory, 7, BYTES));
    expect_filled(memory, 7);
    command("park");
    command("unpark");
    expect_filled(memory, 7);
    __typeof__(cuMemsetD8_v2) *found = (__typeof__(found))dlsym(dlopen("libcuda.so.1", RTLD_LAZY), "cuMemsetD8_v2");
    CHECK(found(memory, 8, BYTES));
    command("park");
    command("unpark");
    expect_filled(memory, 8);
    CHECK(cuMemFree_v2(memory));
    int (*calls)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "counter_calls");
    printf("calls=%d\n", calls ? calls() : 0);
    return failures != 0;
}
