/** The raw driver calls through {@code java.lang.foreign}. */
module dev.torpor.ffm {
    requires static org.jspecify;
    requires dev.torpor;
    requires dev.torpor.natives;

    provides dev.torpor.driver.DriverProvider with
            dev.torpor.ffm.FfmProvider;
}
