package dev.torpor.snapshot;

import dev.torpor.Cancellation;
import dev.torpor.DeviceMap;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuRestore;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Options of {@link Snapshot#load}. Immutable: each method returns a changed copy. */
public final class Load {
    private static final Load DEFAULT = new Load(CriuRestore.defaults(), null, DeviceMap.same(), false, true, null);

    private final CriuRestore restore;
    private final @Nullable Criu criu;
    private final DeviceMap deviceMap;
    private final boolean verify;
    private final boolean checkMemory;
    private final @Nullable Cancellation cancellation;

    private Load(
            CriuRestore restore,
            @Nullable Criu criu,
            DeviceMap deviceMap,
            boolean verify,
            boolean checkMemory,
            @Nullable Cancellation cancellation) {
        this.restore = restore;
        this.criu = criu;
        this.deviceMap = deviceMap;
        this.verify = verify;
        this.checkMemory = checkMemory;
        this.cancellation = cancellation;
    }

    /** Onto the GPUs of before, sizes compared but not checksums, room for everything looked for. */
    public static Load defaults() {
        return DEFAULT;
    }

    /** Onto which GPUs. */
    public Load onto(DeviceMap map) {
        return new Load(restore, criu, Objects.requireNonNull(map), verify, checkMemory, cancellation);
    }

    /** What CRIU is told besides. */
    public Load criu(CriuRestore options) {
        return new Load(Objects.requireNonNull(options), criu, deviceMap, verify, checkMemory, cancellation);
    }

    /** Which CRIU. Default: {@link Criu#find}. */
    public Load with(Criu program) {
        return new Load(restore, Objects.requireNonNull(program), deviceMap, verify, checkMemory, cancellation);
    }

    /** Whether to compare all bytes with their checksums first, which reads them twice. */
    public Load verify(boolean all) {
        return new Load(restore, criu, deviceMap, all, checkMemory, cancellation);
    }

    /** Whether to refuse where the host or a GPU has too little memory. */
    public Load checkMemory(boolean check) {
        return new Load(restore, criu, deviceMap, verify, check, cancellation);
    }

    /**
     * Lets another thread stop the load: what was started is killed, and the error is {@link dev.torpor.Problem#CANCELLED}. When the last
     * process runs, the load has succeeded.
     */
    public Load cancelledBy(Cancellation stop) {
        return new Load(restore, criu, deviceMap, verify, checkMemory, Objects.requireNonNull(stop));
    }

    Optional<Cancellation> cancellation() {
        return Optional.ofNullable(cancellation);
    }

    CriuRestore restore() {
        return restore;
    }

    Criu program() {
        return Optional.ofNullable(criu).orElseGet(Criu::find);
    }

    DeviceMap deviceMap() {
        return deviceMap;
    }

    boolean verify() {
        return verify;
    }

    boolean checkMemory() {
        return checkMemory;
    }
}
