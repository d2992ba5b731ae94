package dev.torpor.ffm;

import dev.torpor.contract.ParkContract;

class FfmParkTest extends ParkContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
