#define _GNU_SOURCE
#include "machine.h"
#include "process.h"
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t MAGIC = 0x746f72706f723031ULL;

static void robust_init(pthread_mutex_t *mutex) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

static int recovered(pthread_mutex_t *mutex, int error) {
    if (error != EOWNERDEAD) return error;
    return pthread_mutex_consistent(mutex); /* nothing to repair: see struct slot */
}

int robust_lock(pthread_mutex_t *mutex) {
    return recovered(mutex, pthread_mutex_lock(mutex));
}

int robust_trylock(pthread_mutex_t *mutex) {
    return recovered(mutex, pthread_mutex_trylock(mutex));
}

static void machine_create(struct machine *m) {
    memset(m, 0, sizeof *m);
    m->devices = (int)settings()->devices;
    m->memory = settings()->memory;
    robust_init(&m->mutex);
    for (int i = 0; i < MAX_SLOTS; i++) robust_init(&m->slots[i].desk);
    m->magic = MAGIC;
}

static const char *machine_directory(void) {
    static char standard[64];
    const char *directory = getenv("TORPOR_SIM_DIR");
    if (directory && *directory) return directory;
    snprintf(standard, sizeof standard, "/dev/shm/torpor-simulator-%u", (unsigned)geteuid());
    return standard;
}

static int in_use(struct machine *m) {
    for (int i = 0; i < MAX_SLOTS; i++)
        if (slot_alive(&m->slots[i], atomic_load(&m->slots[i].generation))) return 1;
    return 0;
}

static int agrees(const char *name, uint64_t wanted, uint64_t is) {
    if (wanted == is || !setting_given(name)) return 1;
    complain("%s asks for %llu, but processes on the machine in %s have %llu: give this one another TORPOR_SIM_DIR.", name,
             (unsigned long long)wanted, machine_directory(), (unsigned long long)is);
    return 0;
}

/* A machine that nobody uses becomes what it is asked to be; one in use stays what it is. */
static int machine_agrees(struct machine *m) {
    const struct settings *wanted = settings();
    int free_to_change = !in_use(m);
    if (free_to_change && setting_given("TORPOR_SIM_DEVICES")) m->devices = (int)wanted->devices;
    if (free_to_change && setting_given("TORPOR_SIM_MEMORY")) m->memory = wanted->memory;
    return agrees("TORPOR_SIM_DEVICES", wanted->devices, (uint64_t)m->devices) && agrees("TORPOR_SIM_MEMORY", wanted->memory, m->memory);
}

static uint64_t machine_inode;

static struct machine *machine_map(int fd) {
    struct stat status;
    if (fstat(fd, &status)) return NULL;
    machine_inode = status.st_ino;
    if ((size_t)status.st_size != sizeof(struct machine) && ftruncate(fd, sizeof(struct machine))) return NULL;
    void *map = mmap(NULL, sizeof(struct machine), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) return NULL;
    struct machine *m = map;
    if (m->magic != MAGIC) machine_create(m); /* new, or its creator died on the way */
    if (machine_agrees(m)) return m;
    munmap(map, sizeof(struct machine));
    return NULL;
}

/* A directory that others may write is a machine that they share. */
static int machine_file(const char *path, mode_t directory_mode) {
    mode_t mode = 0600 | (directory_mode & 0066);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT) return fd;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
    if (fd >= 0 && mode != 0600) fchmod(fd, mode); /* past the umask */
    return fd;
}

static struct machine *machine_open(void) {
    char path[4096];
    struct stat status = {0};
    const char *directory = machine_directory();
    mkdir(directory, 0700);
    stat(directory, &status);
    snprintf(path, sizeof path, "%s/machine-%zu", directory, sizeof(struct machine)); /* another layout is another machine */
    int fd = machine_file(path, status.st_mode);
    if (fd < 0) {
        complain("cannot open %s, which TORPOR_SIM_DIR decides: %s.", path, strerror(errno));
        return NULL;
    }
    struct machine *m = NULL;
    if (flock(fd, LOCK_EX) == 0) m = machine_map(fd);
    flock(fd, LOCK_UN); /* the mapping keeps the open file, and so its lock, alive */
    close(fd);
    return m;
}

static struct machine *the_machine;
static void machine_open_once(void) {
    if (settings()) the_machine = machine_open();
}

struct machine *machine(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, machine_open_once);
    return the_machine;
}

int machine_mapped(int pid) { return machine() && process_maps(pid, machine_inode); }

int slot_pid(struct slot *slot) { return process_here(atomic_load(&slot->space), atomic_load(&slot->pid)); }

int slot_alive(struct slot *slot, uint64_t generation) {
    uint64_t start;
    if (!atomic_load(&slot->pid) || atomic_load(&slot->generation) != generation) return 0;
    int pid = slot_pid(slot);
    if (!pid) return !process_sees_all(); /* one outside of this container: who can see it decides */
    if (!process_start(pid, &start) || !process_same_start(start, atomic_load(&slot->start))) return 0;
    if (pid != atomic_load(&slot->pid)) return process_thread_named(pid, RESTORE_THREAD) != 0;
    return process_has_thread(pid, atomic_load(&slot->tid)); /* a zombie has none, nor has a process after exec */
}

int slot_is_own(struct slot *slot, uint64_t generation) {
    uint64_t start = 0;
    if (atomic_load(&slot->pid) != getpid() || atomic_load(&slot->generation) != generation) return 0;
    if (atomic_load(&slot->space) != process_space(getpid())) return 0; /* a container that CRIU has made anew has another */
    return process_start(getpid(), &start) && process_same_start(start, atomic_load(&slot->start));
}

static void slot_empty(struct slot *slot) {
    for (int d = 0; d < MAX_DEVICES; d++) {
        atomic_store(&slot->used[d], 0);
        atomic_store(&slot->contexts[d], 0);
    }
    atomic_store(&slot->pid, 0);
}

/* With the machine's mutex held. */
static void reap(struct machine *m) {
    for (int i = 0; i < MAX_SLOTS; i++) {
        struct slot *slot = &m->slots[i];
        if (atomic_load(&slot->pid) && !slot_alive(slot, atomic_load(&slot->generation))) slot_empty(slot);
    }
}

/* A client finds a control pipe in the folder that is named; the default one is taken to have it. */
static int mps_client(void) {
    char path[4096];
    const char *folder = getenv("CUDA_MPS_PIPE_DIRECTORY");
    if (!settings()->mps || !folder) return (int)settings()->mps;
    snprintf(path, sizeof path, "%s/control", folder);
    return access(path, F_OK) == 0;
}

static struct slot *slot_fill(struct slot *slot, int tid, int state) {
    uint64_t start = 0;
    process_start(getpid(), &start);
    slot_empty(slot);
    atomic_fetch_add(&slot->generation, 1);
    atomic_store(&slot->start, start);
    atomic_store(&slot->tid, tid);
    atomic_store(&slot->space, process_space(getpid()));
    atomic_store(&slot->state, state);
    atomic_store(&slot->mps, mps_client());
    atomic_store(&slot->done, atomic_load(&slot->posted)); /* what was asked of the last owner is void */
    atomic_store(&slot->pid, getpid());
    return slot;
}

struct slot *slot_claim(int tid, int state) {
    struct machine *m = machine();
    struct slot *found = NULL;
    if (!m || robust_lock(&m->mutex)) return NULL;
    reap(m);
    for (int i = 0; i < MAX_SLOTS && !found; i++)
        if (!atomic_load(&m->slots[i].pid)) found = slot_fill(&m->slots[i], tid, state);
    pthread_mutex_unlock(&m->mutex);
    return found;
}

struct slot *slot_of(int pid) {
    struct machine *m = machine();
    for (int i = 0; m && i < MAX_SLOTS; i++) {
        struct slot *slot = &m->slots[i];
        if (atomic_load(&slot->pid) && slot_pid(slot) == pid && slot_alive(slot, atomic_load(&slot->generation))) return slot;
    }
    return NULL;
}

static uint64_t used_now(struct machine *m, int device) {
    uint64_t sum = 0;
    for (int i = 0; i < MAX_SLOTS; i++)
        if (atomic_load(&m->slots[i].pid)) sum += atomic_load(&m->slots[i].used[device]);
    return sum;
}

uint64_t device_used(int device) {
    struct machine *m = machine();
    if (!m || robust_lock(&m->mutex)) return 0;
    reap(m);
    uint64_t sum = used_now(m, device);
    pthread_mutex_unlock(&m->mutex);
    return sum;
}

static int fits(struct machine *m, struct slot *slot, const uint64_t *want) {
    for (int d = 0; d < m->devices; d++) {
        uint64_t mine = atomic_load(&slot->used[d]);
        if (want[d] > mine && want[d] > m->memory - (used_now(m, d) - mine)) return 0;
    }
    return 1;
}

CUresult account_set(struct slot *slot, const uint64_t *want) {
    struct machine *m = machine();
    if (robust_lock(&m->mutex)) return CUDA_ERROR_UNKNOWN;
    int enough = fits(m, slot, want);
    if (!enough) {
        reap(m);
        enough = fits(m, slot, want);
    }
    for (int d = 0; enough && d < m->devices; d++) atomic_store(&slot->used[d], want[d]);
    pthread_mutex_unlock(&m->mutex);
    return enough ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

void device_uuid(int device, CUuuid *uuid) {
    static const char letters[] = "TORPOR SIM GPU";
    memset(uuid, 0, sizeof *uuid);
    memcpy(uuid->bytes, letters, sizeof letters - 1);
    uuid->bytes[15] = (char)(device + 1);
}

int device_by_uuid(const CUuuid *uuid) {
    struct machine *m = machine();
    for (int d = 0; m && d < m->devices; d++) {
        CUuuid known;
        device_uuid(d, &known);
        if (!memcmp(&known, uuid, sizeof known)) return d;
    }
    return -1;
}

/* Of one model, as those of most hosts are. */
void device_name(char *name, size_t length) { snprintf(name, length, "SIMULATED GPU"); }
