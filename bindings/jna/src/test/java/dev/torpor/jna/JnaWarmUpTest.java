package dev.torpor.jna;

import dev.torpor.contract.WarmUpContract;

class JnaWarmUpTest extends WarmUpContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
