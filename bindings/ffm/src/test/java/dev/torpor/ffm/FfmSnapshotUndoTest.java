package dev.torpor.ffm;

import dev.torpor.contract.SnapshotUndoContract;

class FfmSnapshotUndoTest extends SnapshotUndoContract {
    @Override
    protected String provider() {
        return "ffm";
    }
}
