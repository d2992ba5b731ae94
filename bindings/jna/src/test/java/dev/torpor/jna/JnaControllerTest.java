package dev.torpor.jna;

import dev.torpor.contract.ControllerContract;

class JnaControllerTest extends ControllerContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
