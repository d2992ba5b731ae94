/* libtorpor_early.so: initialises CUDA on a native thread while Java still links its calls. */
#define _GNU_SOURCE
#include "../abi/cuda_functions.h"

#include <dlfcn.h>
#include <jni.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The old names of these still exist in newer C libraries, the new names not in older ones. */
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.2.5");
__asm__(".symver pthread_sigmask, pthread_sigmask@GLIBC_2.2.5");
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");

enum step { NONE, DLOPEN, SYMBOL, INIT, DEVICE_GET, RETAIN };
enum { RESULTS = 8 };

static struct start {
    char *library;
    int device;
    enum step failed;
    CUresult result;
    int64_t nanoseconds[4]; /* dlopen, cuInit, cuDeviceGet, retain */
    CUdevice handle;
    CUcontext context;
} start;
static int begun;
static pthread_t thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void fail(enum step step, CUresult result) {
    start.failed = step;
    start.result = result;
}

#define TIMED(index, expression) do { int64_t since = now(); (expression); start.nanoseconds[index] = now() - since; } while (0)

static void retain(__typeof__(cuDeviceGet) *get, __typeof__(cuDevicePrimaryCtxRetain) *retain_context) {
    CUresult result;
    TIMED(2, result = get(&start.handle, start.device));
    if (result) return fail(DEVICE_GET, result);
    TIMED(3, result = retain_context(&start.context, start.handle));
    if (result) fail(RETAIN, result);
}

static void initialise(void *library) {
    CUresult result;
    __typeof__(cuInit) *init = (__typeof__(cuInit) *)dlsym(library, "cuInit");
    __typeof__(cuDeviceGet) *get = (__typeof__(cuDeviceGet) *)dlsym(library, "cuDeviceGet");
    __typeof__(cuDevicePrimaryCtxRetain) *context = (__typeof__(cuDevicePrimaryCtxRetain) *)dlsym(library, "cuDevicePrimaryCtxRetain");
    if (!init || !get || !context) return fail(SYMBOL, CUDA_SUCCESS);
    TIMED(1, result = init(0));
    if (result) fail(INIT, result);
    else if (start.device >= 0) retain(get, context);
}

static void *run(void *unused) {
    void *library;
    (void)unused;
    TIMED(0, library = dlopen(start.library, RTLD_NOW | RTLD_LOCAL));
    if (library) initialise(library);
    else fail(DLOPEN, CUDA_SUCCESS);
    free(start.library);
    return NULL;
}

static int launch(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the JVM's signals are for the JVM's threads */
    int error = pthread_create(&thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

JNIEXPORT void JNICALL Java_dev_torpor_ffm_EarlyStart_begin(JNIEnv *env, jclass type, jstring library, jint device) {
    (void)type;
    const char *path = library ? (*env)->GetStringUTFChars(env, library, NULL) : NULL;
    if (!path) return;
    pthread_mutex_lock(&mutex);
    if (!begun) {
        memset(&start, 0, sizeof start);
        start.library = strdup(path);
        start.device = device;
        begun = start.library && launch();
    }
    pthread_mutex_unlock(&mutex);
    (*env)->ReleaseStringUTFChars(env, library, path);
}

/* For the driver, which reads its environment when it is initialised. */
JNIEXPORT void JNICALL Java_dev_torpor_ffm_EarlyStart_set(JNIEnv *env, jclass type, jstring name, jstring value) {
    (void)type;
    const char *key = (*env)->GetStringUTFChars(env, name, NULL);
    const char *text = key ? (*env)->GetStringUTFChars(env, value, NULL) : NULL;
    if (text) setenv(key, text, 1);
    if (text) (*env)->ReleaseStringUTFChars(env, value, text);
    if (key) (*env)->ReleaseStringUTFChars(env, name, key);
}

static void collect(jlong *to) {
    if (begun) pthread_join(thread, NULL);
    else fail(DLOPEN, CUDA_ERROR_NOT_INITIALIZED);
    begun = 0;
    to[0] = start.failed;
    to[1] = start.result;
    for (int i = 0; i < 4; i++) to[2 + i] = start.nanoseconds[i];
    to[6] = start.handle;
    to[7] = (jlong)(intptr_t)start.context;
}

JNIEXPORT jlongArray JNICALL Java_dev_torpor_ffm_EarlyStart_await(JNIEnv *env, jclass type) {
    jlong values[RESULTS];
    (void)type;
    pthread_mutex_lock(&mutex);
    collect(values);
    pthread_mutex_unlock(&mutex);
    jlongArray array = (*env)->NewLongArray(env, RESULTS);
    if (array) (*env)->SetLongArrayRegion(env, array, 0, RESULTS, values);
    return array;
}
