package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.torpor.driver.Nvml;
import dev.torpor.tools.ProcFs;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process of two GPUs, one after the other suspended by controllers that know of each other, or do not. */
class RestoreCheckTest {
    private static final GpuUuid ZERO = GpuUuid.parse("GPU-00000000-0000-0000-0000-000000000000");
    private static final GpuUuid ONE = GpuUuid.parse("GPU-00000000-0000-0000-0000-000000000001");
    private static final long MIB = 1L << 20;
    private static final long START = 77;

    private final Map<GpuUuid, Long> free = new HashMap<>();

    @TempDir
    private Path top;

    private ProcFs proc = new ProcFs();
    private Path directory = Path.of("");
    private boolean recording = true;

    @BeforeEach
    void begin() throws IOException {
        Files.createDirectories(top.resolve("proc/7"));
        Files.createDirectories(top.resolve("proc/self"));
        proc = new ProcFs(top.resolve("proc").toString());
        directory = top.resolve("records");
        long user = new ProcFs().user(ProcessHandle.current().pid());
        Files.writeString(top.resolve("proc/7/status"), "Uid:\t" + user + "\t" + user + "\t" + user + "\n");
        Files.writeString(
                top.resolve("proc/7/stat"), "7 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 " + START + " 20");
        mapped("");
        gpus(8192, 8192);
    }

    private void gpus(long zero, long one) {
        free.put(ZERO, zero * MIB);
        free.put(ONE, one * MIB);
    }

    /** A controller of its own. */
    private RestoreCheck controller() {
        long user = new ProcFs().user(ProcessHandle.current().pid());
        Path place = recording ? directory : top.resolve("not/there");
        return new RestoreCheck(
                proc, 7, START, DeviceMemory.open(nvml()), new RestoreRecords(proc, writer -> List.of(place), user));
    }

    private Nvml nvml() {
        return (Nvml) Proxy.newProxyInstance(
                getClass().getClassLoader(),
                new Class<?>[] {Nvml.class},
                (proxy, method, args) -> nvml(method.getName(), args));
    }

    private Object nvml(String function, Object @Nullable [] args) {
        Object[] given = args == null ? new Object[0] : args;
        switch (function) {
            case "nvmlDeviceGetCount_v2" -> ((int[]) given[0])[0] = 2;
            case "nvmlDeviceGetHandleByIndex_v2" -> ((long[]) given[1])[0] = ((Number) given[0]).longValue();
            case "nvmlDeviceGetUUID" -> {
                byte[] text = gpu(given[0]).toString().getBytes(StandardCharsets.US_ASCII);
                System.arraycopy(text, 0, (byte[]) given[1], 0, text.length);
            }
            case "nvmlDeviceGetMemoryInfo" -> ((long[]) given[1])[1] = Objects.requireNonNull(free.get(gpu(given[0])));
            default -> {}
        }
        return Nvml.SUCCESS;
    }

    private static GpuUuid gpu(Object handle) {
        return ((Number) handle).longValue() == 0 ? ZERO : ONE;
    }

    /** What the process has mapped: ranges of hexadecimal MiB, all resident. */
    private void mapped(String... ranges) throws IOException {
        StringBuilder maps = new StringBuilder();
        StringBuilder smaps = new StringBuilder();
        for (String range : ranges) {
            if (!range.isEmpty()) {
                String[] ends = range.split("-");
                long kib = (Long.parseLong(ends[1], 16) - Long.parseLong(ends[0], 16)) << 10;
                String header = ends[0] + "00000-" + ends[1] + "00000 rw-p 00000000 00:00 0 \n";
                maps.append(header);
                smaps.append(header)
                        .append("Size: ")
                        .append(kib)
                        .append(" kB\nRss: ")
                        .append(kib)
                        .append(" kB\n");
            }
        }
        Files.writeString(top.resolve("proc/7/maps"), maps);
        Files.writeString(top.resolve("proc/7/smaps"), smaps);
    }

    private static Map<GpuUuid, Long> held(long zero, long one) {
        Map<GpuUuid, Long> held = new HashMap<>();
        if (zero > 0) {
            held.put(ZERO, zero * MIB);
        }
        if (one > 0) {
            held.put(ONE, one * MIB);
        }
        return held;
    }

    /** As the driver: a mapping for what was held. */
    private void suspend(RestoreCheck by, Map<GpuUuid, Long> held, String... mappings) throws IOException {
        by.begin(held, Optional.empty());
        mapped(mappings);
        by.end(Optional.empty());
    }

    private void fits(RestoreCheck by) {
        by.check(DeviceMap.same(), Optional.empty(), Set.of(), new Claims());
    }

    private String refused(RestoreCheck by) {
        return String.valueOf(
                Failures.failure(Problem.DEVICE_MEMORY, () -> fits(by)).getMessage());
    }

    @Test
    void anotherControllerAsksTheGpuAloneThatTheProcessWasOn() throws IOException {
        suspend(controller(), held(600, 0), "1000-1260");
        gpus(700, 10);
        fits(controller());
        gpus(650, 8000);
        assertThat(refused(controller())).contains("needs 600 MiB on " + ZERO).contains("650 MiB are free");
    }

    @Test
    void eachGpuIsAskedForItsOwnPart() throws IOException {
        suspend(controller(), held(600, 2000), "1000-1a60");
        gpus(700, 2100);
        fits(controller());
        gpus(2100, 700);
        assertThat(refused(controller())).contains("needs 2.0 GiB on " + ONE);
    }

    @Test
    void whatNoRecordTellsIsAskedOfTheCaller() throws IOException {
        mapped("1000-1260"); // 608 MiB, suspended by a program that leaves no record
        fits(controller());
        gpus(8000, 10);
        assertThat(refused(controller())).contains("name those GPUs").contains("on " + ONE);
        controller().check(DeviceMap.same(), Optional.empty(), Set.of(ZERO), new Claims());
        Failures.failure(
                Problem.DEVICE_MEMORY,
                () -> controller().check(DeviceMap.same(), Optional.empty(), Set.of(ONE), new Claims()));
    }

    @Test
    void aNeedIsForgottenWhereTheProcessHasRunMeanwhile() throws IOException {
        for (boolean records : List.of(true, false)) {
            recording = records;
            RestoreCheck service = controller();
            suspend(service, held(100, 0), "1000-1070");
            fits(service);
            service.seenRunning();
            mapped("2000-3000"); // another program has suspended it, with 4 GiB
            gpus(1024, 8192);
            assertThat(refused(service)).as("records " + records).contains("needs 4.0 GiB");
            gpus(8192, 8192);
            fits(service);
            service.forget();
        }
    }

    @Test
    void aNeedIsNotBelievedWhereTheProcessHasGrownUnseen() throws IOException {
        for (boolean records : List.of(true, false)) {
            recording = records;
            RestoreCheck service = controller();
            mapped("9000-9001");
            suspend(service, held(100, 0), "9000-9001", "1000-1070");
            mapped("9000-9001", "1000-2000"); // resumed and suspended again, and nobody has said so
            gpus(1024, 8192);
            assertThat(refused(service)).as("records " + records).contains("needs 4.0 GiB");
            service.forget();
        }
    }

    @Test
    void anotherControllersSuspendTakesTheRecordsPlace() throws IOException {
        RestoreCheck service = controller();
        suspend(service, held(100, 0), "1000-1070");
        RestoreCheck other = controller();
        other.forget(); // it resumes the process
        mapped("");
        suspend(other, held(0, 90), "1000-1070"); // of the same size, in the same place
        gpus(10, 200);
        fits(service);
        fits(controller());
        gpus(200, 10);
        assertThat(refused(service)).contains("on " + ONE);
    }

    @Test
    void aMappingOfTheProcesssOwnDoesNotSpoilARecord() throws IOException {
        mapped("5000-9000"); // 16 GiB of its own
        suspend(controller(), held(600, 0), "5000-9000", "1000-1260");
        gpus(700, 10);
        fits(controller());
    }

    @Test
    void whatAControllerBeganAndCouldNotEndIsRecorded() throws IOException {
        controller().begin(held(600, 0), Optional.empty());
        mapped("1000-1260");
        gpus(700, 10);
        fits(controller());
    }

    private static ShimStatus shim(
            long parked, long left, OptionalLong buffers, Map<GpuUuid, ShimStatus.DeviceBytes> devices) {
        return new ShimStatus("1", 7, ProcessState.PARKED, 0, parked * MIB, left * MIB, 0, 0, 0, buffers, devices);
    }

    private static ShimStatus.DeviceBytes bytes(long parked, long left) {
        return new ShimStatus.DeviceBytes(parked * MIB, left * MIB);
    }

    @Test
    void theShimTellsWhereNoRecordDoes() throws IOException {
        mapped("1000-1040"); // 64 MiB of the driver's, 20 of which the shim knows
        Optional<ShimStatus> status = Optional.of(shim(600, 20, OptionalLong.empty(), Map.of(ZERO, bytes(600, 20))));
        gpus(730, 10);
        controller().check(DeviceMap.same(), status, Set.of(), new Claims());
        gpus(720, 8000);
        assertThat(Failures.failure(
                        Problem.DEVICE_MEMORY,
                        () -> controller().check(DeviceMap.same(), status, Set.of(), new Claims())))
                .hasMessageContaining("needs 664 MiB on " + ZERO);
        controller().check(DeviceMap.of(ZERO, ONE).completedFor(List.of(ZERO, ONE)), status, Set.of(), new Claims());
    }

    @Test
    void aCountOfTheDriversBuffersTellsOneSuspendFromTheNext() throws IOException {
        mapped("1000-2000"); // the shim keeps it, whatever is in it
        RestoreCheck service = controller();
        service.begin(held(100, 0), Optional.of(shim(0, 0, OptionalLong.of(3), Map.of())));
        service.end(Optional.of(shim(0, 0, OptionalLong.of(4), Map.of())));
        gpus(200, 10);
        service.check(DeviceMap.same(), Optional.of(shim(0, 0, OptionalLong.of(4), Map.of())), Set.of(), new Claims());
        assertThat(Failures.failure(
                        Problem.DEVICE_MEMORY,
                        () -> service.check(
                                DeviceMap.same(),
                                Optional.of(shim(0, 0, OptionalLong.of(5), Map.of(ZERO, bytes(0, 0)))),
                                Set.of(),
                                new Claims())))
                .hasMessageContaining("needs 4.0 GiB on " + ZERO);
    }

    @Test
    void whatIsParkedCountsWhereItWas() throws IOException {
        RestoreCheck one = controller();
        one.begin(held(50, 60), Optional.of(shim(900, 0, OptionalLong.empty(), Map.of(ONE, bytes(900, 0)))));
        mapped("1000-1070");
        one.end(Optional.empty());
        gpus(120, 1030);
        fits(controller());
        gpus(120, 1000);
        assertThat(refused(controller())).contains("needs 960 MiB on " + ONE);
        RestoreCheck old = controller(); // with a shim that does not tell where
        old.begin(held(50, 0), Optional.of(shim(900, 0, OptionalLong.empty(), Map.of())));
        gpus(1000, 10);
        assertThat(refused(controller())).contains("needs 950 MiB on " + ZERO);
    }

    @Test
    void processesOfAGroupNeedTheirPartsTogether() throws IOException {
        suspend(controller(), held(600, 100), "1000-12c0");
        Claims claims = new Claims();
        claims.device(ONE, 500 * MIB);
        gpus(700, 660);
        Failures.failure(
                Problem.DEVICE_MEMORY, () -> controller().check(DeviceMap.same(), Optional.empty(), Set.of(), claims));
        Claims others = new Claims();
        others.device(ONE, 490 * MIB);
        controller().check(DeviceMap.same(), Optional.empty(), Set.of(), others);
    }

    @Test
    void devicesAreReadOrLeftOut() {
        String zero = ZERO + ":5:6";
        assertThat(ShimStatus.devices(zero + "," + ONE + ":7:8"))
                .isEqualTo(Map.of(ZERO, new ShimStatus.DeviceBytes(5, 6), ONE, new ShimStatus.DeviceBytes(7, 8)));
        for (String text : List.of(
                "", ",", zero + ",", zero + "," + zero, ZERO + ":5", ZERO + ":-5:6", ZERO + ":5:x", "GPU:5:6")) {
            assertThat(ShimStatus.devices(text)).as(text).isEmpty();
        }
        assertThat(ShimStatus.devices(null)).isEmpty();
    }
}
