package dev.torpor.jna;

import dev.torpor.contract.MpsContract;

class JnaMpsTest extends MpsContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
