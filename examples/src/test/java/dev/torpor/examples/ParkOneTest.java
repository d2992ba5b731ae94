package dev.torpor.examples;

import dev.torpor.contract.Machine;
import dev.torpor.contract.Target;
import org.junit.jupiter.api.Test;

class ParkOneTest {
    @Test
    void theProcessRunsOnAfterTheCommand() throws Exception {
        System.setProperty("torpor.libcuda", Machine.libcuda());
        try (Target target = Target.start("--memory", "8M")) {
            ParkOne.main(new String[] {Integer.toString(target.pid()), "true"});
            target.assertMemoryIntact();
        } finally {
            System.clearProperty("torpor.libcuda");
        }
    }
}
