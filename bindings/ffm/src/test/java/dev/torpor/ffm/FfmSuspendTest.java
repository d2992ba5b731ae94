package dev.torpor.ffm;

import dev.torpor.contract.SuspendContract;

class FfmSuspendTest extends SuspendContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
