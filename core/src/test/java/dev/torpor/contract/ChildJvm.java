package dev.torpor.contract;

import java.util.ArrayList;
import java.util.List;

/** A program of the tests in a process of its own, with the Java and the class path of this one. */
public final class ChildJvm {
    private ChildJvm() {}

    /** Not started yet; what it complains of is said here. */
    public static ProcessBuilder of(Class<?> main, Object... words) {
        List<String> command = new ArrayList<>(List.of(
                ProcessHandle.current().info().command().orElseThrow(),
                "--enable-native-access=ALL-UNNAMED",
                "-Dtorpor.test.native=" + System.getProperty("torpor.test.native", "../native/target"),
                "-cp",
                System.getProperty("java.class.path"),
                main.getName()));
        for (Object word : words) {
            command.add(word.toString());
        }
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    }
}
