package dev.torpor.jna;

import dev.torpor.contract.ShimContract;

class JnaShimTest extends ShimContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
