package dev.torpor.jna;

import dev.torpor.contract.FailureContract;

class JnaFailureTest extends FailureContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
