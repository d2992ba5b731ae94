package dev.torpor.jna;

import dev.torpor.contract.NvmlContract;
import dev.torpor.driver.DriverProvider;

class JnaNvmlTest extends NvmlContract {
    @Override
    protected DriverProvider provider() {
        return new JnaProvider();
    }
}
