package dev.torpor.jna;

import dev.torpor.contract.LimitsContract;
import dev.torpor.driver.DriverProvider;

class JnaLimitsTest extends LimitsContract {
    @Override
    protected DriverProvider provider() {
        return new JnaProvider();
    }
}
