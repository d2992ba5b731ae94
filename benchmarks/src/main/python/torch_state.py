"""torch_state.py FOLDER [MIB]: loads a state dict in a safetensors file to the GPU, straight and by way of the CPU, in seconds.

The file is made, always the same, where it is not there yet.
"""
import os
import sys

from common import answer, median, need, seconds

torch, files = need("torch", "safetensors.torch")
mib = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
path = os.path.join(sys.argv[1], f"torpor-state-{mib}.safetensors")
LAYER = 64  # MiB
ROUNDS = 2


def make():
    torch.manual_seed(20)
    layers = [LAYER] * (mib // LAYER) + [mib % LAYER] * (mib % LAYER > 0)
    state = {f"layer.{i}.weight": torch.randn(size, 1 << 18) for i, size in enumerate(layers)}
    files.save_file(state, path + ".part")
    os.rename(path + ".part", path)


def straight():
    state = files.load_file(path, device="cuda")
    torch.cuda.synchronize()
    return state


def by_way_of_the_cpu():
    state = {name: tensor.cuda() for name, tensor in files.load_file(path).items()}
    torch.cuda.synchronize()
    return state


def checksum(state):
    """By the GPU, of the bits as integers."""
    total = 0
    for i, name in enumerate(sorted(state)):
        bits = state[name].view(torch.int32).flatten().to(torch.int64)
        place = torch.arange(1, len(bits) + 1, device=bits.device)
        total += int((bits * place).sum()) * (i + 1)
    return total % (1 << 64)


if not os.path.exists(path):
    make()
torch.zeros(1, device="cuda")
times, sums = {}, set()
for name, load in {"load_file to cuda": straight, "load_file, cuda()": by_way_of_the_cpu}.items():
    load()  # the file is in memory, the allocator has its blocks, and what starts late has started
    taken = []
    for _ in range(ROUNDS):
        took, state = seconds(load)
        taken.append(took)
        sums.add(checksum(state))
        del state
    times[name] = median(taken)
assert len(sums) == 1, "two ways of loading gave two results"
answer(digest=f"{sums.pop():016x}", seconds=times)
