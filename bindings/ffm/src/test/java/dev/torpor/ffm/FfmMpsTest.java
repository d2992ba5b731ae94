package dev.torpor.ffm;

import dev.torpor.contract.MpsContract;

class FfmMpsTest extends MpsContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
