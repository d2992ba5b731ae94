package dev.torpor.examples.bench;

/** What is measured in a round: seconds, where nothing else is said. What a level does not have is left out. */
enum Measure {
    /** From the call that suspends the process to its end. */
    SUSPEND,
    /** Of it, within the shim: park. */
    PARK,
    /** Of it, the program {@code criu}, until the processes have ended. */
    DUMP,
    /** From the call that wakes it to the moment when it runs. */
    TOTAL,
    /** Of it, the program that makes the processes anew: {@code criu}, or the runtime of podman. */
    RUNTIME,
    /** Of that, what CRIU itself tells. */
    CRIU,
    /** Pages of 4 KiB, which CRIU restored: a number. */
    PAGES,
    /** Of the snapshot, besides the files with device memory: bytes. */
    IMAGES,
    /** Within the driver: restore and unlock. */
    DRIVER,
    /** Within the shim: unpark. */
    UNPARK,
    /** Reading the files with device memory beforehand, directly and in parallel, from where the shim reads them. */
    DIRECT_READ,
    /** From the call that wakes it until it has answered, and the answer was right. */
    FIRST_WORD;

    /** As JSON has it. */
    String key() {
        return switch (this) {
            case SUSPEND -> "suspend";
            case PARK -> "park";
            case DUMP -> "dump";
            case TOTAL -> "total";
            case RUNTIME -> "runtimeRestore";
            case CRIU -> "criuRestore";
            case PAGES -> "pages";
            case IMAGES -> "imageBytes";
            case DRIVER -> "driver";
            case UNPARK -> "unpark";
            case DIRECT_READ -> "directRead";
            case FIRST_WORD -> "firstVerifiedWord";
        };
    }
}
