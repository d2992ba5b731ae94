package dev.torpor.ffm;

import dev.torpor.contract.ShimContract;

class FfmShimTest extends ShimContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
