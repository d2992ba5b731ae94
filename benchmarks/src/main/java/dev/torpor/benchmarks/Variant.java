package dev.torpor.benchmarks;

import dev.torpor.Cuda;
import dev.torpor.benchmarks.start.BytedecoStart;
import dev.torpor.benchmarks.start.TorporStart;
import dev.torpor.ffm.FfmProvider;
import dev.torpor.jna.JnaProvider;
import dev.torpor.natives.NativeLibrary;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Loader;
import org.jspecify.annotations.Nullable;

/** A Java program that is started afresh: with only its own jars, and, if so wanted, with an AOT cache. */
record Variant(
        String name,
        Class<?> program,
        String classPath,
        @Nullable Path cache) {
    static Variant ffm() {
        return new Variant(
                "ffm",
                TorporStart.class,
                Kit.classPath(Cuda.class, FfmProvider.class, NativeLibrary.class, TorporStart.class),
                null);
    }

    static Variant jna() {
        return new Variant(
                "jna",
                TorporStart.class,
                Kit.classPath(Cuda.class, JnaProvider.class, com.sun.jna.Native.class, TorporStart.class),
                null);
    }

    static Variant bytedeco() {
        String cuda = Kit.classPath(org.bytedeco.cuda.global.cudart.class);
        String javacpp = Kit.classPath(Loader.class);
        return new Variant(
                "bytedeco",
                BytedecoStart.class,
                String.join(
                        ":",
                        cuda,
                        Kit.withNatives(cuda),
                        javacpp,
                        Kit.withNatives(javacpp),
                        Kit.classPath(BytedecoStart.class)),
                null);
    }

    Variant cached(Path file) {
        return new Variant(name, program, classPath, file);
    }

    /** The flags that shorten a start are the same for all. */
    List<String> command(List<String> options, String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                Kit.java(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
                "-Xlog:disable",
                "--enable-native-access=ALL-UNNAMED",
                "-Dtorpor.native=" + Kit.natives()));
        command.addAll(options);
        if (cache != null) {
            command.add("-XX:AOTCache=" + cache);
        }
        command.addAll(List.of("-cp", classPath, program.getName()));
        command.addAll(List.of(arguments));
        return command;
    }
}
