package dev.torpor.criu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CriuLogTest {
    private static final String HARMLESS = """
            Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
            Error (criu/tun.c:85): tun: Unable to create tun: No such file or directory
            """;

    @Test
    void theFirstErrorThatMattersIsTold() {
        assertThat(sentence("Warn  (criu/kerndat.c:1799): Hardware breakpoints don't seem to work\n" + HARMLESS
                        + " 16294: Error (criu/files-reg.c:2175): one of (these)\n"
                        + "Error (criu/cr-restore.c:2320): Restoring FAILED.\n"))
                .startsWith("one of (these).");
        assertThat(sentence("(00.069812) Error (criu/files.c:1): two\n")).startsWith("two.");
        assertThat(sentence("(00.069812)  4711: Error (criu/files.c:1): three.\n"))
                .startsWith("three.");
        assertThat(sentence("(00.1) pie: 4711: Error (criu/pie/restorer.c:1): four\n"))
                .startsWith("four.");
    }

    private static String sentence(String log) {
        return new CriuLog(log).sentence();
    }

    @Test
    void aLogWithoutErrorsHasItsFirstLineOrNone() {
        assertThat(sentence("criu: no such option '--bogus'\nUsage:\n")).startsWith("criu: no such option '--bogus'.");
        assertThat(sentence(" \n")).startsWith("it does not say why.");
        assertThat(sentence(HARMLESS)).startsWith("Error (criu/util.c");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "inet: Connected TCP socket, consider using --tcp-established option. | --tcp-established, in the dump",
                "sockets: Can't get 1:16 opt: Operation not supported | CRIU 4.2",
                "Locking network failed: iptables-restore returned -1. This may be connected to disabled CONFIG_NETFILTER_XTABLES | network-lock skip",
                "A session leader of 2(2) is outside of its pid namespace | setsid",
                "The root process 4711 is not a session leader. Consider using --shell-job option | Ask for --shell-job",
                "tty: Found slave peer index 0 without correspond master peer | ask for --shell-job",
                "unix: External socket is used. Consider using --ext-unix-sk option. | ask for --ext-unix-sk",
                "unix: Can't dump half of stream unix connection. name: /x.sock; peer name: (null) | before the dump",
                "Some file locks are hold by dumping tasks! You can try --file-locks to dump them. | Ask for --file-locks",
                "Can't create link remap for /x. Use link-remap option. | option --link-remap",
                "Can't dump ghost file /x of 3002368 size, increase limit | --ghost-limit",
                "Can't fork for 4711: File exists | has the pid",
                "File tmp/grow has bad size 5 (expect 2) | has changed",
                "File tmp/grow has bad mode 0100755 (expect 0100644) | --skip-file-rwx-check",
                "Can't open file tmp/grow on restore: No such file or directory | at the same path",
                "Can't open file tmp/hsperfdata_root/4711 on restore: No such file or directory | PerfDisableSharedMem",
                "Can't link remap to /dev/shm/link_remap.3: File exists | Another dump has left that file",
                "Can't link dev/shm/link_remap.22 -> dev/shm/sem.x: No such file or directory | for one restore at most",
                "Can't link dev/shm/link_remap.22 -> dev/shm/sem.x: File exists | for one restore at most",
                "vdso: Unexpected rt vDSO area bounds | CRIU 4.1",
                "Unable to detach from 999999: No such process | may not trace",
            })
    void adviceFollows(String error, String advice) {
        if (Capabilities.lacking().isEmpty()) { // else the advice is about those
            assertThat(sentence("Error (criu/x.c:1): " + error + "\n"))
                    .startsWith(error.replaceAll("\\.$", "") + ". ")
                    .contains(advice)
                    .endsWith(".");
        }
    }

    /** Seen with CRIU 4.2.1 and a process that has an io_uring. */
    @Test
    void criusSlangIsNotHandedOn() {
        String sentence = sentence("Error (criu/proc_parse.c:116): Unknown shit 600 (anon_inode:[io_uring])\n");

        assertThat(sentence)
                .startsWith("a file of a kind that CRIU cannot dump is mapped (anon_inode:[io_uring]). ")
                .doesNotContain("shit");
        if (Capabilities.lacking().isEmpty()) {
            assertThat(sentence).contains("CRIU cannot dump io_uring");
        }
    }

    @Test
    void onlyAForkTellsOfATakenPid() {
        if (Capabilities.lacking().isEmpty()) {
            assertThat(sentence("Error (criu/x.c:1): Can't make /tmp/x: File exists\n"))
                    .isEqualTo("Can't make /tmp/x: File exists.");
        }
    }

    @Test
    void whatThisProcessMayNotDoIsTold() {
        assertThat(Capabilities.lacking(-1)).isEmpty();
        assertThat(Capabilities.lacking(0x000001fffeffffffL)).isEmpty();
        assertThat(Capabilities.lacking(1L << 40 | 1L << 19)).isEmpty();
        assertThat(Capabilities.lacking(1L << 21)).contains("lacks CAP_SYS_PTRACE,");
        assertThat(Capabilities.lacking(0))
                .isEqualTo("This process lacks CAP_SYS_ADMIN (or CAP_CHECKPOINT_RESTORE) and CAP_SYS_PTRACE,"
                        + " which CRIU needs: run it as root.");
    }
}
