package dev.torpor;

import dev.torpor.driver.CudaDriver;
import dev.torpor.driver.CudaResult;
import dev.torpor.driver.EarlyInitialization;
import dev.torpor.driver.NativeEnvironment;
import dev.torpor.driver.Nvml;
import dev.torpor.tools.ProcFs;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * The CUDA driver, opened: where devices, contexts and processes come from. Opening loads the library and no more; CUDA is
 * initialised in this process when a device or a context is first asked for, which suspending and resuming do not need.
 * Thread-safe.
 */
public final class Cuda implements AutoCloseable {
    private static final int CHECKPOINT_VERSION = 12080;
    private static final int COMPUTE_CAPABILITY_MAJOR = 75; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
    private static final int COMPUTE_CAPABILITY_MINOR = 76;
    private static final int NAME_BYTES = 256;
    private static final int UUID_BYTES = 16;

    private final CudaOptions options;
    private final Drivers.Opened opened;
    private final CudaDriver driver;
    private final DriverCalls calls;
    private volatile Duration lateLimit = Timeouts.LATE;
    private final Object initializing = new Object();
    private @Nullable EarlyInitialization early;
    private EarlyInitialization.@Nullable Outcome earlyOutcome;
    private long earlyContext;
    private boolean initialized;
    private boolean environmentSet;
    private boolean nvmlTried;
    private @Nullable DeviceMemory deviceMemory;
    private @Nullable CopyEngine copies;
    private @Nullable Boolean simulated;
    private volatile boolean closed;

    Cuda(CudaOptions options, Drivers.Opened opened) {
        this.options = options;
        this.opened = opened;
        this.driver = opened.driver();
        this.calls = DriverCalls.of(opened.library());
        this.early = opened.early();
    }

    /**
     * Opens the driver as system properties and environment say.
     *
     * @throws TorporException {@link Problem#NO_DRIVER}, with the reason of each provider
     */
    public static Cuda open() {
        return open(CudaOptions.defaults());
    }

    /**
     * Opens the driver.
     *
     * @throws TorporException {@link Problem#NO_DRIVER}, with the reason of each provider
     */
    public static Cuda open(CudaOptions options) {
        return new Cuda(options, Drivers.open(options));
    }

    /** The name of the provider that makes the calls: {@code ffm} or {@code jna}. */
    public String provider() {
        return opened.provider().name();
    }

    /** The library behind it, as it was given to the loader. */
    public String library() {
        return opened.library();
    }

    /** The raw calls. */
    public CudaDriver driver() {
        if (closed) {
            throw new TorporException(Problem.CLOSED, "This Cuda has been closed: open another.");
        }
        return driver;
    }

    /** How long a transition waits for the end of a step that was given up, so that it can be undone. */
    Duration lateLimit() {
        return lateLimit;
    }

    /** For tests, which have no time. */
    Cuda lateLimit(Duration limit) {
        lateLimit = limit;
        return this;
    }

    /** Calls about processes, with limits. */
    DriverCalls calls() {
        return calls;
    }

    /** Whether the driver is Torpor's simulator, which no GPU stands behind. */
    public boolean simulated() {
        synchronized (initializing) {
            if (simulated == null) {
                int[] status = new int[1];
                int result = driver().cuGetProcAddress_v2(
                                "torporSimulatorVersion", new long[1], CudaDriver.CUDA_VERSION, 0, status);
                simulated = result == CudaResult.SUCCESS && status[0] == 0;
            }
            return simulated;
        }
    }

    /** The CUDA version of the driver: 1000 * major + 10 * minor (cuDriverGetVersion). */
    public int driverVersion() {
        int[] version = new int[1];
        Calls.check(driver(), driver.cuDriverGetVersion(version), "cuDriverGetVersion");
        return version[0];
    }

    /**
     * The GPUs that the driver shows to this process. Initialises CUDA.
     *
     * @throws TorporException {@link Problem#NO_SUCH_DEVICE} if there are none, {@link Problem#DRIVER} if a call fails
     */
    public List<GpuDevice> devices() {
        initialize();
        int[] count = new int[1];
        Calls.check(driver, driver.cuDeviceGetCount(count), "cuDeviceGetCount");
        List<GpuDevice> devices = new ArrayList<>();
        for (int ordinal = 0; ordinal < count[0]; ordinal++) {
            devices.add(describe(ordinal));
        }
        return devices;
    }

    private GpuDevice describe(int ordinal) {
        int device = deviceOf(ordinal);
        byte[] name = new byte[NAME_BYTES];
        byte[] uuid = new byte[UUID_BYTES];
        long[] bytes = new long[1];
        Calls.check(driver, driver.cuDeviceGetName(name, name.length, device), "cuDeviceGetName(" + ordinal + ")");
        Calls.check(driver, driver.cuDeviceGetUuid_v2(uuid, device), "cuDeviceGetUuid(" + ordinal + ")");
        Calls.check(driver, driver.cuDeviceTotalMem_v2(bytes, device), "cuDeviceTotalMem(" + ordinal + ")");
        int capability = 10 * attribute(COMPUTE_CAPABILITY_MAJOR, device) + attribute(COMPUTE_CAPABILITY_MINOR, device);
        String text = new String(name, StandardCharsets.UTF_8);
        int end = text.indexOf('\0');
        return new GpuDevice(ordinal, GpuUuid.of(uuid), end < 0 ? text : text.substring(0, end), bytes[0], capability);
    }

    private int attribute(int attribute, int device) {
        int[] value = new int[1];
        Calls.check(
                driver,
                driver.cuDeviceGetAttribute(value, attribute, device),
                "cuDeviceGetAttribute(" + attribute + ")");
        return value[0];
    }

    int deviceOf(int ordinal) {
        int[] device = new int[1];
        Calls.check(driver, driver.cuDeviceGet(device, ordinal), "cuDeviceGet(" + ordinal + ")");
        return device[0];
    }

    /**
     * Free memory of a GPU in bytes, as NVML tells; no context is made for it.
     *
     * @return empty without NVML
     */
    public Optional<Long> freeBytes(GpuUuid device) {
        DeviceMemory memory = deviceMemory();
        OptionalLong free = memory == null ? OptionalLong.empty() : memory.free(device);
        return free.isPresent() ? Optional.of(free.getAsLong()) : Optional.empty();
    }

    /** Whether every GPU stays initialised without a client (persistence mode); empty without NVML. */
    public Optional<Boolean> persistent() {
        DeviceMemory memory = deviceMemory();
        return memory == null ? Optional.empty() : Optional.of(memory.persistent());
    }

    /**
     * Initialises CUDA in this process (cuInit); done once, by whoever asks first. The process does not become a client of a
     * Multi-Process Service, unless {@link CudaOptions#mpsClient} allows it.
     *
     * @throws TorporException {@link Problem#NO_SUCH_DEVICE} or {@link Problem#DRIVER} if it fails; it may be tried again
     */
    public void initialize() {
        CudaDriver calls = driver();
        synchronized (initializing) {
            awaitEarly();
            if (!initialized) {
                setEnvironment();
                Calls.checkInit(calls, calls.cuInit(0));
                initialized = true;
            }
        }
    }

    /** What the driver looks at when it is initialised; a native thread that does this has set it. */
    void setEnvironment() {
        synchronized (initializing) {
            if (!environmentSet && early == null) {
                for (Map.Entry<String, String> variable : options.environment().entrySet()) {
                    NativeEnvironment.set(opened.provider(), variable.getKey(), variable.getValue());
                }
                environmentSet = true;
            }
        }
    }

    /** A failure on the native thread shows again, with its words, when the call is made here. */
    private void awaitEarly() {
        EarlyInitialization running = early;
        if (running != null) {
            early = null;
            EarlyInitialization.Outcome outcome = running.await();
            earlyOutcome = outcome;
            earlyContext = outcome.context();
            initialized = outcome.initNanos() > 0 && !outcome.failedCall().equals("cuInit");
        }
    }

    /**
     * Retains the primary context of a device (cuDevicePrimaryCtxRetain), which takes about 0.1 s on a GPU if this process has
     * none yet. Initialises CUDA.
     *
     * @throws TorporException {@link Problem#NO_SUCH_DEVICE}, or {@link Problem#DRIVER} if a call fails
     */
    public PrimaryContext context(int ordinal) {
        initialize();
        PrimaryContext early = claimEarly(ordinal);
        return early == null ? retain(deviceOf(ordinal)) : early;
    }

    /** The context that was retained on the native thread, once. */
    @Nullable
    PrimaryContext claimEarly(int ordinal) {
        synchronized (initializing) {
            EarlyInitialization.Outcome outcome = earlyOutcome;
            if (outcome == null || earlyContext == 0 || options.earlyDevice() != ordinal) {
                return null;
            }
            PrimaryContext context = new PrimaryContext(driver, outcome.device(), earlyContext, this::endCopies);
            earlyContext = 0;
            return context;
        }
    }

    PrimaryContext retain(int device) {
        long[] context = new long[1];
        Calls.check(
                driver, driver.cuDevicePrimaryCtxRetain(context, device), "cuDevicePrimaryCtxRetain(" + device + ")");
        return new PrimaryContext(driver, device, context[0], this::endCopies);
    }

    /** What the copies hold in a context must not outlive it, and the shim does not see its end unless it is preloaded. */
    private void endCopies(long context) {
        CopyEngine engine;
        synchronized (initializing) {
            engine = copies;
        }
        if (engine != null) {
            engine.end(context);
        }
    }

    /**
     * Goes through everything that a first use of the GPU costs, times each phase, and lets the context go again.
     *
     * @throws TorporException as {@link #context}
     */
    public WarmUpReport warmUp(int ordinal) {
        try (Keeper keeper = keep(ordinal)) {
            return keeper.report();
        }
    }

    /**
     * As {@link #warmUp}, and keeps the GPU initialised until the keeper is closed.
     *
     * @throws TorporException as {@link #context}
     */
    public Keeper keep(int ordinal) {
        return new WarmUp(this, opened.loadNanos()).run(ordinal);
    }

    EarlyInitialization.@Nullable Outcome earlyOutcome() {
        synchronized (initializing) {
            return earlyOutcome;
        }
    }

    /**
     * Copies by many streams in this process. Loads the shim for it, and does not initialise CUDA.
     *
     * @throws TorporException {@link Problem#NO_SHIM}
     */
    public CopyEngine copies() {
        driver();
        synchronized (initializing) {
            if (copies == null) {
                copies = CopyEngine.open(this, opened.provider());
            }
            return copies;
        }
    }

    /**
     * A process to suspend or resume. It need not have initialised CUDA yet.
     *
     * @param pid of the process itself, not of one of its threads
     * @throws TorporException {@link Problem#NO_SUCH_PROCESS}; {@link Problem#DRIVER_TOO_OLD} before CUDA 12.8 (driver 570)
     */
    public GpuProcess process(long pid) {
        requireVersion(CHECKPOINT_VERSION, "the checkpoint API", 570);
        return GpuProcess.open(this, new ProcFs(), pid);
    }

    void requireVersion(int needed, String what, int release) {
        int version = driverVersion();
        if (version < needed) {
            throw new TorporException(
                    Problem.DRIVER_TOO_OLD,
                    "The driver is for CUDA " + text(version) + ", and " + what + " came with CUDA " + text(needed)
                            + ": install driver " + release + " or later.");
        }
    }

    private static String text(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    /** As {@link #process(long)}. */
    public GpuProcess process(ProcessHandle process) {
        return process(process.pid());
    }

    /**
     * Every process on the host that has initialised CUDA with this driver, suspended ones among them. Found by asking the driver
     * for the restore thread of each process, so that no privilege is needed.
     */
    public List<ProcessInfo> processes() {
        return new ProcessScan(this).run();
    }

    /** Null without NVML. */
    @Nullable
    DeviceMemory deviceMemory() {
        synchronized (initializing) {
            driver(); // none is opened behind close()
            if (!nvmlTried) {
                nvmlTried = true;
                Nvml nvml = Drivers.openNvml(opened.provider(), opened.library(), options);
                deviceMemory = nvml == null ? null : DeviceMemory.open(nvml);
            }
            return deviceMemory;
        }
    }

    /** Gives back what was opened here; the library stays loaded, and contexts stay until they are closed themselves. */
    @Override
    public void close() {
        synchronized (initializing) {
            if (closed) {
                return;
            }
            closed = true;
            try {
                releaseEarly();
            } finally {
                if (deviceMemory != null) {
                    deviceMemory.close();
                    deviceMemory = null;
                }
            }
        }
    }

    /** Lets go of the context that was retained on the native thread, unless {@link #context} has given it to the caller. */
    private void releaseEarly() {
        awaitEarly();
        if (earlyContext != 0 && earlyOutcome != null) {
            earlyContext = 0;
            driver.cuDevicePrimaryCtxRelease_v2(earlyOutcome.device());
        }
    }

    /** Like {@code libcuda.so.1 through ffm}. */
    @Override
    public String toString() {
        return opened.library() + " through " + provider();
    }
}
