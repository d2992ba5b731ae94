package dev.torpor.ffm;

import dev.torpor.contract.SeveralGpusContract;

class FfmSeveralGpusTest extends SeveralGpusContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
