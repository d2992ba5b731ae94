package dev.torpor.ffm;

import dev.torpor.contract.DriverContract;
import dev.torpor.driver.DriverProvider;

class FfmDriverTest extends DriverContract {
    @Override
    protected DriverProvider provider() {
        return new FfmProvider();
    }
}
