"""200 times parked and unparked at random moments: PyTorch in 8 threads with graphs, copies, allocations and frees, and a C program.

Results must be those of the same program left alone, and no device or host memory may be lost.
"""
import ctypes
import gc
import os
import random
import sys
import threading
import time

import parking
from common import Digest
from parking import MIB, Worker, commands, goal, median, need, reply

CYCLES, WARM = 200, 10
THREADS, TURNS = 8, 10
DEVICE_SLACK, HOST_SLACK = 16, 64  # MiB: what the allocators of Python and PyTorch may hold more or less of
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(MIB)}  # what is freed is given back, and does not look like a loss


def main(arguments, device):
    cycles = 20 if arguments.quick else CYCLES
    rows, goals, data = [], [], []
    for name, run in (("PyTorch, 8 threads", torch_program), ("torpor-target", c_program)):
        try:
            got = run(arguments, device, cycles)
        except parking.Missing as missing:
            rows.append([name, f"skipped: no {missing}"] + ["–"] * 7)
            continue
        data.append(dict(got, name=name))
        rows.append([name, str(cycles), f"{got['rounds']}", f"{got['bytes'] / MIB:.0f}", f"{got['park']:.3f}", f"{got['unpark']:.3f}",
                     f"{got['device_lost'] / MIB:.1f}", f"{got['host_lost'] / MIB:.1f}", "NO" if got["different"] else "yes"])
        goals += [goal(f"{name}: results that differ from those of the program left alone", 0, got["different"]),
                  goal(f"{name}: device memory lost, MiB,", DEVICE_SLACK, got["device_lost"] / MIB),
                  goal(f"{name}: host memory lost, MiB,", HOST_SLACK, got["host_lost"] / MIB)]
    return {"title": "Parked and unparked at random moments",
            "columns": ["program", "parked and unparked", "rounds of work meanwhile", "parked MiB", "park s", "unpark s", "device memory lost MiB",
                        "host memory lost MiB", "identical"],
            "rows": rows, "goals": goals, "data": data,
            "remarks": [f"Memory is compared between {WARM} times and all of them, when the program rests: what NVML says is used, less what PyTorch's allocator holds, and VmRSS. PyTorch: each of 8 "
                        "threads copies, replays a graph, multiplies, sorts, allocates and frees, by PyTorch's allocator and by the driver's; the digest of "
                        "each round must be that of a process without the shim. C: fills, checks, kernels that take a while, allocations and frees."]}


def disturb(worker, cycles, chance):
    answers = []
    for _ in range(cycles):
        time.sleep(chance.uniform(0, 0.06))
        parked = worker.park()
        time.sleep(chance.uniform(0, 0.01))
        answers.append((parked, worker.unpark()))
    return answers


def at_rest(worker, device, reserved=0):
    """Device memory beyond what the program's own allocator holds, and host memory, when the shim has given up what it keeps for the next
    time: freed memory as it parks, and the arena."""
    worker.park()
    worker.unpark()
    worker.control("release")
    return device.used() - reserved, worker.resident()


def summary(answers, before, after):
    park, unpark = (median([float(answer[i]["seconds"]) for answer in answers]) for i in range(2))
    return {"park": park, "unpark": unpark, "bytes": median([int(parked["bytes"]) for parked, _ in answers]),
            "tries": sum(parked["tries"] for parked, _ in answers), "device_lost": after[0] - before[0], "host_lost": after[1] - before[1]}


def torch_program(arguments, device, cycles):
    words = [sys.executable, os.path.abspath(__file__), "--worker"]
    plain, shim = Worker(words, None, MALLOC), Worker(words, arguments.library, MALLOC)
    try:
        plain.answer()
        alone = plain.ask("round")["digest"]
        plain.close()
        shim.answer()
        different = int(shim.ask("round")["digest"] != alone)
        chance = random.Random(6)
        before, rounds = None, 0
        for count in (WARM, cycles):
            shim.send(f"go {alone}")
            answers = disturb(shim, count, chance)
            got = shim.ask("stop")
            different += got["different"]
            rounds += got["rounds"]
            now = at_rest(shim, device, shim.ask("rest")["reserved"])
            before = before or now
        return dict(summary(answers, before, now), rounds=rounds, different=different)
    finally:
        plain.close()
        shim.close()


def c_program(arguments, device, cycles):
    memory = "64M" if arguments.quick else "1G"
    target = Worker([parking.native(arguments.library, "torpor-target"), "--memory", memory, "--chunk", "16M"], arguments.library, MALLOC)
    try:
        target.line()
        chance = random.Random(8)
        before, rounds = None, 0
        for count in (WARM, cycles):
            trouble, done = [], threading.Event()
            asked = [0]
            asker = threading.Thread(target=ask_at_random, args=(target, done, trouble, asked))
            asker.start()
            try:
                answers = disturb(target, count, chance)
            finally:
                done.set()
                asker.join()
            if trouble:
                raise trouble[0]
            target.ok("free")
            target.ok("check")
            rounds += asked[0]
            now = at_rest(target, device)
            before = before or now
        return dict(summary(answers, before, now), rounds=rounds, different=0)
    finally:
        target.close()


def ask_at_random(target, done, trouble, asked):
    """Each command is answered with OK; a check looks at every word."""
    chance = random.Random(9)
    extra = 0
    try:
        while not done.is_set():
            command = chance.choice(["check", f"fill {chance.randrange(1, 1000)}", "check", "alloc", f"spin {chance.randrange(1, 8)}", "free", "sync", "info"])
            if command == "alloc":
                command = "free" if extra > 20 else f"alloc {chance.randrange(1, 33)}M"
            extra = 0 if command == "free" else extra + command.startswith("alloc")
            target.ok(command)
            asked[0] += 1
    except parking.Failure as failure:
        trouble.append(failure)


class Part:
    """What one thread does, the same in each round."""

    def __init__(self, number, torch, driver):
        self.number, self.torch, self.driver = number, torch, driver
        torch.manual_seed(100 + number)
        self.stream = torch.cuda.Stream()
        self.hosts = [torch.randn(1024, 1024) for _ in range(2)] + [torch.randn(1024, 1024).pin_memory()]
        with torch.cuda.stream(self.stream):
            self.weight = torch.randn(1024, 1024).cuda()
            self.state = torch.zeros(16 * MIB, device="cuda")  # 64 MiB
            self.input = torch.zeros(1024, 1024, device="cuda")
            torch.tanh(self.input @ self.weight)  # before a capture, as PyTorch wants it
            self.stream.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.output = torch.tanh(self.input @ self.weight)
        torch.cuda.synchronize()

    def round(self):
        torch, chance, digest = self.torch, random.Random(self.number), Digest()
        self.driver.enter()
        with torch.inference_mode(), torch.cuda.stream(self.stream):
            self.state.zero_()
            for turn in range(TURNS):
                self.turn(turn, chance, digest)
            digest.add("state", self.state.cpu().numpy())
        return str(digest)

    def turn(self, turn, chance, digest):
        torch = self.torch
        host = self.hosts[turn % 3]
        self.input.copy_(host, non_blocking=turn % 3 == 2)
        self.graph.replay()
        result = self.output.clone()
        extra = [torch.full((chance.randrange(1, 8 * MIB),), float(turn), device="cuda") for _ in range(3)]
        self.state[: 1 << 20] += result.flatten()
        self.state[1 << 20 : (1 << 20) + extra[0].numel()] += extra[0]
        ordered = torch.sort(result @ self.weight, dim=1).values
        words = self.driver.filled(2 * MIB + chance.randrange(0, 30 * MIB), turn + 1, self.stream)
        digest.add(f"words {turn}", words)
        digest.add(f"turn {turn}", ordered.cpu().numpy())
        del extra
        if self.number == 0 and turn % 5 == 4:
            torch.cuda.empty_cache()  # real frees, amidst the others' work


class RawDriver:
    """Allocations that are none of PyTorch's."""

    def __init__(self, numpy):
        self.numpy = numpy
        self.library = ctypes.CDLL(os.environ.get("TORPOR_LIBCUDA") or "libcuda.so.1")
        self.context = ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), ctypes.c_int(0))

    def call(self, name, *arguments):
        result = getattr(self.library, name)(*arguments)
        if result:
            raise RuntimeError(f"{name} answers {result}")

    def enter(self):
        self.call("cuCtxSetCurrent", self.context)

    def filled(self, size, value, stream):
        """An allocation that is filled, read in part, and freed."""
        address = ctypes.c_ulonglong()
        queue = ctypes.c_void_p(stream.cuda_stream)
        words = size // 4
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        self.call("cuMemsetD32Async", address, ctypes.c_uint(value), ctypes.c_size_t(words), queue)
        got = self.numpy.zeros(min(words, 1 << 16), dtype=self.numpy.uint32)
        last = ctypes.c_ulonglong(address.value + 4 * (words - got.size))
        self.call("cuMemcpyDtoHAsync_v2", ctypes.c_void_p(got.ctypes.data), last, ctypes.c_size_t(got.nbytes), queue)
        self.call("cuStreamSynchronize", queue)
        self.call("cuMemFree_v2", address)
        return got


def all_parts(parts):
    """One round of all threads: a digest of theirs."""
    results, failures = [None] * len(parts), []

    def run(i):
        try:
            results[i] = parts[i].round()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return " ".join(result[:8] for result in results)


def worker():
    torch, numpy = need("torch", "numpy")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.zeros(1, device="cuda")
    parts = [Part(number, torch, RawDriver(numpy)) for number in range(THREADS)]
    reply(version=torch.__version__)
    for command in commands():
        word, _, wanted = command.partition(" ")
        if word == "round":
            reply(digest=all_parts(parts))
        elif word == "rest":
            gc.collect()
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
            reply(reserved=torch.cuda.memory_reserved())
        else:
            rounds = different = 0
            while not parking.told_something():
                different += all_parts(parts) != wanted
                rounds += 1
            sys.stdin.readline()  # stop
            reply(rounds=rounds, different=different)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker()
    else:
        parking.control(main, __doc__)
