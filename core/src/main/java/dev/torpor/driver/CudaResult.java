package dev.torpor.driver;

/** The values of {@code CUresult} that the library decides by. Any other is reported by number and the driver's own words. */
public final class CudaResult {
    public static final int SUCCESS = 0;
    public static final int INVALID_VALUE = 1;
    public static final int OUT_OF_MEMORY = 2;
    public static final int NOT_INITIALIZED = 3;
    public static final int NO_DEVICE = 100;
    public static final int INVALID_DEVICE = 101;
    public static final int INVALID_CONTEXT = 201;
    public static final int OPERATING_SYSTEM = 304;
    public static final int ILLEGAL_STATE = 401;
    public static final int NOT_FOUND = 500;
    public static final int NOT_READY = 600;
    public static final int NOT_SUPPORTED = 801;
    public static final int SYSTEM_DRIVER_MISMATCH = 803;
    public static final int UNKNOWN = 999;
    public static final int COMPAT_NOT_SUPPORTED_ON_DEVICE = 804;

    private CudaResult() {}
}
