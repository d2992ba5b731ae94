package dev.torpor.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.contract.Target;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The consumer, a Maven project of its own, as its users start it; the JVM refuses all native access but what they allow. */
class ConsumerIT {
    private static final Path CONSUMERS = Path.of(System.getProperty("torpor.test.consumers", "target/it"));
    private static final String THIS_JAVA = System.getProperty("java.home");
    private static final String OTHER_JAVA = System.getProperty("torpor.test.other.java", THIS_JAVA);

    /** How it is started. */
    enum Start {
        FFM_CLASS_PATH(THIS_JAVA, "ffm", "ALL-UNNAMED"),
        FFM_MODULE_PATH(THIS_JAVA, "ffm", "dev.torpor.ffm"),
        JNA_CLASS_PATH(THIS_JAVA, "jna", "ALL-UNNAMED"),
        JNA_MODULE_PATH(THIS_JAVA, "jna", "com.sun.jna"),
        OLDER_JAVA_CLASS_PATH(OTHER_JAVA, "jna", "ALL-UNNAMED"),
        OLDER_JAVA_MODULE_PATH(OTHER_JAVA, "jna", "com.sun.jna");

        private final String java;
        private final String binding;
        private final String nativeAccess;

        Start(String java, String binding, String nativeAccess) {
            this.java = java;
            this.binding = binding;
            this.nativeAccess = nativeAccess;
        }

        private List<String> command(Target target) {
            Path built = CONSUMERS.resolve(binding).resolve("target");
            String jar = built.resolve("service.jar").toString();
            List<String> command = new ArrayList<>(List.of(java + "/bin/java"));
            if (java.equals(THIS_JAVA)) {
                command.addAll(List.of("--illegal-native-access=deny", "--enable-native-access=" + nativeAccess));
            }
            if (nativeAccess.equals("ALL-UNNAMED")) {
                command.addAll(List.of("-cp", jar + ":" + built.resolve("lib/*"), "com.example.service.Service"));
            } else {
                command.addAll(List.of("-p", jar + ":" + built.resolve("lib")));
                command.addAll(List.of("-m", "com.example.service/com.example.service.Service"));
            }
            command.add(Integer.toString(target.pid()));
            return command;
        }
    }

    @ParameterizedTest
    @EnumSource
    void suspendsAndResumes(Start start, @TempDir Path directory) throws Exception {
        try (Target target = Target.start("--memory", "8M")) {
            Run run = Run.of(directory, start.command(target));
            assertThat(run.code()).as(run.toString()).isZero();
            assertThat(run.err()).isEmpty();
            assertThat(run.out().lines())
                    .hasSize(2)
                    .satisfies(lines -> assertThat(lines.get(0))
                            .startsWith("checkpointed through " + start.binding + ": ")
                            .endsWith("; checkpointed"))
                    .satisfies(lines ->
                            assertThat(lines.get(1)).startsWith("running: ").endsWith("; running"));
            target.assertMemoryIntact();
        }
    }

    @ParameterizedTest
    @EnumSource
    void hasTheBindingItAskedForAndNoOther(Start start) throws Exception {
        try (Stream<Path> lib = Files.list(CONSUMERS.resolve(start.binding).resolve("target/lib"))) {
            assertThat(lib.map(path -> path.getFileName().toString()))
                    .anyMatch(name -> name.startsWith("torpor-" + start.binding))
                    .noneMatch(name -> name.startsWith(start.binding.equals("ffm") ? "torpor-jna" : "torpor-ffm"));
        }
    }
}
