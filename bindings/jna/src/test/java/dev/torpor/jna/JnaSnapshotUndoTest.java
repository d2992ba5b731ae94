package dev.torpor.jna;

import dev.torpor.contract.SnapshotUndoContract;

class JnaSnapshotUndoTest extends SnapshotUndoContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
