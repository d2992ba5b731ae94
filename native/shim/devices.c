#include "devices.h"
#include "blocks.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of what follows; nothing is called with it */
static struct { int asked, known; CUuuid uuid; } devices[MAX_DEVICES];

static int is_device(CUdevice device) { return device >= 0 && device < MAX_DEVICES; }

void devices_ask(CUdevice device) {
    const struct driver *d = driver();
    CUuuid uuid = {{0}};
    if (!is_device(device) || !d->cuDeviceGetUuid_v2) return;
    int known = !d->cuDeviceGetUuid_v2(&uuid, device);
    pthread_mutex_lock(&mutex);
    devices[device].asked = 1;
    devices[device].known = known;
    if (known) memcpy(&devices[device].uuid, &uuid, sizeof uuid);
    pthread_mutex_unlock(&mutex);
}

static int was_asked(CUdevice device) {
    pthread_mutex_lock(&mutex);
    int asked = devices[device].asked;
    pthread_mutex_unlock(&mutex);
    return asked;
}

void devices_meet(CUdevice device) {
    if (is_device(device) && !was_asked(device)) devices_ask(device);
}

void devices_ask_again(void) {
    for (CUdevice device = 0; device < MAX_DEVICES; device++)
        if (was_asked(device)) devices_ask(device);
}

int devices_uuid(CUdevice device, char *text) {
    unsigned char bytes[16];
    char *at = text;
    if (!is_device(device)) return 0;
    pthread_mutex_lock(&mutex);
    int known = devices[device].known;
    memcpy(bytes, devices[device].uuid.bytes, sizeof bytes);
    pthread_mutex_unlock(&mutex);
    at += sprintf(at, "GPU");
    for (int i = 0; i < 16; i++) at += sprintf(at, "%s%02x", i == 0 || i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    return known;
}

void devices_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
}
