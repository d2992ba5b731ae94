package dev.torpor.jna;

import dev.torpor.contract.DriverContract;
import dev.torpor.driver.DriverProvider;

class JnaDriverTest extends DriverContract {
    @Override
    protected DriverProvider provider() {
        return new JnaProvider();
    }
}
