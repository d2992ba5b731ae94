/* Two processes with one piece of device memory: one has made it, the other has it by a legacy handle or by a descriptor. */
#ifndef TORPOR_TESTS_SHARE_H
#define TORPOR_TESTS_SHARE_H

#include "harness.h"

#include <sys/socket.h>
#include <sys/wait.h>

enum { LEGACY_BYTES = 2 << 20 /* smaller ones share a block of the driver */, VIRTUAL_BYTES = 2 << 20 };

struct parcel_to_share { CUipcMemHandle legacy; };

static inline void send_descriptor(int to, int file, const void *data, size_t bytes) {
    char control[CMSG_SPACE(sizeof file)] = "";
    struct iovec part = {(void *)(uintptr_t)data, bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (file >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof file)};
        memcpy(CMSG_DATA(head), &file, sizeof file);
    }
    EXPECT(sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)bytes);
}

static inline int take_descriptor(int from, void *data, size_t bytes) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {data, bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int file = -1;
    EXPECT(recvmsg(from, &message, 0) == (ssize_t)bytes);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head) memcpy(&file, CMSG_DATA(head), sizeof file);
    return file;
}

static inline CUdeviceptr map_shared(CUmemGenericAllocationHandle handle) {
    CUmemAccessDesc all = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    CUdeviceptr va = 0;
    OK(cu.cuMemAddressReserve(&va, VIRTUAL_BYTES, 0, 0, 0));
    OK(cu.cuMemMap(va, VIRTUAL_BYTES, 0, handle, 0));
    OK(cu.cuMemSetAccess(va, VIRTUAL_BYTES, &all, 1));
    return va;
}

static inline CUmemGenericAllocationHandle make_shared(int *file) {
    CUmemAllocationProp prop;
    CUmemGenericAllocationHandle handle = 0;
    memset(&prop, 0, sizeof prop);
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    OK(cu.cuMemCreate(&handle, VIRTUAL_BYTES, &prop, 0));
    OK(cu.cuMemExportToShareableHandle(file, handle, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    return handle;
}

static inline CUmemGenericAllocationHandle import_shared(int file) {
    CUmemGenericAllocationHandle handle = 0;
    OK(cu.cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)file, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR));
    return handle;
}

/* The one who makes both kinds, for its argument: both ends of a pair of sockets, of which it has the second. It fills them with 42, and looks at them whenever it hears something. */
static inline void share_memory(void *ends) {
    int peer = ((int *)ends)[1], file = -1;
    OK(close(((int *)ends)[0])); /* so that it hears the end of the other one */
    struct parcel_to_share parcel;
    CUdeviceptr legacy = 0;
    char word, byte = 0;
    setenv("TORPOR_PARK", "0", 1); /* memory that can be parked has no legacy handle */
    use_device(0);
    OK(cu.cuMemAlloc_v2(&legacy, LEGACY_BYTES));
    OK(cu.cuMemsetD8_v2(legacy, 42, LEGACY_BYTES));
    OK(cu.cuIpcGetMemHandle(&parcel.legacy, legacy));
    CUdeviceptr virtual = map_shared(make_shared(&file));
    OK(cu.cuMemsetD8_v2(virtual, 42, VIRTUAL_BYTES));
    OK(cu.cuCtxSynchronize());
    send_descriptor(peer, file, &parcel, sizeof parcel);
    OK(close(file));
    while (read(peer, &word, 1) == 1) {
        OK(cu.cuMemcpyDtoH_v2(&byte, legacy + LEGACY_BYTES - 1, 1));
        EXPECT_IS(42, byte);
        OK(cu.cuMemcpyDtoH_v2(&byte, virtual + VIRTUAL_BYTES - 1, 1));
        EXPECT_IS(42, byte);
        if (write(peer, &word, 1) != 1) break;
    }
}

static inline int start_sharer(int *peer) {
    int ends[2];
    OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
    int pid = start_child(share_memory, ends);
    OK(close(ends[1]));
    *peer = ends[0];
    return pid;
}

/* It has what it had. */
static inline void expect_sharer_intact(int peer) {
    char word = 'c';
    EXPECT(write(peer, &word, 1) == 1);
    EXPECT(read(peer, &word, 1) == 1);
}

static inline void end_sharer(int peer, int pid) {
    OK(close(peer));
    OK(wait_child(pid));
}

static inline void expect_byte(int value, CUdeviceptr at) {
    unsigned char byte = 0;
    OK(cu.cuMemcpyDtoH_v2(&byte, at, 1));
    EXPECT_IS(value, byte);
}

#endif
