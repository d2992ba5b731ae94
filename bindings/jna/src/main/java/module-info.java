/** The raw driver calls through JNA. */
module dev.torpor.jna {
    requires static org.jspecify;
    requires dev.torpor;
    requires com.sun.jna;

    provides dev.torpor.driver.DriverProvider with
            dev.torpor.jna.JnaProvider;
}
