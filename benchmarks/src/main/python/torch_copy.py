"""torch_copy.py [MIB] [ROUNDS]: a pageable tensor to the GPU with .cuda() and back with .cpu(), in GB/s."""
import sys

from common import answer, median, need, seconds

(torch,) = need("torch")
mib = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
words = mib * (1 << 20) // 8


def to_gpu(tensor):
    copied = tensor.cuda()
    torch.cuda.synchronize()
    return copied


def checksum(tensor):
    """By the GPU: every word counts, and its place too."""
    place = torch.arange(1, 1 + (1 << 20), device=tensor.device)
    return sum(int((part * place[: len(part)]).sum()) * (i + 1) for i, part in enumerate(tensor.split(1 << 20))) % (1 << 64)


host = torch.arange(words, dtype=torch.int64).mul_(0x9E3779B97F4A7C15 - (1 << 64))
host.bitwise_xor_(host >> 29)
to_gpu(torch.zeros(1 << 20))
to_gpu(host).cpu()  # the memory of both sides is there, and what starts late has started
up, down = [], []
for _ in range(rounds):
    took, device = seconds(lambda: to_gpu(host))
    up.append(took)
    took, back = seconds(device.cpu)
    down.append(took)
    assert torch.equal(back, host), "what came back is not what was sent"
answer(
    digest=f"{checksum(device):016x}",
    speeds={"to-gpu": words * 8 / 1e9 / median(up), "from-gpu": words * 8 / 1e9 / median(down)},
)
