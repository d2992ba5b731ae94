package dev.torpor.examples.bench;

import dev.torpor.ShimOptions;
import java.util.Locale;
import java.util.Optional;

/** A way to be suspended and woken: with which shim, and beside whom. */
public enum Variant {
    /** The driver alone, and nobody else on the GPU. */
    ALONE("alone", Neighbour.NOBODY, "the driver alone; nobody else is on the GPU"),
    /** The driver alone, while a keeper holds the GPU. */
    KEEPER("keeper", Neighbour.KEEPER, "`torpor keep` holds the GPU"),
    /** The driver alone, beside an MPS daemon that has started no server yet. */
    MPS_FIRST("MPS, first", Neighbour.MPS, "an MPS daemon was just started, and has no server yet"),
    /** The driver alone, beside an MPS server. */
    MPS_WARM("MPS, warm", Neighbour.MPS_SERVER, "an MPS server is there, started by a client that has ended"),
    /** The shim makes the driver's buffer of huge pages, copies from and to it by many threads, and does not park. */
    HUGE(
            "huge pages",
            Neighbour.NOBODY,
            "the shim makes the driver's buffer of huge pages and copies it by many threads, and does not park"),
    /** The shim parks, and leaves the driver's buffer alone. */
    PARKED("parked", Neighbour.NOBODY, "the shim parks, and leaves the driver's buffer to the driver"),
    /** Everything that helps. */
    TOGETHER(
            "all together",
            Neighbour.KEEPER,
            "the shim parks, the driver's buffer is of huge pages and kept, and `torpor keep` holds the GPU");

    private static final long KEPT = 1L << 40; // as much as there is

    /** Who is there besides. The process itself is no client of MPS, as a client cannot be checkpointed. */
    enum Neighbour {
        NOBODY,
        KEEPER,
        MPS,
        MPS_SERVER;

        boolean isMps() {
            return this == MPS || this == MPS_SERVER;
        }
    }

    private final String label;
    private final Neighbour neighbour;
    private final String about;

    Variant(String label, Neighbour neighbour, String about) {
        this.label = label;
        this.neighbour = neighbour;
        this.about = about;
    }

    /** As the command line has it, like {@code mps-first}. */
    public String key() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    String about() {
        return about;
    }

    Neighbour neighbour() {
        return neighbour;
    }

    boolean parks() {
        return this == PARKED || this == TOGETHER;
    }

    /** The shim's settings; empty where the process does not carry it. */
    Optional<ShimOptions> shim() {
        ShimOptions all = ShimOptions.defaults();
        return switch (this) {
            case ALONE, KEEPER, MPS_FIRST, MPS_WARM -> Optional.empty();
            case HUGE -> Optional.of(all.park(false).bufferHuge(true).bufferKeep(0));
            case PARKED -> Optional.of(all.park(true).bufferHuge(false).bufferKeep(0));
            case TOGETHER -> Optional.of(all.park(true).bufferHuge(true).bufferKeep(KEPT));
        };
    }

    /** Like {@code MPS, first}. */
    @Override
    public String toString() {
        return label;
    }
}
