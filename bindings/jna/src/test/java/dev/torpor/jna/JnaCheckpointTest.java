package dev.torpor.jna;

import dev.torpor.contract.CheckpointContract;
import dev.torpor.driver.DriverProvider;

class JnaCheckpointTest extends CheckpointContract {
    @Override
    protected DriverProvider provider() {
        return new JnaProvider();
    }
}
