package dev.torpor.examples.cli;

import dev.torpor.GpuProcess;
import dev.torpor.Suspend;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What can be said of any way to put a process to sleep. */
final class SuspendOptions {
    @Mixin
    private final LockTimeout lockTimeout = new LockTimeout();

    @Mixin
    private final ArenaOption arena = new ArenaOption();

    @Mixin
    private final StepTimeout stepTimeout = new StepTimeout();

    @Mixin
    private final MemoryCheck memoryCheck = new MemoryCheck();

    @Option(
            names = "--no-sharing-check",
            description = "Suspend it although it holds memory of another process: the driver may never restore it.")
    private boolean noSharingCheck;

    /** The options of one process. */
    Suspend on(Suspend options, GpuProcess process, boolean several) {
        return arena.on(options, process, several);
    }

    void prepare(GpuProcess process, boolean several) {
        arena.prepare(process, several);
    }

    void unchanged(GpuProcess process, boolean several) {
        arena.unchanged(process, several);
    }

    /** The options of all processes. */
    Suspend on(Suspend options, CommandLine line) {
        return arena.on(memoryCheck.on(stepTimeout.on(lockTimeout.on(options.checkSharing(!noSharingCheck)))), line);
    }
}
