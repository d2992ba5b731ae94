package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ServiceConfigurationError;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OpenFailuresTest {
    private static final String FFM =
            "dev/torpor/ffm/FfmProvider has been compiled by a more recent version of the Java Runtime (class file version 66.0), this"
                    + " version of the Java Runtime only recognizes class file versions up to 61.0";
    private static final String MISSING = "libcuda.so.1: cannot open shared object file: No such file or directory";

    private final OpenFailures failures = new OpenFailures();

    @Test
    void aJavaThatIsTooOldForFfmIsNamed() {
        failures.unusable(new UnsupportedClassVersionError(FFM));
        assertThat(failures.explain())
                .isEqualTo("The CUDA driver cannot be opened: the binding ffm needs Java 22 or later, and this is Java "
                        + Runtime.version().feature() + ": use a newer Java, or the binding jna (torpor-jna).");
    }

    @Test
    void aReasonIsSaidOnce() {
        failures.unusable(new UnsupportedClassVersionError(FFM));
        failures.unusable(new ServiceConfigurationError("wrapped", new UnsupportedClassVersionError(FFM)));
        assertThat(failures.explain().split("needs Java 22", -1)).hasSize(2);
    }

    @Test
    void onlyAMissingLibraryAdvisesToInstallTheDriver() {
        failures.unusable(new UnsupportedClassVersionError(FFM));
        failures.failed("jna", "libcuda.so.1", new UnsatisfiedLinkError(MISSING));
        assertThat(failures.explain())
                .isEqualTo("The CUDA driver cannot be opened: " + MISSING
                        + ". Install the NVIDIA driver, or let the variable TORPOR_LIBCUDA name its library.");
    }

    @Test
    void bothBindingsSayOfALibraryTheSameOnce() {
        failures.failed("ffm", "libcuda.so.1", new UnsatisfiedLinkError(MISSING));
        failures.failed("jna", "libcuda.so.1", new UnsatisfiedLinkError(MISSING));
        assertThat(failures.explain().split("cannot open shared object", -1)).hasSize(2);
    }

    @Test
    void aBindingThatDoesNotWorkIsNamedWithItsRemedy() {
        failures.failed(
                "ffm", "libcuda.so.1", new IllegalStateException("this Java denies native access: start it so"));
        assertThat(failures.explain())
                .isEqualTo(
                        "The CUDA driver cannot be opened: the binding ffm does not work: this Java denies native access:"
                                + " start it so.");
    }

    @Test
    void aNamedLibraryThatIsNotThereIsNoMissingDriver() {
        failures.noFile("/opt/libcuda.so.1");
        assertThat(failures.explain())
                .isEqualTo("The CUDA driver cannot be opened: there is no file /opt/libcuda.so.1: check its path.");
    }

    @Test
    void aLibraryForAnotherMachineIsNamed(@TempDir Path folder) throws IOException {
        ByteBuffer header = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        header.putInt(0, 0x464c457f).putShort(4, (short) 0x0102).putShort(18, (short) 183); // EM_AARCH64
        for (String content : new String[] {new String(header.array(), StandardCharsets.ISO_8859_1), "text"}) {
            Path library = folder.resolve("libcuda.so.1");
            Files.writeString(library, content, StandardCharsets.ISO_8859_1);
            OpenFailures found = new OpenFailures();
            found.failed("ffm", library.toString(), new UnsatisfiedLinkError(library + ": wrong"));
            assertThat(found.explain()).contains(library + " is not a library for 64-bit x86");
        }
    }
}
