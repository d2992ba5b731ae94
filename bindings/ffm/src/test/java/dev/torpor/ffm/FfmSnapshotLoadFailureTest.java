package dev.torpor.ffm;

import dev.torpor.contract.SnapshotLoadFailureContract;

class FfmSnapshotLoadFailureTest extends SnapshotLoadFailureContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
