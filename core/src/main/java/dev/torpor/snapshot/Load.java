package dev.torpor.snapshot;

import dev.torpor.DeviceMap;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuRestore;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Options of {@link Snapshot#load}. Immutable: each method returns a changed copy. */
public final class Load {
    private static final Load DEFAULT = new Load(CriuRestore.defaults(), null, DeviceMap.same(), false, true);

    private final CriuRestore restore;
    private final @Nullable Criu criu;
    private final DeviceMap deviceMap;
    private final boolean verify;
    private final boolean checkMemory;

    private Load(CriuRestore restore, @Nullable Criu criu, DeviceMap deviceMap, boolean verify, boolean checkMemory) {
        this.restore = restore;
        this.criu = criu;
        this.deviceMap = deviceMap;
        this.verify = verify;
        this.checkMemory = checkMemory;
    }

    /** Onto the GPUs of before, sizes compared but not checksums, room for everything looked for. */
    public static Load defaults() {
        return DEFAULT;
    }

    /** Onto which GPUs. */
    public Load onto(DeviceMap map) {
        return new Load(restore, criu, Objects.requireNonNull(map), verify, checkMemory);
    }

    /** What CRIU is told besides. */
    public Load criu(CriuRestore options) {
        return new Load(Objects.requireNonNull(options), criu, deviceMap, verify, checkMemory);
    }

    /** Which CRIU. Default: {@link Criu#find}. */
    public Load with(Criu program) {
        return new Load(restore, Objects.requireNonNull(program), deviceMap, verify, checkMemory);
    }

    /** Whether to compare all bytes with their checksums first, which reads them twice. */
    public Load verify(boolean all) {
        return new Load(restore, criu, deviceMap, all, checkMemory);
    }

    /** Whether to refuse where the host or a GPU has too little memory. */
    public Load checkMemory(boolean check) {
        return new Load(restore, criu, deviceMap, verify, check);
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
