package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.torpor.driver.DriverProvider;
import dev.torpor.driver.LoadedLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DriversTest {
    private static final int CLASS_FILE_MAJOR = 6; // offset of the version in a class file

    @TempDir
    private Path services;

    public static class Low implements DriverProvider {
        @Override
        public String name() {
            return "low";
        }

        @Override
        public int priority() {
            return 1;
        }

        @Override
        public LoadedLibrary open(String library) {
            throw new UnsatisfiedLinkError(library + " does not load");
        }
    }

    public static final class High extends Low {
        @Override
        public String name() {
            return "high";
        }

        @Override
        public int priority() {
            return 2;
        }
    }

    public static final class FromTheFuture extends Low {}

    private List<DriverProvider> load(OpenFailures failures, String... names) throws IOException {
        Path file = services.resolve("META-INF/services/" + DriverProvider.class.getName());
        Files.createDirectories(file.getParent());
        Files.write(file, List.of(names));
        try (URLClassLoader loader = new NewerJava(new URL[] {services.toUri().toURL()})) {
            return Drivers.load(loader, failures);
        }
    }

    /** Finds one class with a version that no Java has yet. */
    private static final class NewerJava extends URLClassLoader {
        NewerJava(URL[] urls) {
            super(urls, DriversTest.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            return name.equals(FromTheFuture.class.getName()) ? findClass(name) : super.loadClass(name, resolve);
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            try (InputStream in = getResourceAsStream(name.replace('.', '/') + ".class")) {
                if (in == null) {
                    throw new ClassNotFoundException(name);
                }
                byte[] bytes = in.readAllBytes();
                ByteBuffer.wrap(bytes).putShort(CLASS_FILE_MAJOR, (short) 999);
                return defineClass(name, bytes, 0, bytes.length);
            } catch (IOException e) {
                throw new ClassNotFoundException(name, e);
            }
        }
    }

    @Test
    void theHighestPriorityComesFirst() throws IOException {
        assertThat(load(new OpenFailures(), Low.class.getName(), High.class.getName()))
                .extracting(DriverProvider::name)
                .containsExactly("high", "low");
    }

    @Test
    void aProviderForANewerJavaIsSkippedWithItsReason() throws IOException {
        OpenFailures failures = new OpenFailures();
        assertThat(load(failures, FromTheFuture.class.getName(), "no.such.Provider", Low.class.getName()))
                .extracting(DriverProvider::name)
                .containsExactly("low");
        assertThat(failures.explain())
                .contains("needs Java 955 or later, and this is Java "
                        + Runtime.version().feature())
                .contains("no.such.Provider")
                .doesNotContain("class file version");
    }

    @Test
    void withoutAProviderTheErrorSaysWhatToAdd() {
        assertThatThrownBy(Cuda::open)
                .isInstanceOfSatisfying(
                        TorporException.class, e -> assertThat(e.problem()).isEqualTo(Problem.NO_DRIVER))
                .hasMessageContaining("add torpor-ffm");
    }

    @Test
    void anOptionComesBeforeAPropertyAndThatBeforeADefault() {
        System.setProperty("torpor.libcuda", "/property");
        try {
            assertThat(CudaOptions.defaults().library()).isEqualTo("/property");
            assertThat(CudaOptions.defaults().library("/option").library()).isEqualTo("/option");
        } finally {
            System.clearProperty("torpor.libcuda");
        }
        assertThat(CudaOptions.defaults().library()).isEqualTo(System.getenv("TORPOR_LIBCUDA"));
    }
}
