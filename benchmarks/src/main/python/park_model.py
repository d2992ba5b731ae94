"""The driver's checkpoint of a process with Qwen2-1.5B and 9.2 GB in all: alone, and with the shim, by turns. As root, or as the processes' parent."""
import os
import sys

import parking
from parking import LEAN, MIB, Driver, Worker, commands, goal, median, reply, touch_host_memory

RESERVED_MIB, QUICK_MIB = 9248, 1024
TOKENS = 16
SHIM = {"TORPOR_BUFFER_HUGE": "1", "TORPOR_BUFFER_KEEP": "16G", "TORPOR_ARENA_KEEP": "1"}
ALONE, WITH_SHIM, WITH_LEAN = "driver alone", "shim", "shim, lean"
STEPS = ("park", "lock", "checkpoint", "restore", "unlock", "unpark")


def main(arguments, device):
    layers, reserved, rounds, suspends = (2, QUICK_MIB, 2, 1) if arguments.quick else (28, RESERVED_MIB, 3, 3)
    words = [sys.executable, os.path.abspath(__file__), "--worker", str(layers), str(reserved)]
    turns = []
    workers = {ALONE: Worker(words), WITH_SHIM: Worker(words, arguments.library, SHIM), WITH_LEAN: Worker(words, arguments.library, dict(SHIM, **LEAN))}
    try:
        driver = Driver()
        touch_host_memory(3 * (reserved + 1024) * MIB)
        held = {name: worker.answer() for name, worker in workers.items()}
        for number in range(rounds):
            for name in list(workers)[number % 3 :] + list(workers)[: number % 3]:
                for _ in range(1 if name == ALONE or number == 0 else suspends):
                    turns.append(turn(driver, workers[name], name, number))
        statistics = [f"{name}: {worker.statistics()}" for name, worker in workers.items() if worker.shim]
    finally:
        for worker in workers.values():
            worker.close()
    rows = [row(turns, name, later) for name in workers for later in (False, True)]
    of = "times the driver alone,"
    goals = [goal(f"suspend, from the second on, {of}", 0.08, share(turns, WITH_SHIM, True, "down")),
             goal(f"resume, from the second on, {of}", 0.22, share(turns, WITH_SHIM, True, "up")),
             goal(f"first suspend of a process, {of}", 0.20, share(turns, WITH_SHIM, False, "down")),
             goal("processes with other results afterwards", 0, sum(taken["different"] for taken in turns))]
    first = held[ALONE]
    return {"title": f"Suspending PyTorch with Qwen2-1.5B, {first['reserved'] / MIB:.0f} MiB reserved, median ms",
            "columns": ["variant", "when", "park", "lock", "checkpoint", "suspend as a whole", "times the driver alone", "restore", "unlock", "unpark",
                        "resume as a whole", "times the driver alone"],
            "rows": rows, "goals": goals, "data": {"turns": turns, "held": held},
            "remarks": [f"{rounds} rounds of all variants by turns, from one controller that stays; the first suspend of each process apart, host memory touched "
                        "before. Ratios are medians of ratios within a round. After each resume the model generates the same tokens, a captured graph gives the "
                        "same, and the GPU sums up all other memory. TORPOR_BUFFER_KEEP=16G; lean: CUDA_DEVICE_MAX_CONNECTIONS=1 CUDA_SCALE_LAUNCH_QUEUES=0.25x.",
                        f"torch {first['torch']}, transformers {first['transformers']}.", *statistics]}


def turn(driver, worker, name, number):
    down = driver.suspend(worker)
    up = driver.resume(worker)
    different = int(not worker.ask("check")["same"])
    steps = {step: 1e3 * (down.get(step) or up.get(step) or 0) for step in STEPS}
    return dict(steps, variant=name, round=number, down=1e3 * down["whole"], up=1e3 * up["whole"], different=different)


def of(turns, name, later):
    return [taken for taken in turns if taken["variant"] == name and (taken["round"] > 0) == later]


def share(turns, name, later, whole):
    """Of what the driver alone took in the same round."""
    alone = {taken["round"]: taken[whole] for taken in turns if taken["variant"] == ALONE}
    return median([taken[whole] / alone[taken["round"]] for taken in of(turns, name, later)])


def row(turns, name, later):
    def text(what):
        value = median([taken[what] for taken in of(turns, name, later)])
        return f"{value:.0f}" if value >= 10 else f"{value:.2f}" if value else "–"

    return [name, "later" if later else "first", *map(text, ("park", "lock", "checkpoint", "down")), f"{share(turns, name, later, 'down'):.3f}",
            *map(text, ("restore", "unlock", "unpark", "up")), f"{share(turns, name, later, 'up'):.3f}"]


class Program:
    """The model, a captured graph, and filler up to what shall be reserved."""

    def __init__(self, layers, reserved):
        import qwen

        self.qwen, self.torch = qwen, qwen.torch
        torch = self.torch
        self.model = qwen.model(layers)
        qwen.generate(self.model, TOKENS)
        self.input = torch.linspace(-1, 1, 1 << 20, device="cuda").reshape(1024, 1024)
        self.capture()
        self.place = torch.arange(1, 1 + MIB, dtype=torch.int64, device="cuda")
        self.filler = []
        self.sum()  # what it needs is reserved
        while torch.cuda.memory_reserved() < (reserved - 32) * MIB:
            self.filler.append(torch.arange(8 * MIB, dtype=torch.int64, device="cuda").mul_(0x9E3779B1).add_(len(self.filler)))
        self.reference = self.results()

    def capture(self):
        self.graph, self.output = parking.captured(self.torch, lambda: self.torch.relu(self.input @ self.input))

    def sum(self):
        total = self.torch.zeros((), dtype=self.torch.int64, device="cuda")
        for i, array in enumerate(self.filler):
            for j, part in enumerate(array.split(MIB)):
                total += (part * self.place).sum() * (31 * i + j + 1)
        return int(total)

    def results(self):
        self.output.zero_()
        self.graph.replay()
        return [*self.qwen.generate(self.model, TOKENS), self.sum(), float(self.output.double().sum())]


def worker(layers, reserved):
    program = Program(layers, reserved)
    torch = program.torch
    reply(reserved=torch.cuda.memory_reserved(), filler=len(program.filler), torch=torch.__version__, transformers=program.qwen.transformers.__version__)
    for _ in commands():  # check
        reply(same=program.results() == program.reference)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(int(sys.argv[2]), int(sys.argv[3]))
    else:
        parking.control(main, __doc__)
