package dev.torpor.jna;

import dev.torpor.contract.MemoryGroupContract;

class JnaMemoryGroupTest extends MemoryGroupContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
