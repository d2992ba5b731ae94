"""How much of a program's device memory is parked, for the allocators that programs have, and whether all is the same afterwards."""
import os
import sys

import parking
from common import Digest
from parking import MIB, Worker, commands, goal, need, reply

HOLD_GIB, QUICK_GIB = 5, 1
PART = 8 * MIB  # words that CuPy sums up at a time
ODD = 0x9E3779B97F4A7C15 - (1 << 64)
TORCH = "PYTORCH_CUDA_ALLOC_CONF"
VARIANTS = [
    ("PyTorch", "torch", {}),
    ("PyTorch, expandable segments", "torch", {TORCH: "expandable_segments:True"}),
    ("PyTorch, cudaMallocAsync", "torch", {TORCH: "backend:cudaMallocAsync"}),
    ("JAX", "jax", {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"}),
    ("CuPy, pool", "cupy", {}),
    ("CuPy, no pool", "cupy-plain", {}),
    ("CuPy, MemoryAsyncPool", "cupy-async", {}),
]


def sizes(gib):
    """In MiB, mixed; together so many GiB."""
    left, turn = gib << 10, 0
    while left:
        size = min(left, [256, 64, 2, 20, 512, 6][turn % 6])
        yield size
        left -= size
        turn += 1


def main(arguments, device):
    gib = QUICK_GIB if arguments.quick else HOLD_GIB
    workers = [start(arguments, kind, gib, environment) for _, kind, environment in VARIANTS]
    rows, goals, remarks, data = [], [], [], []
    try:
        bare = bare_context(arguments, device)
        for (name, _, _), worker in zip(VARIANTS, workers):
            try:
                measured = cover(worker, device, bare)
            except parking.Missing as missing:
                rows.append([name, f"skipped: no {missing}"] + ["–"] * 7)
                continue
            except parking.Failure as failure:
                measured = {"failed": str(failure)}
                print(f"{name}: {failure}", file=sys.stderr)
            finally:
                worker.close()
            data.append(dict(measured, name=name))
            rows.append(row(name, measured))
            goals.append(goal(f"{name}: share of device memory that is parked", 0.97, measured.get("share", float("nan")), least=True))
            goals.append(goal(f"{name}: results that differ afterwards", 0, measured.get("different", float("nan"))))
            remarks += [f"{name}: {measured['note']}"] if measured.get("note") else []
    finally:
        for worker in workers:
            worker.close()
    remarks.append(f"A bare context holds {bare / MIB:.0f} MiB. Device memory is what NVML says is used, less what was used before; the share is of what a "
                   "process holds beyond a bare context. Each array is summed up by the GPU, word by word, and products, a captured graph "
                   "(PyTorch) and a sort are computed, before and after.")
    return {"title": "Device memory that is parked", "columns": ["program", "held MiB", "before MiB", "parked MiB", "after MiB", "share parked",
                                                                   "left to the driver MiB", "park, unpark s", "identical"],
            "rows": rows, "goals": goals, "remarks": remarks, "data": data}


def start(arguments, kind, gib, environment):
    """Imports take long, and need no GPU: all do so at once."""
    more = dict(environment)
    if kind == "jax":
        more["XLA_PYTHON_CLIENT_MEM_FRACTION"] = "0.03" if arguments.quick else "0.09"
    return Worker([sys.executable, os.path.abspath(__file__), "--worker", kind, str(gib)], arguments.library, more)


def bare_context(arguments, device):
    """Beside workers that have no context yet."""
    before = device.used()
    target = Worker([parking.native(arguments.library, "torpor-target"), "--memory", "2M"])
    try:
        target.line()
        return device.used() - before - 2 * MIB
    finally:
        target.close()


def cover(worker, device, bare):
    worker.answer()  # imported
    idle = device.used()
    begun = worker.ask("hold")
    before = device.used() - idle
    parked = worker.park()
    after = device.used() - idle
    status = worker.control("status")
    unparked = worker.unpark()
    ended = worker.ask("check")
    different = sum(begun[name] != ended[name] for name in ("sum", "work"))
    return {"held": begun["held"], "before": before, "after": after, "bare": bare, "share": (before - after) / (before - bare),
            "parked": int(parked["bytes"]), "left": int(status["left_bytes"]), "park": float(parked["seconds"]),
            "unpark": float(unparked["seconds"]), "different": different, "note": begun["note"], "version": begun["version"]}


def row(name, got):
    if "failed" in got:
        return [name, "FAILED"] + ["–"] * 7
    mib = [f"{got[what] / MIB:.0f}" for what in ("held", "before", "parked", "after")]
    return [f"{name} {got['version']}", *mib, f"{got['share']:.3f}", f"{got['left'] / MIB:.0f}", f"{got['park']:.2f}, {got['unpark']:.2f}",
            "NO" if got["different"] else "yes"]


# Workers: each holds arrays, sums them up, and does some work that gives the same each time.


class Torch:
    def __init__(self):
        (self.torch, _) = need("torch", "numpy")
        self.version = self.torch.__version__
        self.note = ""

    def hold(self, gib):
        torch = self.torch
        torch.backends.cuda.matmul.allow_tf32 = False
        self.arrays = [torch.arange(size * MIB // 8, dtype=torch.int64, device="cuda").mul_(ODD).add_(i) for i, size in enumerate(sizes(gib))]
        self.place = torch.arange(1, 1 + MIB, dtype=torch.int64, device="cuda")
        self.input = torch.zeros(1024, 1024, device="cuda")
        self.weight = torch.linspace(-1, 1, 1 << 20, device="cuda").reshape(1024, 1024)
        self.graph = self.output = None
        try:
            self.capture()
        except RuntimeError as error:
            self.note = f"no graph was captured: {str(error).splitlines()[0]}"
        torch.cuda.synchronize()
        return sum(array.numel() * 8 for array in self.arrays)

    def capture(self):
        self.graph, self.output = parking.captured(self.torch, lambda: self.torch.relu(self.input @ self.weight))

    def sum(self):
        total = self.torch.zeros((), dtype=self.torch.int64, device="cuda")
        for i, array in enumerate(self.arrays):
            for j, part in enumerate(array.split(MIB)):
                total += (part * self.place[: len(part)]).sum() * (7919 * i + j + 1)
        return int(total)

    def work(self):
        torch, digest = self.torch, Digest()
        torch.manual_seed(7)
        batch = torch.randn(1024, 1024)
        self.input.copy_(batch)
        if self.graph:
            self.graph.replay()
            digest.add("replay", self.output.cpu().numpy())
        digest.add("product", (batch.cuda() @ self.weight).cpu().numpy())
        digest.add("sorted", torch.sort(self.input, dim=1).values.cpu().numpy())
        return str(digest)


class Jax:
    def __init__(self):
        (self.jax, self.np) = need("jax", "numpy")
        self.version = self.jax.__version__
        self.note = ""

    def hold(self, gib):
        jax, jnp = self.jax, self.jax.numpy
        if jax.default_backend() != "gpu":
            reply(missing="a GPU that JAX sees: its backend is " + jax.default_backend())
            sys.exit(0)

        def fill(first, count):
            return (jnp.arange(count, dtype=jnp.uint32) + first) * jnp.uint32(0x9E3779B1)

        def add_up(array):
            return jnp.sum(array * jnp.arange(1, 1 + array.size, dtype=jnp.uint32), dtype=jnp.uint32)

        fill, self.add_up = jax.jit(fill, static_argnums=1), jax.jit(add_up)
        self.product = jax.jit(lambda a, b: jnp.sort(jnp.tanh(a @ b), axis=1))
        share = max(1, gib - 1)  # the rest of what it has taken is free, and parked all the same
        self.arrays = [fill(jnp.uint32(i), size * MIB // 4) for i, size in enumerate(sizes(share))]
        jax.block_until_ready(self.arrays)
        return sum(array.nbytes for array in self.arrays)

    def sum(self):
        return " ".join(str(int(self.add_up(array))) for array in self.arrays)

    def work(self):
        random, digest = self.np.random.default_rng(7), Digest()
        a, b = (random.standard_normal((1024, 1024), dtype=self.np.float32) for _ in range(2))
        digest.add("product", self.np.asarray(self.product(a, b)))
        return str(digest)


class Cupy:
    def __init__(self, way):
        (self.cp, self.np) = need("cupy", "numpy")
        self.version = self.cp.__version__
        self.way = way
        self.note = ""

    def hold(self, gib):
        cp = self.cp
        if self.way == "plain":
            cp.cuda.set_allocator(None)
        if self.way == "async":
            self.pool = cp.cuda.MemoryAsyncPool()
            cp.cuda.set_allocator(self.pool.malloc)
        self.arrays = []
        for i, size in enumerate(sizes(gib)):
            array = cp.arange(size * MIB // 8, dtype=cp.uint64)
            array *= cp.uint64(ODD + (1 << 64))
            array += cp.uint64(i)
            self.arrays.append(array)
        self.place = cp.arange(1, 1 + PART, dtype=cp.uint64)
        cp.cuda.Device().synchronize()
        return sum(array.nbytes for array in self.arrays)

    def sum(self):
        total = 0
        for i, array in enumerate(self.arrays):
            for j in range(0, array.size, PART):
                part = array[j : j + PART]
                total += int((part * self.place[: part.size]).sum()) * (7919 * i + j + 1)
        return total % (1 << 64)

    def work(self):
        cp, random, digest = self.cp, self.np.random.default_rng(7), Digest()
        a, b = (cp.asarray(random.standard_normal((1024, 1024), dtype=self.np.float32)) for _ in range(2))
        digest.add("product", cp.asnumpy(a @ b))
        digest.add("sorted", cp.asnumpy(cp.sort(a, axis=1)))
        return str(digest)


def worker(kind, gib):
    framework, _, way = kind.partition("-")
    made = {"torch": Torch, "jax": Jax}[framework]() if framework != "cupy" else Cupy(way)
    reply(version=made.version)
    for command in commands():
        held = made.hold(gib) if command == "hold" else None
        reply(held=held, sum=str(made.sum()), work=made.work(), note=made.note, version=made.version)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(sys.argv[2], int(sys.argv[3]))
    else:
        parking.control(main, __doc__)
