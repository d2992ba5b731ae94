package dev.torpor.ffm;

import dev.torpor.contract.WarmUpContract;

class FfmWarmUpTest extends WarmUpContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
