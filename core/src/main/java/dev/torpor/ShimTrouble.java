package dev.torpor;

/** A conversation with a shim that came to no answer; what the shim refuses is an answer. */
final class ShimTrouble extends Exception {
    private static final long serialVersionUID = 1;

    /** How far it came. */
    enum Kind {
        /** Nobody was there to be asked, so that nothing was done. */
        ABSENT,
        /** No answer came in time; what was asked for may still be done. */
        SILENT,
        /** The conversation ended early, or the answer makes no sense; what was asked for may have been done. */
        BROKEN,
        /** It belongs to another user. */
        DENIED
    }

    private final Kind kind;

    /** @param reason without a stop, to be put into a sentence */
    ShimTrouble(Kind kind, String reason) {
        super(reason, null, false, false);
        this.kind = kind;
    }

    Kind kind() {
        return kind;
    }

    String reason() {
        return String.valueOf(getMessage());
    }
}
