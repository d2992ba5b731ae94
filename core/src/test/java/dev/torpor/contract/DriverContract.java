package dev.torpor.contract;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.driver.DriverProvider;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The driver in this process. */
public abstract class DriverContract {
    private static final int INVALID_IMAGE = 200;
    private static final int MULTIPROCESSOR_COUNT = 16;
    private static final int COMPUTE_CAPABILITY_MAJOR = 75;

    private CudaDriver cuda;
    private int device;
    private long context;

    protected abstract DriverProvider provider();

    @BeforeEach
    void makeContextCurrent() {
        int[] ordinal = new int[1];
        long[] retained = new long[1];
        cuda = Machine.cuda(provider());
        ok(cuda.cuDeviceGet(ordinal, 0));
        device = ordinal[0];
        ok(cuda.cuDevicePrimaryCtxRetain(retained, device));
        context = retained[0];
        ok(cuda.cuCtxSetCurrent(context));
    }

    @AfterEach
    void releaseContext() {
        if (context != 0) {
            ok(cuda.cuCtxSetCurrent(0));
            ok(cuda.cuDevicePrimaryCtxRelease_v2(device));
        }
    }

    private static void ok(int result) {
        assertThat(result).isZero();
    }

    private long allocate(long bytes) {
        long[] pointer = new long[1];
        ok(cuda.cuMemAlloc_v2(pointer, bytes));
        return pointer[0];
    }

    @Test
    void initialisesAgain() {
        ok(cuda.cuInit(0));
        assertThat(cuda.cuInit(1)).isEqualTo(CudaResult.INVALID_VALUE);
    }

    @Test
    void versionHasTheCheckpointApi() {
        int[] version = new int[1];
        ok(cuda.cuDriverGetVersion(version));
        assertThat(version[0]).isBetween(12080, 99999);
    }

    @Test
    void devicesAreCountedFromZero() {
        int[] count = new int[1];
        ok(cuda.cuDeviceGetCount(count));
        assertThat(count[0]).isPositive();
        int[] found = {-7};
        ok(cuda.cuDeviceGet(found, count[0] - 1));
        assertThat(found[0]).isNotNegative();
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 99})
    void noSuchDevice(int ordinal) {
        int[] found = {-7};
        assertThat(cuda.cuDeviceGet(found, ordinal)).isEqualTo(CudaResult.INVALID_DEVICE);
        assertThat(found[0]).isEqualTo(-7);
    }

    @Test
    void deviceHasAName() {
        byte[] name = new byte[256];
        ok(cuda.cuDeviceGetName(name, name.length, device));
        assertThat(new String(name, US_ASCII).replaceFirst("\0.*", ""))
                .containsPattern("\\w{3,}")
                .doesNotContain("\0");
        byte[] begin = new byte[256];
        ok(cuda.cuDeviceGetName(begin, 4, device));
        assertThat(begin).startsWith(name[0], name[1], name[2], (byte) 0, (byte) 0);
    }

    @Test
    void deviceHasAUuid() {
        byte[] uuid = new byte[16];
        byte[] again = new byte[16];
        ok(cuda.cuDeviceGetUuid_v2(uuid, device));
        ok(cuda.cuDeviceGetUuid_v2(again, device));
        assertThat(uuid).isEqualTo(again).isNotEqualTo(new byte[16]);
    }

    @Test
    void deviceHasMemory() {
        long[] total = new long[1];
        long[] free = new long[1];
        long[] ofContext = new long[1];
        ok(cuda.cuDeviceTotalMem_v2(total, device));
        ok(cuda.cuMemGetInfo_v2(free, ofContext));
        assertThat(free[0]).isPositive().isLessThan(total[0]);
        assertThat(ofContext[0]).isEqualTo(total[0]);
    }

    @Test
    void deviceHasAttributes() {
        int[] value = {-7};
        ok(cuda.cuDeviceGetAttribute(value, COMPUTE_CAPABILITY_MAJOR, device));
        assertThat(value[0]).isBetween(5, 99);
        ok(cuda.cuDeviceGetAttribute(value, MULTIPROCESSOR_COUNT, device));
        assertThat(value[0]).isPositive();
        value[0] = -7;
        assertThat(cuda.cuDeviceGetAttribute(value, 9999, device)).isEqualTo(CudaResult.INVALID_VALUE);
        assertThat(value[0]).isEqualTo(-7);
    }

    @Test
    void errorsHaveNames() {
        String[] text = new String[1];
        ok(cuda.cuGetErrorName(CudaResult.ILLEGAL_STATE, text));
        assertThat(text[0]).isEqualTo("CUDA_ERROR_ILLEGAL_STATE");
        ok(cuda.cuGetErrorString(CudaResult.OUT_OF_MEMORY, text));
        assertThat(text[0]).isEqualTo("out of memory");
    }

    @Test
    void unknownErrorsHaveNone() {
        String[] text = {"untouched"};
        assertThat(cuda.cuGetErrorName(4242, text)).isEqualTo(CudaResult.INVALID_VALUE);
        assertThat(cuda.cuGetErrorString(4242, text)).isEqualTo(CudaResult.INVALID_VALUE);
        assertThat(text[0]).isEqualTo("untouched");
    }

    @Test
    void primaryContextIsCounted() {
        long[] again = new long[1];
        ok(cuda.cuDevicePrimaryCtxRetain(again, device));
        assertThat(again[0]).isEqualTo(context);
        ok(cuda.cuDevicePrimaryCtxRelease_v2(device));
        assertThat(primaryContextIsActive()).isTrue();
        ok(cuda.cuDevicePrimaryCtxRelease_v2(device));
        context = 0;
        assertThat(primaryContextIsActive()).isFalse();
        assertThat(cuda.cuDevicePrimaryCtxRelease_v2(device)).isEqualTo(CudaResult.INVALID_CONTEXT);
        ok(cuda.cuCtxSetCurrent(0));
    }

    private boolean primaryContextIsActive() {
        int[] flags = {-7};
        int[] active = {-7};
        ok(cuda.cuDevicePrimaryCtxGetState(device, flags, active));
        assertThat(flags[0]).isNotNegative();
        assertThat(active[0]).isBetween(0, 1);
        return active[0] == 1;
    }

    @Test
    void withoutAContextNothingIsAllocated() {
        long[] pointer = {-7};
        ok(cuda.cuCtxSetCurrent(0));
        assertThat(cuda.cuMemAlloc_v2(pointer, 16)).isEqualTo(CudaResult.INVALID_CONTEXT);
        assertThat(cuda.cuMemGetInfo_v2(pointer, pointer)).isEqualTo(CudaResult.INVALID_CONTEXT);
        assertThat(cuda.cuCtxSynchronize()).isEqualTo(CudaResult.INVALID_CONTEXT);
        assertThat(pointer[0]).isEqualTo(-7);
    }

    @Test
    void memoryIsTakenAndGivenBack() {
        long[] before = new long[1];
        long[] during = new long[1];
        long[] after = new long[1];
        long[] total = new long[1];
        ok(cuda.cuMemGetInfo_v2(before, total));
        long memory = allocate(64 << 20);
        ok(cuda.cuMemGetInfo_v2(during, total));
        ok(cuda.cuMemFree_v2(memory));
        ok(cuda.cuMemGetInfo_v2(after, total));
        assertThat(during[0]).isLessThanOrEqualTo(before[0] - (64 << 20));
        assertThat(after[0]).isGreaterThan(during[0]);
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "1125899906842624, 2"})
    void impossibleSizes(long bytes, int result) {
        long[] pointer = {-7};
        assertThat(cuda.cuMemAlloc_v2(pointer, bytes)).isEqualTo(result);
        assertThat(pointer[0]).isEqualTo(-7);
    }

    @Test
    void onlyAllocationsAreFreed() {
        long memory = allocate(1000);
        assertThat(cuda.cuMemFree_v2(0x1234)).isEqualTo(CudaResult.INVALID_VALUE);
        ok(cuda.cuMemFree_v2(memory));
        assertThat(cuda.cuMemFree_v2(memory)).isEqualTo(CudaResult.INVALID_VALUE);
    }

    @ParameterizedTest
    @CsvSource({"1, 0, 0", "7, 3, 1", "4096, 16, 512", "65537, 100, 4095", "3145728, 1, 1048576"})
    void copiesRoundTrip(int bytes, int hostOffset, int deviceOffset) {
        ByteBuffer in = random(hostOffset + bytes + 9);
        ByteBuffer out = ByteBuffer.allocateDirect(hostOffset + bytes + 9);
        long memory = allocate(deviceOffset + bytes);
        long copy = allocate(bytes);
        ok(cuda.cuMemcpyHtoD_v2(memory + deviceOffset, in.position(hostOffset), bytes));
        ok(cuda.cuMemcpyDtoD_v2(copy, memory + deviceOffset, bytes));
        ok(cuda.cuMemcpyDtoH_v2(out.position(hostOffset), copy, bytes));
        assertThat(in.position()).isEqualTo(hostOffset);
        assertThat(out.position()).isEqualTo(hostOffset);
        assertThat(out.slice(hostOffset, bytes)).isEqualTo(in.slice(hostOffset, bytes));
        assertThat(out.slice(hostOffset + bytes, 9)).isEqualTo(ByteBuffer.allocate(9));
        assertThat(out.slice(0, hostOffset)).isEqualTo(ByteBuffer.allocate(hostOffset));
        ok(cuda.cuMemFree_v2(memory));
        ok(cuda.cuMemFree_v2(copy));
    }

    private static ByteBuffer random(int bytes) {
        byte[] content = new byte[bytes];
        new Random(bytes).nextBytes(content);
        return ByteBuffer.allocateDirect(bytes).put(content).rewind();
    }

    @Test
    void copiesUseTheSliceThatTheyAreGiven() {
        ByteBuffer host = random(64);
        long memory = allocate(8);
        ok(cuda.cuMemcpyHtoD_v2(memory, host.slice(24, 16).position(8).asReadOnlyBuffer(), 8));
        ByteBuffer out = ByteBuffer.allocateDirect(8);
        ok(cuda.cuMemcpyDtoH_v2(out, memory, 8));
        assertThat(out).isEqualTo(host.slice(32, 8));
        ok(cuda.cuMemFree_v2(memory));
    }

    @Test
    void fills() {
        ByteBuffer out = ByteBuffer.allocateDirect(16).order(ByteOrder.LITTLE_ENDIAN);
        long memory = allocate(16);
        ok(cuda.cuMemsetD8_v2(memory, (byte) 0xa5, 16));
        ok(cuda.cuMemsetD32_v2(memory + 4, 0xdeadbeef, 2));
        ok(cuda.cuMemcpyDtoH_v2(out, memory, 16));
        assertThat(out.getInt(0)).isEqualTo(0xa5a5a5a5);
        assertThat(out.getInt(4)).isEqualTo(0xdeadbeef);
        assertThat(out.getInt(8)).isEqualTo(0xdeadbeef);
        assertThat(out.getInt(12)).isEqualTo(0xa5a5a5a5);
        ok(cuda.cuMemFree_v2(memory));
    }

    @Test
    void copiesStayWithinAnAllocation() {
        ByteBuffer host = ByteBuffer.allocateDirect(4 << 20);
        long memory = allocate(2 << 20);
        assertThat(cuda.cuMemcpyHtoD_v2(memory, host, (2 << 20) + 1)).isEqualTo(CudaResult.INVALID_VALUE);
        ok(cuda.cuMemcpyHtoD_v2(memory, host, 0));
        ok(cuda.cuMemFree_v2(memory));
        assertThat(cuda.cuMemcpyDtoH_v2(host, memory, 8)).isEqualTo(CudaResult.INVALID_VALUE);
    }

    @Test
    void unfitHostMemoryIsRefusedBeforeTheCall() {
        ByteBuffer fit = ByteBuffer.allocateDirect(8);
        ByteBuffer heap = ByteBuffer.allocate(8);
        assertThatThrownBy(() -> cuda.cuMemcpyHtoD_v2(0, heap, 8)).hasMessageContaining("not direct");
        assertThatThrownBy(() -> cuda.cuMemcpyDtoH_v2(heap, 0, 8)).hasMessageContaining("not direct");
        assertThatThrownBy(() -> cuda.cuMemcpyHtoD_v2(0, fit.position(1), 8)).hasMessageContaining("7 bytes");
        assertThatThrownBy(() -> cuda.cuMemcpyDtoH_v2(fit, 0, -1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> cuda.cuMemcpyDtoH_v2(fit.asReadOnlyBuffer(), 0, 1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("read-only");
    }

    private static String kernels() {
        try {
            return Files.readString(Machine.built("kernels.ptx"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private long loadKernels() {
        long[] module = new long[1];
        ok(cuda.cuModuleLoadData(module, kernels()));
        return module[0];
    }

    private long kernel(long module, String name) {
        long[] function = new long[1];
        ok(cuda.cuModuleGetFunction(function, module, name));
        return function[0];
    }

    @Test
    void kernelsRun() {
        long module = loadKernels();
        long words = 1 << 16;
        long memory = allocate(8 * words);
        long bad = allocate(8);
        ok(cuda.cuMemsetD8_v2(bad, (byte) 0, 8));
        launch(kernel(module, "torpor_fill"), memory, 5, words, 42);
        assertThat(badWords(module, memory, words, bad)).isZero();
        ok(cuda.cuMemsetD8_v2(memory + 800, (byte) 0, 80));
        assertThat(badWords(module, memory, words, bad)).isEqualTo(10);
        ok(cuda.cuMemFree_v2(memory));
        ok(cuda.cuMemFree_v2(bad));
        ok(cuda.cuModuleUnload(module));
    }

    private void launch(long function, long... parameters) {
        ok(cuda.cuLaunchKernel(function, 64, 1, 1, 128, 1, 1, 0, 0, parameters));
    }

    private long badWords(long module, long memory, long words, long bad) {
        ByteBuffer count = ByteBuffer.allocateDirect(8).order(ByteOrder.LITTLE_ENDIAN);
        launch(kernel(module, "torpor_check"), memory, 5, words, 42, bad);
        ok(cuda.cuCtxSynchronize());
        ok(cuda.cuMemcpyDtoH_v2(count, bad, 8));
        return count.getLong(0);
    }

    @Test
    void anImpossibleLaunchIsRefused() {
        long module = loadKernels();
        long spin = kernel(module, "torpor_spin");
        assertThat(cuda.cuLaunchKernel(spin, 1, 1, 1, 4096, 1, 1, 0, 0, new long[] {0}))
                .isEqualTo(CudaResult.INVALID_VALUE);
        ok(cuda.cuModuleUnload(module));
    }

    @Test
    void garbageIsNoModule() {
        long[] module = {-7};
        assertThat(cuda.cuModuleLoadData(module, "no PTX at all")).isEqualTo(INVALID_IMAGE);
        assertThat(module[0]).isEqualTo(-7);
    }

    @Test
    void anUnknownKernelIsNotFound() {
        long[] function = {-7};
        long module = loadKernels();
        assertThat(cuda.cuModuleGetFunction(function, module, "no_such_kernel")).isEqualTo(CudaResult.NOT_FOUND);
        assertThat(function[0]).isEqualTo(-7);
        ok(cuda.cuModuleUnload(module));
    }

    @ParameterizedTest
    @CsvSource({
        "cuNoSuchFunction, 13000, 1",
        "cuMemAlloc_v2, 13000, 1",
        "cuCheckpointProcessLock, 12000, 2",
        "cuCheckpointProcessLock, 13000, 0",
        "cuMemAlloc, 13000, 0"
    })
    void addressesAreFoundByNameAndVersion(String symbol, int version, int status) {
        long[] address = {-7};
        int[] answered = {-7};
        ok(cuda.cuGetProcAddress_v2(symbol, address, version, 0, answered));
        assertThat(answered[0]).isEqualTo(status);
        assertThat(address[0] != 0).isEqualTo(status == 0);
    }
}
