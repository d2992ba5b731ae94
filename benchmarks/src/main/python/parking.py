"""What the programs about parking share: processes with and without the shim, the control socket, device memory, goals.

Such a program is a controller: it is started without the shim, starts itself again as --worker with or without it, talks to these workers
line by line, and parks them through the control socket. The last line of its output is JSON: a table, goals and remarks.
"""
import argparse
import ctypes
import json
import os
import queue
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1 << 20
PATIENCE_S = 180
LEAN = {"CUDA_DEVICE_MAX_CONNECTIONS": "1", "CUDA_SCALE_LAUNCH_QUEUES": "0.25x"}


class Failure(Exception):
    """Something that ends the program, in a sentence."""


class Refused(Failure):
    """The shim's error: a code, and a sentence."""

    def __init__(self, text):
        super().__init__(text)
        self.code = text.split(" ")[1]


class Missing(Failure):
    """A module that is not installed here."""


# Controllers


def parse(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("library", help="libtorpor.so")
    parser.add_argument("--quick", action="store_true", help="as short as it can be")
    return parser.parse_args()


def native(library, name):
    """A program that lies where libtorpor.so does."""
    return os.path.join(os.path.dirname(os.path.abspath(library)), "programs", name)


class Worker:
    """A process that answers commands, a line each; with the shim if a library is given."""

    folder = None  # of the control sockets

    def __init__(self, words, library=None, environment=None):
        self.words = words
        self.shim = library is not None
        self.log = tempfile.TemporaryFile("w+", prefix="torpor-worker-")
        if Worker.folder is None:
            Worker.folder = tempfile.mkdtemp(prefix="torpor-control-")
        self.process = subprocess.Popen(
            words, env=self._environment(library, environment or {}), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True, bufsize=1)
        self.pid = self.process.pid
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @staticmethod
    def _environment(library, more):
        environment = dict(os.environ, TORPOR_LOG="info", TORPOR_DIR=Worker.folder, **more)
        environment.pop("LD_PRELOAD", None)
        if library:
            environment["LD_PRELOAD"] = os.path.abspath(library)
        return environment

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def said(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def send(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self._failure(f"cannot be told to {command} ({error})") from None

    def _failure(self, what):
        return Failure(f"{' '.join(self.words[-3:])}: {what}: {self.said().strip()[-1500:]}")

    def line(self, patience=PATIENCE_S):
        try:
            line = self.lines.get(timeout=patience)
        except queue.Empty:
            raise self._failure(f"no answer within {patience} s") from None
        if line is None:
            raise self._failure("it has ended")
        return line

    def answer(self, patience=PATIENCE_S):
        """The next line of JSON; libraries may say other things."""
        while True:
            line = self.line(patience)
            if line.startswith("{"):
                answer = json.loads(line)
                if "missing" in answer:
                    raise Missing(answer["missing"])
                return answer

    def ask(self, command, patience=PATIENCE_S):
        self.send(command)
        return self.answer(patience)

    def ok(self, command):
        """For the C programs, which answer OK and something."""
        self.send(command)
        line = self.line()
        if not line.startswith("OK"):
            raise self._failure(f"{command} was answered {line}")
        return line

    def control(self, command):
        """The answer of the shim in the process."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_S)
            try:
                connection.connect(os.path.join(Worker.folder, f"{self.pid}.sock"))
                connection.sendall(command.encode() + b"\n")
                text = b""
                while not text.endswith(b"\n"):
                    more = connection.recv(65536)
                    if not more:
                        break
                    text += more
            except OSError as error:
                raise self._failure(f"{command} cannot be asked of its shim ({error})") from None
        text = text.decode().strip()
        if text.startswith("error "):
            raise Refused(text)
        if not text.startswith("ok"):
            raise self._failure(f"its shim answers {command} with '{text}'")
        return dict(word.split("=", 1) for word in text.split(" ")[1:] if "=" in word)

    def park(self, patience=60):
        """Parks; what is refused as busy is tried again, and how often is told as tries."""
        until = time.monotonic() + patience
        tries = 1
        while True:
            try:
                return dict(self.control("park timeout-ms=10000"), tries=tries)
            except Refused as refusal:
                if refusal.code != "busy" or time.monotonic() > until:
                    raise
                tries += 1
                time.sleep(0.005)

    def unpark(self):
        return self.control("unpark")

    def resident(self):
        """VmRSS, in bytes."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) << 10
        raise self._failure("it has no memory")

    def close(self):
        """Ends it. What it was killed for is nobody's concern any more."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def statistics(self):
        """What its shim said as it ended, without what is zero."""
        self.close()
        lines = [line for line in self.said().splitlines() if line.startswith("torpor: ")]
        words = lines[-1].split(" ")[1:] if lines else []
        return " ".join(word for word in words if not word.split("=")[-1].strip("0.") == "")


class Device:
    """Memory of the first GPU that is in use, by whomever; by NVML, or else by nvidia-smi."""

    def __init__(self):
        self.nvml = self.handle = None
        beside = os.path.dirname(os.environ.get("TORPOR_LIBCUDA", ""))
        folders = [beside, "/usr/local/nvidia/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib64"]
        names = [os.path.join(folder, "libnvidia-ml.so.1") for folder in folders if folder]
        for name in [names[0], "libnvidia-ml.so.1", *names[1:]]:
            if self._open(name):
                break

    def _open(self, name):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            return False
        handle = ctypes.c_void_p()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(0), ctypes.byref(handle)):
            return False
        self.nvml, self.handle = library, handle
        return True

    def name(self):
        if not self.nvml:
            return self._smi("name")
        text = ctypes.create_string_buffer(96)
        self.nvml.nvmlDeviceGetName(self.handle, text, ctypes.c_uint(96))
        version = ctypes.create_string_buffer(96)
        self.nvml.nvmlSystemGetDriverVersion(version, ctypes.c_uint(96))
        return f"{text.value.decode()}, driver {version.value.decode()}"

    @staticmethod
    def _smi(what):
        path = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        done = subprocess.run([path, f"--query-gpu={what}", "--format=csv,noheader,nounits", "-i", "0"], env=environment,
                              capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise Failure(f"nvidia-smi: {done.stderr or done.stdout}")
        return done.stdout.strip()

    def used_now(self):
        if not self.nvml:
            return int(self._smi("memory.used")) * MIB
        memory = (ctypes.c_ulonglong * 3)()  # total, free, used
        result = self.nvml.nvmlDeviceGetMemoryInfo(self.handle, ctypes.byref(memory))
        if result:
            raise Failure(f"nvmlDeviceGetMemoryInfo: {result}")
        return memory[2]

    def used(self, patience=3):
        """When it does not change any more: a process that has just ended gives its memory back a little later."""
        until = time.monotonic() + patience
        last = self.used_now()
        same = 0
        while same < 3 and time.monotonic() < until:
            time.sleep(0.05)
            now = self.used_now()
            same = same + 1 if now == last else 0
            last = now
        return last


class Driver:
    """The driver's own checkpoint of another process."""

    def __init__(self):
        self.library = ctypes.CDLL(os.environ.get("TORPOR_LIBCUDA") or "libcuda.so.1")
        self._call("cuInit", ctypes.c_uint(0))

    def _call(self, name, *arguments):
        begun = time.perf_counter()
        result = getattr(self.library, name)(*arguments)
        if result:
            raise Failure(f"{name} answers {result}")
        return time.perf_counter() - begun

    def _step(self, name, pid, first=0):
        arguments = (ctypes.c_uint * 16)(first)  # all of these structures have 64 bytes, zero but for the timeout
        return self._call("cuCheckpointProcess" + name, ctypes.c_int(pid), ctypes.byref(arguments))

    def suspend(self, worker):
        """Seconds of each step; parks first if there is a shim."""
        steps = {}
        begun = time.perf_counter()
        if worker.shim:
            worker.park()
            steps["park"] = time.perf_counter() - begun
        steps["lock"] = self._step("Lock", worker.pid, 10000)
        steps["checkpoint"] = self._step("Checkpoint", worker.pid)
        return dict(steps, whole=time.perf_counter() - begun)

    def resume(self, worker):
        steps = {}
        begun = time.perf_counter()
        steps["restore"] = self._step("Restore", worker.pid)
        steps["unlock"] = self._step("Unlock", worker.pid)
        if worker.shim:
            parked = time.perf_counter()
            worker.unpark()
            steps["unpark"] = time.perf_counter() - parked
        return dict(steps, whole=time.perf_counter() - begun)


def touch_host_memory(size):
    """Memory that a virtual machine has never given to its guest is slow when it is touched: it shall be touched before."""
    with open("/proc/meminfo") as lines:
        available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    part = max(0, min(size, available - (8 << 30))) // 16

    def touch():
        memory = ctypes.create_string_buffer(part) if part else None  # zeroed by calloc, so not touched yet
        if memory:
            ctypes.memset(memory, 1, part)

    threads = [threading.Thread(target=touch) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def quantile(values, part):
    """Between two values, where it falls there."""
    values = sorted(values)
    if not values:
        return float("nan")
    at = part * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def median(values):
    return quantile(values, 0.5)


def goal(what, limit, measured, least=False):
    """What was to be reached; NaN is never."""
    reached = measured >= limit if least else measured <= limit
    return {"what": what, "least": least, "limit": limit, "measured": measured, "reached": reached}


def control(main, description):
    """Runs a controller, whose last line is its answer: main gives title, columns, rows, goals and remarks."""
    arguments = parse(description)
    device = Device()
    try:
        answer = main(arguments, device)
        print(json.dumps(dict(answer, device=device.name())), flush=True)
    except Missing as missing:
        print(json.dumps({"missing": str(missing)}), flush=True)
    finally:
        if Worker.folder:
            shutil.rmtree(Worker.folder, ignore_errors=True)


# Workers


def need(*names):
    """The modules of these names; without them, an answer that says which is missing, and the end."""
    from common import need as need_modules

    return need_modules(*names)


def reply(**values):
    print(json.dumps(values), flush=True)


def commands():
    for line in iter(sys.stdin.readline, ""):
        yield line.strip()


def told_something():
    """Whether a command waits; nothing may be left in Python's buffer, so commands come one by one."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def captured(torch, work):
    """A graph of the work, and where its result will be."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()  # before a capture, as PyTorch wants it
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()
    return graph, result
