package dev.torpor;

import dev.torpor.ShimTrouble.Kind;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/** What one transition says to the shim of its process. Each command has a connection of its own, so that a lost answer can be asked for. */
final class ShimTalk {
    private static final Duration POLL = Duration.ofMillis(20);

    private final Preflight preflight;
    private final Plan plan;

    /** No other transition has it, so that what this one has parked is told from what another controller has. */
    private final String name = ProcessHandle.current().pid() + "-"
            + Long.toUnsignedString(ThreadLocalRandom.current().nextLong(), Character.MAX_RADIX);

    private boolean takesNames;
    private boolean parked;
    private long nanos;

    ShimTalk(Preflight preflight, Plan plan) {
        this.preflight = preflight;
        this.plan = plan;
    }

    /** Time within questions, in nanoseconds. */
    long nanos() {
        return nanos;
    }

    /** Whether the shim tells what this transition has parked from what another has. */
    boolean tellsWhoParked() {
        return takesNames;
    }

    ShimAnswer status() throws ShimTrouble {
        return status(ShimControl.patience(plan.stepTimeout()));
    }

    private ShimAnswer status(Duration patience) throws ShimTrouble {
        long before = System.nanoTime();
        try {
            ShimAnswer answer = preflight.shim().exchange("status", Optional.of(patience));
            takesNames |= answer.values().containsKey("parked_by"); // a shim of an earlier version refuses names
            return answer;
        } finally {
            nanos += System.nanoTime() - before;
        }
    }

    ShimAnswer park(Optional<Duration> limit) throws ShimTrouble {
        parked = true;
        return preflight.shim().exchange(ShimControl.parkCommand(plan.down(), takesNames ? name : null), limit);
    }

    ShimAnswer unpark(Optional<Duration> limit) throws ShimTrouble {
        return preflight.shim().exchange(ShimControl.unparkCommand(plan.up(), null), limit);
    }

    /** Unparks what this transition has parked, and nothing else where the shim can tell. */
    ShimAnswer undoPark(Optional<Duration> limit) throws ShimTrouble {
        return preflight.shim().exchange(ShimControl.unparkCommand(Resume.defaults(), takesNames ? name : null), limit);
    }

    /** Whether the shim says that the process is parked, and not by this transition. */
    boolean isParkedByAnother() {
        if (!takesNames) {
            return false;
        }
        try {
            ShimAnswer answer = status();
            return answer.ok()
                    && ProcessState.PARKED.toString().equals(answer.values().get("state"))
                    && !name.equals(answer.values().get("parked_by"));
        } catch (ShimTrouble e) {
            return false; // it does not tell
        }
    }

    /** What the shim says at once; unknown if it says nothing, or that the process rests: what it was told may come later. */
    ProcessState stateNow() {
        try {
            ProcessState state =
                    preflight.shim().status(status(ShimControl.AT_ONCE)).state();
            return state.equals(ProcessState.PARKING) || state.equals(ProcessState.UNPARKING)
                    ? state
                    : ProcessState.UNKNOWN;
        } catch (ShimTrouble | TorporException e) {
            return ProcessState.UNKNOWN;
        }
    }

    /** The state between two commands. */
    record Settled(ProcessState state, boolean mine) {
        static final Settled UNKNOWN = new Settled(ProcessState.UNKNOWN, false);
    }

    /**
     * Waits until no command is under way in the shim, and asks by new connections: the answer to a command may be lost while the command
     * goes on. An interrupt is kept for later.
     *
     * @return with {@link ProcessState#UNKNOWN} if that takes longer than the limit, or the shim does not tell
     */
    Settled settled(Duration limit) {
        long deadline = System.nanoTime() + limit.toNanos();
        while (preflight.alive()) {
            Duration left = Duration.ofNanos(deadline - System.nanoTime());
            if (left.isNegative() || left.isZero()) {
                break;
            }
            try {
                Settled settled = settled(status(ShimControl.patience(Optional.of(left))));
                if (settled != null) {
                    return settled;
                }
            } catch (ShimTrouble e) {
                if (e.kind() == Kind.ABSENT || e.kind() == Kind.DENIED) {
                    break;
                }
            } catch (TorporException e) {
                break; // it does not tell
            }
            Uninterrupted.sleep(POLL);
        }
        return Settled.UNKNOWN;
    }

    /** Null while a command is under way or waits. */
    private @Nullable Settled settled(ShimAnswer answer) {
        if (!answer.ok()) {
            return Settled.UNKNOWN;
        }
        OptionalLong pending = answer.number("pending_commands"); // a shim without it answers when they are done
        ProcessState state = preflight.shim().status(answer).state();
        boolean rests = state.equals(ProcessState.RUNNING) || state.equals(ProcessState.PARKED);
        if (!rests || pending.orElse(0) > 0) {
            return null;
        }
        boolean mine = takesNames ? name.equals(answer.values().get("parked_by")) : parked;
        return new Settled(state, mine && state.equals(ProcessState.PARKED));
    }
}
