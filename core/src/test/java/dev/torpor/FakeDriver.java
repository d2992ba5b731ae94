package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.LoadedLibrary;
import dev.torpor.driver.Nvml;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A driver with one target, this process unless a test says otherwise: follows the driver's rules, and fails where a test says. */
final class FakeDriver {
    static final GpuUuid GPU = GpuUuid.parse("GPU-00000000-0000-0000-0000-000000000001");

    final long pid;
    final List<String> calls = new CopyOnWriteArrayList<>();
    volatile ProcessState state = ProcessState.RUNNING;
    int version = 13000;
    long held = 1 << 20;
    long free = 1L << 40;
    boolean mpsClient;
    int persistence = 1;
    Duration lateLimit = Duration.ofMillis(300);

    private static final AtomicInteger COUNT = new AtomicInteger();

    private final String library = "fake-" + COUNT.incrementAndGet(); // calls that hang are no other test's
    private final Map<String, Fault> faults = new HashMap<>();
    private final Map<String, Thrown> throwing = new HashMap<>();

    private record Thrown(Throwable thrown, boolean after) {}

    /** Is told of each function before it is carried out. */
    volatile Consumer<String> before = function -> {};

    private String hanging = "";
    private CountDownLatch released = new CountDownLatch(0);

    FakeDriver() {
        this(ProcessHandle.current().pid());
    }

    FakeDriver(long pid) {
        this.pid = pid;
        System.setProperty(RestoreRecords.PROPERTY, records().toString());
    }

    /** A directory of its own, so that no driver's process has another one's records. */
    private static Path records() {
        try {
            Path directory = Files.createTempDirectory("torpor-records-");
            directory.toFile().deleteOnExit();
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Answers instead of doing, or after having done. */
    record Fault(int result, boolean after) {}

    void fail(String function, int result) {
        faults.put(function, new Fault(result, false));
    }

    void failAfter(String function, int result) {
        faults.put(function, new Fault(result, true));
    }

    /** The function throws, as a binding that fails in Java does; after it has done its work, or instead. */
    void fail(String function, Throwable thrown, boolean after) {
        throwing.put(function, new Thrown(thrown, after));
    }

    void heal() {
        faults.clear();
        throwing.clear();
    }

    /** The function does not return before the latch is open. */
    void hang(String function, CountDownLatch until) {
        hanging = function;
        released = until;
    }

    Cuda cuda() {
        CudaOptions options = CudaOptions.defaults().mpsClient(true); // it reads no environment
        return new Cuda(options, new Drivers.Opened(new Provider(), library, driver(), null, 0)).lateLimit(lateLimit);
    }

    /** How many calls have been given up and not returned. */
    int givenUp() {
        return DriverCalls.of(library).givenUp();
    }

    GpuProcess process() {
        return cuda().process(pid);
    }

    /** With what another place than /proc tells of it. */
    GpuProcess process(ProcFs proc) {
        return GpuProcess.open(cuda(), proc, pid);
    }

    CudaDriver driver() {
        return (CudaDriver) Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {CudaDriver.class},
                (proxy, method, args) -> answer(method.getName(), args));
    }

    private int answer(String function, Object[] args) throws Throwable {
        calls.add(function);
        before.accept(function);
        if (function.equals(hanging)) {
            released.await();
        }
        Thrown thrown = throwing.get(function);
        if (thrown != null) {
            if (thrown.after) {
                act(function, args);
            }
            throw thrown.thrown;
        }
        Fault fault = faults.get(function);
        if (fault != null && !fault.after) {
            return fault.result;
        }
        int result = act(function, args);
        return fault != null && result == CudaResult.SUCCESS ? fault.result : result;
    }

    private int act(String function, Object[] args) {
        switch (function) {
            case "cuDriverGetVersion" -> ((int[]) args[0])[0] = version;
            case "cuGetProcAddress_v2" -> ((int[]) args[4])[0] = 1;
            case "cuGetErrorName" -> ((String[]) args[1])[0] = "CUDA_ERROR_" + args[0];
            case "cuGetErrorString" -> ((String[]) args[1])[0] = "words for " + args[0];
            case "cuCheckpointProcessGetState" -> ((int[]) args[1])[0] = state.code();
            case "cuDevicePrimaryCtxRetain" -> ((long[]) args[0])[0] = 0xC0DE;
            default -> {
                for (Step step : Step.values()) {
                    if (step.function().equals(function)) {
                        return move(step);
                    }
                }
            }
        }
        return CudaResult.SUCCESS;
    }

    private int move(Step step) {
        if (!state.equals(step.from())) {
            return CudaResult.ILLEGAL_STATE;
        }
        state = step.to();
        return CudaResult.SUCCESS;
    }

    private final class Provider implements DriverProvider {
        @Override
        public String name() {
            return "fake";
        }

        @Override
        public int priority() {
            return 0;
        }

        @Override
        public LoadedLibrary open(String library) {
            throw new UnsatisfiedLinkError(library + " does not load");
        }

        @Override
        public CudaDriver openCuda(String library) {
            return driver();
        }

        @Override
        public Nvml openNvml(String library) {
            return (Nvml) Proxy.newProxyInstance(
                    getClass().getClassLoader(),
                    new Class<?>[] {Nvml.class},
                    (proxy, method, args) -> nvml(method.getName(), args));
        }
    }

    private Object nvml(String function, Object @Nullable [] args) {
        if (args == null) {
            return Nvml.SUCCESS;
        }
        switch (function) {
            case "nvmlDeviceGetCount_v2" -> ((int[]) args[0])[0] = 1;
            case "nvmlDeviceGetUUID" -> {
                byte[] text = GPU.toString().getBytes(StandardCharsets.US_ASCII);
                System.arraycopy(text, 0, (byte[]) args[1], 0, text.length);
            }
            case "nvmlDeviceGetMemoryInfo" -> ((long[]) args[1])[1] = free;
            case "nvmlDeviceGetPersistenceMode" -> ((int[]) args[1])[0] = persistence;
            case "nvmlDeviceGetComputeRunningProcesses_v3" ->
                list(args, !state.equals(ProcessState.CHECKPOINTED) && held > 0);
            case "nvmlDeviceGetMPSComputeRunningProcesses_v3" -> list(args, mpsClient);
            default -> {}
        }
        return Nvml.SUCCESS;
    }

    private void list(Object[] args, boolean listed) {
        ((int[]) args[1])[0] = listed ? 1 : 0;
        ((int[]) args[2])[0] = (int) pid;
        ((long[]) args[3])[0] = held;
    }
}
