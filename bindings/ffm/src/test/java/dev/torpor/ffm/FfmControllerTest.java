package dev.torpor.ffm;

import dev.torpor.contract.ControllerContract;

class FfmControllerTest extends ControllerContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
