package dev.torpor.mps;

import java.nio.file.Path;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A systemd unit (systemd.service(5)) that runs a control daemon: {@code forking}, since the daemon forks, and known by the file with
 * its process id. What is hardened leaves alone what clients and servers share: {@code /tmp}, {@code /dev}, and the view of processes.
 * Immutable and thread-safe.
 */
public final class MpsUnit {
    private static final Pattern PLAIN_PATH = Pattern.compile("/[A-Za-z0-9/._+@:,-]*");
    private static final Pattern USER = Pattern.compile("[A-Za-z_][A-Za-z0-9_-]{0,30}");
    private static final int SECONDS_TO_QUIT = 30;

    private final Path program;
    private final Path pipe;
    private final Path log;
    private final @Nullable String user;

    MpsUnit(Path program, Path pipe, Path log, @Nullable String user) {
        this.program = plain(program);
        this.pipe = plain(pipe);
        this.log = plain(log);
        this.user = user;
    }

    private static Path plain(Path path) {
        if (!PLAIN_PATH.matcher(path.toString()).matches()) {
            throw new IllegalArgumentException("'" + path
                    + "' cannot stand in a unit: use a path of letters, digits and the characters ._+@:,- alone");
        }
        return path;
    }

    /**
     * The user that the daemon runs as, and the only one that can have clients then, beside root. Default: root, whose daemon
     * serves every user.
     *
     * @throws IllegalArgumentException if that is no name of a user
     */
    public MpsUnit user(String name) {
        if (!USER.matcher(name).matches()) {
            throw new IllegalArgumentException("'" + name + "' is no name of a user");
        }
        return new MpsUnit(program, pipe, log, name);
    }

    /** The text of the unit. */
    public String text() {
        String owner = user == null ? "root" : user;
        String mode = user == null ? "0755" : "0700"; // a daemon of root has clients of every user
        return """
                [Unit]
                Description=NVIDIA Multi-Process Service at %1$s
                Documentation=https://docs.nvidia.com/deploy/mps/
                After=nvidia-persistenced.service

                [Service]
                Type=forking
                PIDFile=%1$s/%2$s
                User=%3$s
                Environment=CUDA_MPS_PIPE_DIRECTORY=%1$s
                Environment=CUDA_MPS_LOG_DIRECTORY=%4$s
                ExecStartPre=+/usr/bin/install -d -o %3$s -m %5$s %1$s %4$s
                ExecStart=%6$s -d
                ExecStop=/bin/sh -c 'echo quit -t %7$s | exec %6$s'
                TimeoutStopSec=%8$s
                Restart=on-failure

                # Clients and servers meet in /tmp, /dev and /proc: no PrivateTmp, PrivateDevices or ProtectProc.
                NoNewPrivileges=yes
                ProtectSystem=full
                ProtectControlGroups=yes
                ProtectKernelTunables=yes
                ProtectKernelLogs=yes
                ProtectHostname=yes
                RestrictSUIDSGID=yes
                LockPersonality=yes

                [Install]
                WantedBy=multi-user.target
                """.formatted(
                        pipe,
                        MpsStatus.PID_FILE,
                        owner,
                        log,
                        mode,
                        program,
                        SECONDS_TO_QUIT,
                        SECONDS_TO_QUIT + 15); // for the end of the servers
    }

    /** As {@link #text}. */
    @Override
    public String toString() {
        return text();
    }
}
