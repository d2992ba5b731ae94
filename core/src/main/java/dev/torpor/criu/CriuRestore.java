package dev.torpor.criu;

import dev.torpor.tools.Arguments;

/** Options of {@link Criu#restore}. */
public final class CriuRestore extends CriuOptions<CriuRestore> {
    private static final CriuRestore DEFAULT = new CriuRestore(Arguments.NONE);

    private CriuRestore(Arguments told) {
        super(told);
    }

    /** Nothing special is in the images, and CRIU has 10 min. */
    public static CriuRestore defaults() {
        return DEFAULT;
    }

    @Override
    CriuRestore with(Arguments changed) {
        return new CriuRestore(changed);
    }

    /** Also where the mode of a file is not what it was ({@code --skip-file-rwx-check}). */
    public CriuRestore skipFileRwxCheck() {
        return with("--skip-file-rwx-check");
    }
}
