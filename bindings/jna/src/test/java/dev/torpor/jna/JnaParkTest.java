package dev.torpor.jna;

import dev.torpor.contract.ParkContract;

class JnaParkTest extends ParkContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
