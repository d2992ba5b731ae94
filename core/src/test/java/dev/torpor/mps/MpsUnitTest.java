package dev.torpor.mps;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.torpor.tools.Command;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MpsUnitTest {
    private static final Path PROGRAM = Path.of("/bin/true");

    @TempDir
    private Path folder = Path.of("");

    private static MpsUnit unit(String pipe) {
        return Mps.at(Path.of(pipe), Path.of("/var/log/mps")).program(PROGRAM).unit();
    }

    @Test
    void itStartsAndQuitsTheProgramThatWasFound() {
        assertThat(unit("/run/mps").text().lines())
                .contains(
                        "Type=forking",
                        "PIDFile=/run/mps/nvidia-cuda-mps-control.pid",
                        "User=root",
                        "Environment=CUDA_MPS_PIPE_DIRECTORY=/run/mps",
                        "Environment=CUDA_MPS_LOG_DIRECTORY=/var/log/mps",
                        "ExecStartPre=+/usr/bin/install -d -o root -m 0755 /run/mps /var/log/mps",
                        "ExecStart=/bin/true -d",
                        "ExecStop=/bin/sh -c 'echo quit -t 30 | exec /bin/true'",
                        "WantedBy=multi-user.target");
    }

    @Test
    void aDaemonOfAUserIsThatUsersAlone() {
        assertThat(unit("/run/mps").user("daemon").text().lines())
                .contains("User=daemon", "ExecStartPre=+/usr/bin/install -d -o daemon -m 0700 /run/mps /var/log/mps");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/run/a b", "/run/%h", "/run/$HOME", "/run/'", "/run/\nUser=root"})
    void whatWouldMeanSomethingElseInAUnitIsRefused(String path) {
        assertThatThrownBy(() -> unit(path))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("cannot stand in a unit");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "a b", "-x", "a\nb"})
    void whatIsNoUserIsRefused(String user) {
        assertThatThrownBy(() -> unit("/run/mps").user(user)).isInstanceOf(IllegalArgumentException.class);
    }

    /** What systemd says of a unit's lines; it tells of other units, too, and ends well all the same. */
    private List<String> complaints(String text) throws IOException {
        Optional<Path> analyze = Command.find("systemd-analyze");
        assumeTrue(analyze.isPresent(), "needs systemd-analyze: it is not installed, and would check the unit");
        Path file = folder.resolve("torpor-mps.service");
        Files.writeString(file, text);
        Command.Ended ended = Command.of(List.of(analyze.get().toString(), "verify", "--man=no", file.toString()))
                .run(Duration.ofSeconds(60));
        return ended.errors()
                .lines()
                .filter(line -> line.contains("torpor-mps"))
                .toList();
    }

    @Test
    void systemdUnderstandsEveryLine() throws IOException {
        MpsUnit unit = unit("/run/mps");
        assertThat(complaints(unit.text())).isEmpty();
        assertThat(complaints(unit.user("daemon").text())).isEmpty();
        assertThat(complaints(unit.text().replace("PIDFile", "PidFile"))).hasSize(1);
    }
}
