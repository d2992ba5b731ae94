package dev.torpor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.UUID;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.assertj.core.api.Assertions;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DeviceMapTest {
    private static final GpuUuid A = gpu(0);
    private static final GpuUuid B = gpu(1);
    private static final GpuUuid ELSEWHERE = gpu(99);

    private static GpuUuid gpu(long number) {
        return new GpuUuid(new UUID(number, 0x1234));
    }

    private static List<GpuDevice> devices(int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> new GpuDevice(i, gpu(i), "GPU", 1 << 30, 90))
                .toList();
    }

    private static Set<GpuUuid> host(int count) {
        return new LinkedHashSet<>(devices(count).stream().map(GpuDevice::uuid).toList());
    }

    @Property
    void completedItSendsEveryGpuOfTheHostToOneOfItsOwn(
            @ForAll @IntRange(min = 1, max = 8) int count, @ForAll @IntRange(max = 8) int mapped, @ForAll long seed) {
        List<GpuUuid> from = new ArrayList<>(host(count));
        List<GpuUuid> to = new ArrayList<>(host(count));
        Collections.shuffle(from, new Random(seed));
        Collections.shuffle(to, new Random(~seed));
        DeviceMap map = DeviceMap.same();
        for (int i = 0; i < Math.min(mapped, count); i++) {
            map = map.and(from.get(i), to.get(i));
        }
        DeviceMap complete = map.completedFor(host(count));
        Set<GpuUuid> targets = new HashSet<>();
        for (GpuUuid device : host(count)) {
            targets.add(complete.target(device));
        }
        assertThat(targets).isEqualTo(host(count));
        for (int i = 0; i < Math.min(mapped, count); i++) {
            assertThat(complete.target(from.get(i))).isEqualTo(to.get(i));
        }
        assertThat(complete.toGpuPairs()).hasSize(32 * count);
    }

    @Test
    void oneHalfOfASwapIsCompletedByTheOther() {
        assertThat(DeviceMap.of(A, B).completedFor(host(2)))
                .isEqualTo(DeviceMap.of(A, B).and(B, A));
    }

    @Test
    void aGpuOfAnotherHostTakesAPlaceHere() {
        DeviceMap complete = DeviceMap.of(ELSEWHERE, B).completedFor(host(2));
        assertThat(complete.target(ELSEWHERE)).isEqualTo(B);
        assertThat(complete.target(A)).isEqualTo(A);
    }

    @Test
    void aTargetThatIsNotOnTheHostIsRefused() {
        assertProblem(() -> DeviceMap.of(A, ELSEWHERE).completedFor(host(2)), ELSEWHERE.toString());
    }

    @Test
    void oneGpuCannotGoToTwo() {
        assertProblem(() -> DeviceMap.of(A, A).and(A, B), "name each old GPU once");
    }

    @Test
    void twoGpusCannotGoToOne() {
        assertProblem(() -> DeviceMap.of(A, B).and(B, B), "name each new GPU once");
    }

    @Test
    void ordinalsAndUuidsCanBeMixed() {
        assertThat(DeviceMap.parse("0=" + B + ", 1=0", devices(2)))
                .isEqualTo(DeviceMap.of(A, B).and(B, A));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "0", "0=1=2", "0=1,", "0=7", "zero=1", "=1"})
    void whatIsNoMapIsRefused(String text) {
        assertProblem(() -> DeviceMap.parse(text, devices(2)), "device map");
    }

    private static void assertProblem(ThrowingCallable call, String words) {
        Assertions.assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        TorporException.class, e -> assertThat(e.problem()).isEqualTo(Problem.DEVICE_MAP))
                .hasMessageContaining(words);
    }
}
