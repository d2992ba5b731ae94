/* The early start, driven through a JNI of three functions. */
#include "harness.h"

#include <dlfcn.h>
#include <jni.h>

static jlong values[8];
static int copies;

static const char *give_text(JNIEnv *env, jstring text, jboolean *copy) { (void)env; (void)copy; copies++; return strdup((const char *)text); }
static void take_text(JNIEnv *env, jstring text, const char *copy) { (void)env; (void)text; copies--; free((char *)(uintptr_t)copy); }
static jlongArray new_array(JNIEnv *env, jsize length) { (void)env; EXPECT_IS(8, length); return (jlongArray)values; }
static void set_array(JNIEnv *env, jlongArray array, jsize from, jsize count, const jlong *at) {
    (void)env;
    EXPECT(array == (jlongArray)values && from == 0 && count == 8);
    memcpy(values, at, sizeof values);
}

static const struct JNINativeInterface_ functions = {
    .GetStringUTFChars = give_text, .ReleaseStringUTFChars = take_text, .NewLongArray = new_array, .SetLongArrayRegion = set_array,
};
static JNIEnv env = &functions;
static void (*begin)(JNIEnv *, jclass, jstring, jint);
static jlongArray (*await)(JNIEnv *, jclass);
static void (*set)(JNIEnv *, jclass, jstring, jstring);

static void load_early(void) {
    void *library = dlopen(output_path("libtorpor_early.so"), RTLD_NOW);
    if (!library) {
        printf("    %s\n", dlerror());
        exit(2);
    }
    begin = (void (*)(JNIEnv *, jclass, jstring, jint))dlsym(library, "Java_dev_torpor_ffm_EarlyStart_begin");
    await = (jlongArray (*)(JNIEnv *, jclass))dlsym(library, "Java_dev_torpor_ffm_EarlyStart_await");
    set = (void (*)(JNIEnv *, jclass, jstring, jstring))dlsym(library, "Java_dev_torpor_ffm_EarlyStart_set");
    EXPECT(begin && await && set);
}

static jstring driver_name(void) { return (jstring)(uintptr_t)getenv("TORPOR_LIBCUDA"); }

/* values: the step that failed, its result, four times in ns, the device, the context */
static void itRetainsTheContextThatOthersThenFind(void) {
    load_early();
    begin(&env, NULL, driver_name(), 0);
    await(&env, NULL);
    EXPECT(values[0] == 0 && values[1] == 0 && values[6] == 0);
    for (int i = 2; i < 6; i++) EXPECT(values[i] > 0);
    EXPECT(use_device(0) == (CUcontext)(intptr_t)values[7]);
    EXPECT_IS(0, copies);
}

static void aNegativeDeviceMeansCuInitAlone(void) {
    int active = 9;
    unsigned flags;
    load_early();
    begin(&env, NULL, driver_name(), -1);
    await(&env, NULL);
    EXPECT(values[0] == 0 && values[7] == 0);
    load_driver();
    OK(cu.cuDevicePrimaryCtxGetState(0, &flags, &active));
    EXPECT_IS(0, active);
}

static void failuresNameTheirStep(void) {
    load_early();
    begin(&env, NULL, (jstring)(uintptr_t)"/no/such/library.so", 0);
    await(&env, NULL);
    EXPECT_IS(1, values[0]);
    begin(&env, NULL, (jstring)(uintptr_t)"libc.so.6", 0);
    await(&env, NULL);
    EXPECT_IS(2, values[0]);
    begin(&env, NULL, driver_name(), 99);
    await(&env, NULL);
    EXPECT(values[0] == 4 && values[1] == CUDA_ERROR_INVALID_DEVICE);
}

static void beginningTwiceBeginsOnce(void) {
    load_early();
    begin(&env, NULL, driver_name(), 0);
    begin(&env, NULL, (jstring)(uintptr_t)"/no/such/library.so", 0);
    await(&env, NULL);
    EXPECT_IS(0, values[0]);
    await(&env, NULL);
    EXPECT(values[0] == 1 && values[1] == CUDA_ERROR_NOT_INITIALIZED); /* nothing was begun */
}

static void aVariableIsSetForTheDriver(void) {
    load_early();
    set(&env, NULL, (jstring)(uintptr_t)"TORPOR_SIM_FAULTS", (jstring)(uintptr_t)"cuInit=999");
    EXPECT(!strcmp(getenv("TORPOR_SIM_FAULTS"), "cuInit=999"));
    EXPECT_IS(0, copies);
    begin(&env, NULL, driver_name(), -1);
    await(&env, NULL);
    EXPECT(values[0] == 3 && values[1] == 999);
}

int main(void) {
    RUN(itRetainsTheContextThatOthersThenFind);
    RUN(aNegativeDeviceMeansCuInitAlone);
    RUN(failuresNameTheirStep);
    RUN(beginningTwiceBeginsOnce);
    RUN(aVariableIsSetForTheDriver);
    return summary();
}
