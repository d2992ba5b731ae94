package dev.torpor.ffm;

import dev.torpor.contract.SnapshotContract;

class FfmSnapshotTest extends SnapshotContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
