package dev.torpor.jna;

import dev.torpor.contract.SnapshotContract;

class JnaSnapshotTest extends SnapshotContract {
    @Override
    protected String provider() {
        return "jna";
    }
}
