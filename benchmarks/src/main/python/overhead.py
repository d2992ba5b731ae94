"""What the shim costs a program that is never parked: launches, small copies, a training step, allocations; plain and with the shim by turns."""
import os
import shutil
import sys
import time

import parking
from parking import MIB, Worker, commands, goal, median, need, quantile, reply

TORCH = "PYTORCH_CUDA_ALLOC_CONF"
# name, kind of process, environment, how many of each variant, what is measured: (title, command, quick command, unit, limit)
KINDS = [
    ("C", "call-bench", {}, 5, [("launches", "launch 25000", "launch 500", 1.01), ("cuMemAlloc and cuMemFree, 2 to 64 MiB", "alloc 150", "alloc 50", 1.02)]),
    ("PyTorch", "torch", {}, 8, [("launches", "launch 20000", "launch 2000", 1.01)]),
    ("PyTorch", "torch", {}, 4, [("training step", "step 30", "step 5", 1.01)]),
    ("PyTorch, no cache", "torch", {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}, 3, [("allocations, 2 to 64 MiB", "alloc 250", "alloc 50", 1.02)]),
    ("PyTorch, no cache, TORPOR_PARK_RDMA=0", "torch", {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1", "TORPOR_PARK_RDMA": "0"}, 3, [("allocations, 2 to 64 MiB", "alloc 250", "alloc 50", 1.02)]),
    ("PyTorch, cudaMallocAsync", "torch", {TORCH: "backend:cudaMallocAsync"}, 3, [("allocations, 2 to 64 MiB", "alloc 1500", "alloc 50", 1.02)]),
]
# What is measured in one process, by the driver's own function and by the shim's: title, command, quick command, how many times in each of TURN_PROCESSES, limit
TURN_PROCESSES = 4
TURNS = [("launches", "compare 50000", "compare 2000", 6, 1.01)]
TURNS += [(f"copies of {size} KiB, {direction}-gpu", f"copy-{direction} {size}", f"copy-{direction} {size}", 2, 1.03)
          for direction in ("to", "from") for size in (64, 256, 1024)]
ROUNDS = 11


def main(arguments, device):
    rows, goals, data = [], [], []
    name = "C, in one process"
    for (title, _, _, _, limit), (own, named) in zip(TURNS, by_turns(arguments)):
        ratios = [b / a for a, b in zip(own, named)]
        rows.append([name, title + ", by turns", f"{median(own):.2f}", f"{median(named):.2f}", f"{median(ratios):.4f}",
                     f"{quantile(ratios, 0.25):.4f} to {quantile(ratios, 0.75):.4f}", f"{len(ratios)}"])
        goals.append(goal(f"{name}, {title}: times plain", limit, median(ratios)))
        data.append({"name": name, "title": title, "plain": own, "shim": named})
    for name, kind, environment, processes, works in KINDS:
        try:
            measured = measure(arguments, kind, environment, 1 if arguments.quick else processes, works)
        except parking.Missing as missing:
            rows.append([name, f"skipped: no {missing}"] + ["–"] * 5)
            continue
        for (title, _, _, limit), (plain, shim) in zip(works, measured):
            ratios = [b / a for a, b in zip(plain, shim)]
            ratio = median(ratios)
            rows.append([name, title, f"{median(plain):.2f}", f"{median(shim):.2f}", f"{ratio:.4f}",
                         f"{quantile(ratios, 0.25):.4f} to {quantile(ratios, 0.75):.4f}", f"{len(ratios)}"])
            goals.append(goal(f"{name}, {title}: times plain", limit, ratio))
            data.append({"name": name, "title": title, "plain": plain, "shim": shim})
    return {"title": "A program that is never parked, with the shim and without", "columns": ["program", "what", "plain µs", "with the shim µs", "times plain",
                                                                                           "quartiles", "pairs"],
            "rows": rows, "goals": goals, "data": data,
            "remarks": [f"In one process: {TURN_PROCESSES} processes one after the other, each call by the driver's own function and by the shim's alternately.",
                        "Else several processes of each variant that stay, measured by turns, plain and with the shim alternately; a first round is not counted. A ratio is of two "
                        "processes of the same turn. Each launch, training step, or allocation with its free.",
                        "Two processes of one program differ by some ten percent by where their memory and their threads come to be. So all have the same addresses (setarch -R), "
                        "and once they are ready one core runs all of them, each in its turn."]}


def by_turns(arguments):
    """Between processes the same call differs by some ten percent, so each of these measures it both ways. That ratio differs by one percent by process, so there are several."""
    times = [([], []) for _ in TURNS]
    for _ in range(1 if arguments.quick else TURN_PROCESSES):
        worker = Worker([parking.native(arguments.library, "call-bench")], arguments.library, {})
        try:
            check(worker.line(), True)
            for (_, command, quick, count, _), (own, named) in zip(TURNS, times):
                for _ in range(3 if arguments.quick else count):
                    words = worker.ok(quick if arguments.quick else command)
                    own.append(float(words.rpartition("own=")[2].split()[0]))
                    named.append(float(words.rpartition("us=")[2]))
        finally:
            worker.close()
    return times


def measure(arguments, kind, environment, processes, works):
    """For each work the times of plain processes and of those with the shim, in pairs."""
    words = [parking.native(arguments.library, "call-bench")] if kind == "call-bench" else [sys.executable, os.path.abspath(__file__), "--worker"]
    if shutil.which("setarch"):
        words = ["setarch", "-R", *words]
    pairs = [(Worker(words, None, environment), Worker(words, arguments.library, environment)) for _ in range(processes)]
    times = [([], []) for _ in works]
    try:
        for pair in pairs:
            for i, worker in enumerate(pair):
                check(worker.line() if kind == "call-bench" else worker.answer()["shim"], i == 1)
                pin(worker.pid)
        for number in range(2 if arguments.quick else ROUNDS):
            for (_, command, quick, _), (plain, shim) in zip(works, times):
                for turn, pair in enumerate(pairs):
                    took = [None, None]
                    for i in (0, 1) if (number + turn) % 2 == 0 else (1, 0):
                        took[i] = one(pair[i], kind, quick if arguments.quick else command)
                    if number:
                        plain.append(took[0])
                        shim.append(took[1])
        return times
    finally:
        for pair in pairs:
            for worker in pair:
                worker.close()


def check(said, expected):
    """A shim that was not loaded must not be measured as if it were."""
    loaded = bool(said.rpartition("shim=")[2])
    if loaded != expected:
        raise parking.Failure("libtorpor.so was not loaded" if expected else "a libtorpor.so is loaded where none should be")


def pin(pid):
    """To one core, with all its threads; those that it starts later inherit that. The shim has counted the cores before."""
    core = sorted(os.sched_getaffinity(0))[-1]
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})


def one(worker, kind, command):
    """Microseconds for each."""
    return float(worker.ok(command).rpartition("us=")[2]) if kind == "call-bench" else worker.ask(command)["us"]


class Program:
    def __init__(self):
        (self.torch,) = need("torch")
        torch = self.torch
        torch.manual_seed(7)
        self.cell = torch.zeros(1, device="cuda")
        self.model = None

    def launch(self, count):
        with self.torch.inference_mode():
            for _ in range(count):
                self.cell.add_(1)

    def make_model(self):
        torch = self.torch
        layer = torch.nn.TransformerEncoderLayer(512, 8, dim_feedforward=2048, dropout=0.0, batch_first=True)
        self.model = torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False).cuda()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.batch = torch.randn(8, 64, 512, device="cuda")

    def step(self, count):
        for _ in range(count):
            loss = (self.model(self.batch) - self.batch).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def alloc(self, count):
        """Some live at once; the same sizes each time."""
        live = [None] * 8
        state = 1
        for i in range(count):
            state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            live[i % 8] = None
            live[i % 8] = self.torch.empty(2 * MIB + (state >> 33) % (62 * MIB + 1), dtype=self.torch.uint8, device="cuda")

    def timed(self, word, count):
        if word == "step" and not self.model:
            self.make_model()
            self.step(5)
        self.torch.cuda.synchronize()
        begun = time.perf_counter()
        getattr(self, word)(count)
        self.torch.cuda.synchronize()
        return 1e6 * (time.perf_counter() - begun) / count


def worker():
    import ctypes

    program = Program()
    try:
        version = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(None), "torpor_shim_version"))).decode()
    except ValueError:
        version = ""
    reply(shim=f"shim={version}")
    for command in commands():
        word, count = command.split(" ")
        reply(us=program.timed(word, int(count)))


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker()
    else:
        parking.control(main, __doc__)
