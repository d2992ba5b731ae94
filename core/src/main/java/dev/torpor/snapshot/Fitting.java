package dev.torpor.snapshot;

import dev.torpor.Cuda;
import dev.torpor.DeviceMap;
import dev.torpor.GpuDevice;
import dev.torpor.GpuUuid;
import dev.torpor.Problem;
import dev.torpor.TorporException;
import dev.torpor.snapshot.Manifest.Driver;
import dev.torpor.snapshot.Manifest.Gpu;
import dev.torpor.snapshot.Manifest.Member;
import dev.torpor.snapshot.Manifest.StoredFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Whether a snapshot can be loaded on this host now; what CRIU would find out in the middle is found out before. */
final class Fitting {
    private static final long MARGIN = 64L << 20;

    private final Cuda cuda;
    private final Manifest manifest;

    Fitting(Cuda cuda, Manifest manifest) {
        this.cuda = cuda;
        this.manifest = manifest;
    }

    void check(Load options) {
        checkDriver();
        for (Member member : manifest.processes()) {
            checkMember(member);
        }
        checkGpus(options.deviceMap(), options.checkMemory());
        if (options.checkMemory()) {
            checkHostMemory();
        }
    }

    private void checkDriver() {
        Driver driver = manifest.driver();
        String here = Host.release();
        if (manifest.simulated() != cuda.simulated()) {
            throw unfit(
                    manifest.simulated()
                            ? "it was made with the simulator, and the driver here is a real one"
                            : "it was made with a real driver, and the one here is the simulator",
                    "load it with the driver that it was made with");
        }
        if (!driver.release().isEmpty() && !here.isEmpty() && !driver.release().equals(here)) {
            throw unfit(
                    "it was made with driver " + driver.release() + ", and this host has " + here,
                    "load it on a host with that driver");
        }
        if (Host.bytes(driver.library()) != driver.bytes()) {
            throw unfit(
                    driver.library() + " is not the driver library of " + driver.bytes()
                            + " bytes that it was made with",
                    "load it on a host with that driver");
        }
    }

    private void checkMember(Member member) {
        if (Host.PROC.startTime(member.pid()) >= 0) { // CRIU waits for a zombie to go
            throw unfit(
                    "process id " + member.pid() + ", which it needs, is taken by " + Host.PROC.command(member.pid()),
                    "wait for that process or end it, or load the snapshot in a pid namespace of its own");
        }
        if (!member.shimLibrary().isEmpty() && !Files.exists(Path.of(member.shimLibrary()))) {
            throw unfit(
                    "process " + member.pid() + " carries the shim " + member.shim() + ", and " + member.shimLibrary()
                            + " is not here",
                    "put that very file back");
        }
    }

    private void checkGpus(DeviceMap map, boolean checkMemory) {
        Map<GpuUuid, GpuDevice> here = new HashMap<>();
        cuda.devices().forEach(device -> here.put(device.uuid(), device));
        for (Gpu gpu : manifest.gpus()) {
            GpuUuid target = map.target(GpuUuid.parse(gpu.uuid()));
            GpuDevice device = here.get(target);
            if (device == null) {
                throw unfit(
                        "GPU " + target + " (" + gpu.name() + ") is not on this host",
                        "map it onto another of the same model with a device map");
            }
            if (!device.name().equals(gpu.name())) {
                throw unfit(
                        "it was on a " + gpu.name() + ", and GPU " + target + " is a " + device.name(),
                        "map it onto one of the same model");
            }
            Optional<Long> free = cuda.freeBytes(target);
            if (checkMemory && free.isPresent() && free.get() < gpu.bytes() + MARGIN) {
                throw new TorporException(
                        Problem.DEVICE_MEMORY,
                        "The snapshot needs " + gpu.bytes() + " bytes on GPU " + target + ", and " + free.get()
                                + " are free: free device memory first, as a restore that runs out of it is final. Nothing was started.");
            }
        }
    }

    private void checkHostMemory() {
        long needed = 0;
        for (StoredFile file : manifest.files()) {
            needed += file.name().contains("pages-") ? file.bytes() : 0;
        }
        long there = Host.availableBytes().orElse(Long.MAX_VALUE);
        if (there < needed + MARGIN) {
            throw new TorporException(
                    Problem.HOST_MEMORY,
                    "The processes of the snapshot have " + needed + " bytes of memory, and the host has " + there
                            + " available: free some. Nothing was started.");
        }
    }

    private static TorporException unfit(String why, String advice) {
        return new TorporException(
                Problem.SNAPSHOT,
                "The snapshot does not fit this host: " + why + ". Nothing was started: " + advice + ".");
    }
}
