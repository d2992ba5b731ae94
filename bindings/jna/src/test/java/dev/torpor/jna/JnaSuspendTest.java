package dev.torpor.jna;

import dev.torpor.contract.SuspendContract;

class JnaSuspendTest extends SuspendContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
