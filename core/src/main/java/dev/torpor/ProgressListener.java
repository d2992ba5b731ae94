package dev.torpor;

/**
 * Is told how far a transition is: when a step begins, every tenth of a second while it runs, and when it ends. Calls come
 * from different threads, but never two at once. One that throws is logged, and not told again; the transition goes on.
 */
@FunctionalInterface
public interface ProgressListener {
    /** Takes the news; it should return at once. */
    void progress(Progress progress);
}
