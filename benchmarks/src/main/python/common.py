"""What the programs share: an answer of one line of JSON, and settings that make results the same each time."""
import hashlib
import importlib
import json
import os
import sys
import time

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("XLA_FLAGS", "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def need(*names):
    """The modules of these names, or the end, with an answer that says which is missing."""
    modules = []
    for name in names:
        try:
            modules.append(importlib.import_module(name))
        except ImportError as error:
            answer(missing=f"{name} ({error})")
            sys.exit(0)
    return modules


def answer(**values):
    print(json.dumps(values), flush=True)


def seconds(work):
    """How long it took, and its result; the work must itself wait for the GPU."""
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def median(values):
    """The value in the middle, or half-way between the two in the middle."""
    values = sorted(values)
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


class Digest:
    """Of the bytes of arrays, whose names, types and shapes count too."""

    def __init__(self):
        self.sum = hashlib.blake2b(digest_size=16)

    def add(self, name, array):
        self.sum.update(f"{name} {array.dtype} {array.shape}".encode())
        self.sum.update(array.tobytes())

    def __str__(self):
        return self.sum.hexdigest()
