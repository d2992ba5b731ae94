package dev.torpor.ffm;

import dev.torpor.contract.MemoryGroupContract;

class FfmMemoryGroupTest extends MemoryGroupContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
