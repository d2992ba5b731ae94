package dev.torpor.ffm;

import dev.torpor.contract.LimitsContract;
import dev.torpor.driver.DriverProvider;

class FfmLimitsTest extends LimitsContract {
    @Override
    protected DriverProvider provider() {
        return new FfmProvider();
    }
}
