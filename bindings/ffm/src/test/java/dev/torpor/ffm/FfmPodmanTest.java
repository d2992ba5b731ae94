package dev.torpor.ffm;

import dev.torpor.contract.PodmanContract;

class FfmPodmanTest extends PodmanContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
