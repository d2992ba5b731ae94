package dev.torpor.jna;

import dev.torpor.contract.SnapshotLoadFailureContract;

class JnaSnapshotLoadFailureTest extends SnapshotLoadFailureContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
