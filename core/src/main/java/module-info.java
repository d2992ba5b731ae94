/**
 * Suspends GPU processes and resumes them: the typed API, its rules and its reports. Needs one binding at run time,
 * {@code dev.torpor.ffm} or {@code dev.torpor.jna}.
 */
module dev.torpor {
    requires com.google.gson;
    requires static transitive org.jspecify;
    requires dev.torpor.natives;

    exports dev.torpor;
    exports dev.torpor.criu;
    exports dev.torpor.driver;
    exports dev.torpor.mps;
    exports dev.torpor.podman;
    exports dev.torpor.snapshot;

    opens dev.torpor.snapshot to
            com.google.gson;

    uses dev.torpor.driver.DriverProvider;
}
