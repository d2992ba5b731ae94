package dev.torpor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.Problem;
import dev.torpor.Shim;
import dev.torpor.ShimOptions;
import dev.torpor.TorporException;
import dev.torpor.criu.Criu;
import dev.torpor.snapshot.Load;
import dev.torpor.snapshot.Save;
import dev.torpor.snapshot.Snapshot;
import dev.torpor.snapshot.SnapshotReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** What tests of snapshots share. */
@NeedsCriu
abstract class SnapshotTests extends TypedContract {
    static final String SIZE = "64M";

    @TempDir
    Path directory;

    Criu criu;

    @BeforeEach
    void findCriu() {
        criu = Programs.criu();
    }

    Path folder() {
        return directory.resolve("a snapshot");
    }

    Map<String, String> shim() {
        Map<String, String> environment = new HashMap<>();
        Shim.extract().preload(environment, ShimOptions.defaults().folder(directory.resolve("run")));
        return environment;
    }

    Detached start(boolean shim) {
        return Detached.start(directory, shim ? shim() : Map.of(), "--memory", SIZE);
    }

    SnapshotReport save(Detached target, Save options) {
        return save(target, options, criu);
    }

    SnapshotReport save(Detached target, Save options, Criu program) {
        return Snapshot.save(cuda, target.root(), folder(), options.with(program));
    }

    SnapshotReport load() {
        return Snapshot.open(folder()).load(cuda, Load.defaults().with(criu));
    }

    TorporException loadFailsWith(Criu program) {
        return failure(
                Problem.TOOL,
                () -> Snapshot.open(folder()).load(cuda, Load.defaults().with(program)));
    }

    TorporException loadFails(Problem problem, Load options) {
        Snapshot snapshot = Snapshot.open(folder());
        TorporException failure = failure(problem, () -> snapshot.load(cuda, options.with(criu)));
        assertThat(failure).hasMessageContaining("Nothing was started");
        return failure;
    }

    /** One that does what a line of shell says in place of a dump or a restore. */
    Criu criuThat(String says) throws IOException {
        Path program = directory.resolve("criu-that-fails");
        String real = "'" + criu.program() + "'";
        Files.writeString(
                program,
                "#!/bin/sh\ncase $1 in --version | check) exec " + real + " \"$@\" ;; esac\n"
                        + says.replace("REAL", real + " \"$@\"") + "\nexit 1\n");
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        return Criu.at(program);
    }
}
