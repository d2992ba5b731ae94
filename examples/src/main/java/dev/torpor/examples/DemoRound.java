package dev.torpor.examples;

import com.google.gson.JsonObject;
import dev.torpor.ProcessState;
import dev.torpor.Report;
import dev.torpor.examples.cli.Json;
import java.util.Optional;

/**
 * One suspend and one resume, and what was seen.
 *
 * @param freeBefore free device memory before, if NVML tells
 * @param freeBetween the same while it was suspended
 * @param between the state while it was suspended
 * @param check the target's word about its memory
 */
record DemoRound(
        Report suspend,
        Optional<Long> freeBefore,
        Optional<Long> freeBetween,
        ProcessState between,
        Report resume,
        String check) {

    /** Whether every word of the device memory was as before. */
    boolean verified() {
        return check.startsWith("OK words=");
    }

    /** Whether the device memory really was free; true if nothing tells. */
    boolean freed(long bytes) {
        return freeBefore.isEmpty() || freeBetween.isEmpty() || freeBetween.get() - freeBefore.get() >= bytes;
    }

    boolean good(long bytes) {
        return verified()
                && freed(bytes)
                && between.equals(ProcessState.CHECKPOINTED)
                && resume.end().equals(ProcessState.RUNNING);
    }

    JsonObject json() {
        JsonObject json = new JsonObject();
        json.add("suspend", Json.of(suspend));
        json.add("resume", Json.of(resume));
        freeBefore.ifPresent(bytes -> json.addProperty("freeBytesBefore", bytes));
        freeBetween.ifPresent(bytes -> json.addProperty("freeBytesSuspended", bytes));
        json.addProperty("verified", verified());
        json.addProperty("check", check);
        return json;
    }
}
