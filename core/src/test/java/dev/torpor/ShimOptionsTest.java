package dev.torpor;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ShimOptionsTest {
    private static final long TEBI = 1L << 40;

    @Test
    void everySettingIsAVariable() {
        ShimOptions all = ShimOptions.defaults()
                .copy(false)
                .copyStreams(8)
                .copyChunk(4 << 20)
                .copyMin(1_000_000)
                .copyStart(0)
                .copyIdle(Duration.ofSeconds(10))
                .bufferHuge(true)
                .bufferThreads(64)
                .bufferKeep(TEBI)
                .park(false)
                .parkMin(3 << 20)
                .parkRdma(false)
                .freedKeep(1 << 30)
                .arenaKeep(true)
                .folder(Path.of("/run/a folder"))
                .log(ShimOptions.Log.OFF);
        assertThat(all.environment())
                .isEqualTo(Map.ofEntries(
                        entry("TORPOR_COPY", "0"),
                        entry("TORPOR_COPY_STREAMS", "8"),
                        entry("TORPOR_COPY_CHUNK", "4M"),
                        entry("TORPOR_COPY_MIN", "1000000"),
                        entry("TORPOR_COPY_START", "0"),
                        entry("TORPOR_COPY_IDLE_MS", "10000"),
                        entry("TORPOR_BUFFER_HUGE", "1"),
                        entry("TORPOR_BUFFER_THREADS", "64"),
                        entry("TORPOR_BUFFER_KEEP", "1T"),
                        entry("TORPOR_PARK", "0"),
                        entry("TORPOR_PARK_MIN", "3M"),
                        entry("TORPOR_PARK_RDMA", "0"),
                        entry("TORPOR_FREED_KEEP", "1G"),
                        entry("TORPOR_ARENA_KEEP", "1"),
                        entry("TORPOR_DIR", "/run/a folder"),
                        entry("TORPOR_LOG", "off")))
                .hasSameSizeAs(ShimSetting.values());
    }

    @Test
    void aChangedCopyLeavesTheOriginalAsItWas() {
        ShimOptions eight = ShimOptions.defaults().copyStreams(8);
        assertThat(eight.copyStreams(9)).hasToString("TORPOR_COPY_STREAMS=9");
        assertThat(eight.log(ShimOptions.Log.INFO)).hasToString("TORPOR_COPY_STREAMS=8 TORPOR_LOG=info");
        assertThat(eight).hasToString("TORPOR_COPY_STREAMS=8");
        assertThat(ShimOptions.defaults().environment()).isEmpty();
    }

    @Test
    void aLeanContextIsCudasOwnSettingWhereTheProgramHasNone() {
        Map<String, String> environment = new HashMap<>(Map.of("CUDA_DEVICE_MAX_CONNECTIONS", "32"));
        ShimOptions lean = ShimOptions.defaults().lean(true);
        Shim.extract().preload(environment, lean.copy(false));
        assertThat(environment)
                .containsEntry("CUDA_DEVICE_MAX_CONNECTIONS", "32")
                .containsEntry("CUDA_SCALE_LAUNCH_QUEUES", "0.25x")
                .containsEntry("TORPOR_COPY", "0");
        assertThat(lean.leanEnvironment()).containsEntry("CUDA_DEVICE_MAX_CONNECTIONS", "1");
        assertThat(lean).hasToString("lean");
        assertThat(lean.copyStreams(8)).hasToString("TORPOR_COPY_STREAMS=8 lean");
        assertThat(lean.lean(false).leanEnvironment()).isEmpty();
    }

    private static void refused(Supplier<ShimOptions> wrong, String sentence) {
        assertThatIllegalArgumentException().isThrownBy(wrong::get).withMessage(sentence);
    }

    @Test
    void aValueOutOfRangeIsRefusedInOneSentence() {
        ShimOptions options = ShimOptions.defaults();
        refused(() -> options.copyStreams(0), "TORPOR_COPY_STREAMS is from 1 to 64, not 0");
        refused(() -> options.copyStreams(65), "TORPOR_COPY_STREAMS is from 1 to 64, not 65");
        refused(() -> options.bufferThreads(-1), "TORPOR_BUFFER_THREADS is from 1 to 64, not -1");
        refused(() -> options.copyChunk((64 << 10) - 1), "TORPOR_COPY_CHUNK is from 64K to 64M bytes, not 65535");
        refused(() -> options.copyMin(TEBI + 1), "TORPOR_COPY_MIN is from 64K to 1T bytes, not 1099511627777");
        refused(() -> options.copyStart(-1), "TORPOR_COPY_START is from 0 to 1T bytes, not -1");
        refused(
                () -> options.bufferKeep(Long.MIN_VALUE),
                "TORPOR_BUFFER_KEEP is from 0 to 1T bytes, not " + Long.MIN_VALUE);
        refused(
                () -> options.copyIdle(Duration.ofHours(1).plusNanos(1)),
                "TORPOR_COPY_IDLE_MS is from 0 to 3600000, not 3600001");
        refused(() -> options.parkMin(1 << 20), "TORPOR_PARK_MIN is from 2M to 1T bytes, not 1048576");
        refused(() -> options.folder(Path.of("run")), "TORPOR_DIR is an absolute path, not 'run'");
    }

    @Test
    void anIdleTimeIsRoundedUpAndNeverBelowNothing() {
        assertThat(ShimOptions.defaults().copyIdle(Duration.ofNanos(1))).hasToString("TORPOR_COPY_IDLE_MS=1");
        assertThat(ShimOptions.defaults().copyIdle(Duration.ZERO)).hasToString("TORPOR_COPY_IDLE_MS=0");
        for (Duration wrong : new Duration[] {Duration.ofNanos(-1), Duration.ofSeconds(Long.MAX_VALUE)}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> ShimOptions.defaults().copyIdle(wrong));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "TORPOR_COPY, 2, 0 to 1",
        "TORPOR_COPY, yes, 0 to 1",
        "TORPOR_COPY_STREAMS, 8K, 1 to 64",
        "TORPOR_COPY_STREAMS, ' 8', 1 to 64",
        "TORPOR_COPY_CHUNK, 4MiB, 64K to 64M",
        "TORPOR_COPY_CHUNK, M, 64K to 64M",
        "TORPOR_COPY_CHUNK, 65M, 64K to 64M",
        "TORPOR_COPY_START, -1, 0 to 1T",
        "TORPOR_COPY_START, 1.5G, 0 to 1T",
        "TORPOR_COPY_START, 16777216T, 0 to 1T",
        "TORPOR_COPY_START, 99999999999999999999, 0 to 1T",
        "TORPOR_BUFFER_KEEP, 2T, 0 to 1T",
        "TORPOR_PARK_MIN, 1M, 2M to 1T",
        "TORPOR_PARK, off, 0 to 1",
        "TORPOR_FREED_KEEP, 2T, 0 to 1T",
        "TORPOR_ARENA_KEEP, 2, 0 to 1",
        "TORPOR_DIR, run/torpor, an absolute path",
        "TORPOR_LOG, INFO, 'off, warn or info'",
        "TORPOR_LOG, debug, 'off, warn or info'",
    })
    void aMalformedVariableIsNamedWithItsValueAndWhatItMayBe(String variable, String value, String range) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ShimOptions.of(Map.of(variable, value)))
                .withMessageStartingWith(variable + " is ")
                .withMessageContaining(range)
                .withMessageEndingWith(", not '" + value + "'");
    }

    @Test
    void anEmptyVariableAndOneOfSomebodyElseDoNotMatter() {
        assertThat(ShimOptions.of(Map.of("TORPOR_COPY", "", "TORPOR_LIBCUDA", "x"))
                        .environment())
                .isEmpty();
    }

    @Provide
    Arbitrary<String> units() {
        return Arbitraries.of("", "K", "M", "G", "T", "k", "m", "g", "t");
    }

    @Property
    void aSizeIsReadInAnyUnit(@ForAll @LongRange(max = 1 << 20) long number, @ForAll("units") String unit) {
        long factor = unit.isEmpty() ? 1 : 1L << (10 * (1 + "KMGT".indexOf(unit.toUpperCase(Locale.ROOT))));
        String text = number + unit;
        if (number <= TEBI / factor) {
            assertThat(ShimOptions.of(Map.of("TORPOR_BUFFER_KEEP", text)).environment())
                    .isEqualTo(
                            ShimOptions.defaults().bufferKeep(number * factor).environment());
        } else {
            assertThatIllegalArgumentException().isThrownBy(() -> ShimOptions.of(Map.of("TORPOR_BUFFER_KEEP", text)));
        }
    }

    @Property
    void whatIsWrittenReadsTheSame(
            @ForAll @LongRange(max = TEBI) long bytes, @ForAll ShimOptions.Log level, @ForAll boolean on) {
        ShimOptions options = ShimOptions.defaults().copyStart(bytes).log(level).copy(on);
        assertThat(ShimSetting.COPY_START.parse(options.environment().getOrDefault("TORPOR_COPY_START", "")))
                .isEqualTo(bytes);
        assertThat(ShimOptions.of(options.environment())).hasToString(options.toString());
    }

    @Property
    void anyTextIsReadOrRefused(@ForAll String text) {
        for (ShimSetting setting : ShimSetting.values()) {
            try {
                String normal = setting.normal(text);
                assertThat(setting.normal(normal)).isEqualTo(normal);
            } catch (IllegalArgumentException e) {
                assertThat(e)
                        .hasMessageStartingWith(setting.variable() + " is ")
                        .hasMessageContaining(text);
            }
        }
    }
}
