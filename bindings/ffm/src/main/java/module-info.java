/** The raw driver calls through {@code java.lang.foreign}, and copies from and to memory segments. */
module dev.torpor.ffm {
    requires static org.jspecify;
    requires transitive dev.torpor;
    requires dev.torpor.natives;

    exports dev.torpor.ffm;

    provides dev.torpor.driver.DriverProvider with
            dev.torpor.ffm.FfmProvider;
}
