package dev.torpor.ffm;

import dev.torpor.contract.NvmlContract;
import dev.torpor.driver.DriverProvider;

class FfmNvmlTest extends NvmlContract {
    @Override
    protected DriverProvider provider() {
        return new FfmProvider();
    }
}
