package dev.torpor.ffm;

import dev.torpor.contract.FailureContract;

class FfmFailureTest extends FailureContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
