package dev.torpor.ffm;

import dev.torpor.contract.CheckpointContract;
import dev.torpor.driver.DriverProvider;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Nested;

class FfmCheckpointTest extends CheckpointContract {
    @Override
    protected DriverProvider provider() {
        return new FfmProvider();
    }

    @Nested
    class FromVirtualThreads extends CheckpointContract {
        @Override
        protected DriverProvider provider() {
            return new FfmProvider();
        }

        @Override
        protected ExecutorService threads() {
            return Executors.newVirtualThreadPerTaskExecutor();
        }
    }
}
