package dev.torpor.jna;

import dev.torpor.contract.SeveralGpusContract;

class JnaSeveralGpusTest extends SeveralGpusContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
