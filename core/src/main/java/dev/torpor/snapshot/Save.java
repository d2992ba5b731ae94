package dev.torpor.snapshot;

import dev.torpor.Cancellation;
import dev.torpor.Problem;
import dev.torpor.criu.Criu;
import dev.torpor.criu.CriuDump;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Options of {@link Snapshot#save}. Immutable: each method returns a changed copy. */
public final class Save {
    private static final Save DEFAULT =
            new Save(CriuDump.defaults(), null, Duration.ofSeconds(10), true, false, true, false, true, null);

    private final CriuDump dump;
    private final @Nullable Criu criu;
    private final Duration lockTimeout;
    private final boolean parking;
    private final boolean leavesRunning;
    private final boolean checksums;
    private final boolean durable;
    private final boolean checkSharing;
    private final @Nullable Cancellation cancellation;

    private Save(
            CriuDump dump,
            @Nullable Criu criu,
            Duration lockTimeout,
            boolean parking,
            boolean leavesRunning,
            boolean checksums,
            boolean durable,
            boolean checkSharing,
            @Nullable Cancellation cancellation) {
        this.dump = dump;
        this.criu = criu;
        this.lockTimeout = lockTimeout;
        this.parking = parking;
        this.leavesRunning = leavesRunning;
        this.checksums = checksums;
        this.durable = durable;
        this.checkSharing = checkSharing;
        this.cancellation = cancellation;
    }

    /** The processes end, their shim is used where it is there, checksums are made, and nobody waits for the disk. */
    public static Save defaults() {
        return DEFAULT;
    }

    /** The processes go on afterwards as they were before. */
    public Save leaveRunning() {
        return new Save(dump, criu, lockTimeout, parking, true, checksums, durable, checkSharing, cancellation);
    }

    /**
     * What CRIU is told besides.
     *
     * @throws IllegalArgumentException if CRIU is told to leave the processes running: they would sleep on; use {@link #leaveRunning}
     */
    public Save criu(CriuDump options) {
        if (options.leavesRunning()) {
            throw new IllegalArgumentException(
                    "a CRIU that leaves the processes running leaves them suspended: let the save leave them running instead");
        }
        return new Save(
                options, criu, lockTimeout, parking, leavesRunning, checksums, durable, checkSharing, cancellation);
    }

    /** Which CRIU. Default: {@link Criu#find}. */
    public Save with(Criu program) {
        return new Save(
                dump,
                Objects.requireNonNull(program),
                lockTimeout,
                parking,
                leavesRunning,
                checksums,
                durable,
                checkSharing,
                cancellation);
    }

    /** How long to wait for work that is on the GPU already, as {@link dev.torpor.Suspend#lockTimeout(Duration)}. */
    public Save lockTimeout(Duration timeout) {
        return new Save(
                dump,
                criu,
                Objects.requireNonNull(timeout),
                parking,
                leavesRunning,
                checksums,
                durable,
                checkSharing,
                cancellation);
    }

    /** Leaves the shim aside: device memory gets into CRIU's images, by way of the driver's buffer. */
    public Save withoutParking() {
        return new Save(dump, criu, lockTimeout, false, leavesRunning, checksums, durable, checkSharing, cancellation);
    }

    /** Whether to make checksums, which {@link Snapshot#verify} needs: beside CRIU's work for device memory, after it for CRIU's images. */
    public Save checksums(boolean made) {
        return new Save(dump, criu, lockTimeout, parking, leavesRunning, made, durable, checkSharing, cancellation);
    }

    /** Whether to wait until the disk has everything, so that not even a power failure costs the snapshot. Default: no. */
    public Save durable(boolean waits) {
        return new Save(dump, criu, lockTimeout, parking, leavesRunning, checksums, waits, checkSharing, cancellation);
    }

    /** Whether to refuse processes that the driver might not restore, as {@link dev.torpor.Suspend#checkSharing(boolean)}. Default: yes. */
    public Save checkSharing(boolean check) {
        return new Save(dump, criu, lockTimeout, parking, leavesRunning, checksums, durable, check, cancellation);
    }

    /**
     * Lets another thread stop the save: it is undone like one that fails, and the error is {@link Problem#CANCELLED}. Once CRIU has
     * written everything, the save is completed.
     */
    public Save cancelledBy(Cancellation stop) {
        return new Save(
                dump,
                criu,
                lockTimeout,
                parking,
                leavesRunning,
                checksums,
                durable,
                checkSharing,
                Objects.requireNonNull(stop));
    }

    Optional<Cancellation> cancellation() {
        return Optional.ofNullable(cancellation);
    }

    boolean isCancelled() {
        return cancellation != null && cancellation.isRequested();
    }

    CriuDump dump() {
        return leavesRunning ? dump.leaveRunning() : dump;
    }

    Criu program() {
        return Optional.ofNullable(criu).orElseGet(Criu::find);
    }

    Duration lockTimeout() {
        return lockTimeout;
    }

    boolean parking() {
        return parking;
    }

    boolean leavesRunning() {
        return leavesRunning;
    }

    boolean checksums() {
        return checksums;
    }

    boolean checkSharing() {
        return checkSharing;
    }

    boolean durable() {
        return durable;
    }
}
