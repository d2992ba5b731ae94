"""PyTorch: a training step, a captured graph, streams of its own, large copies both ways. Prints a digest of all results."""
from common import Digest, answer, need

torch, _ = need("torch", "numpy")
torch.manual_seed(7)
torch.use_deterministic_algorithms(True)
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
digest = Digest()


def take(name, tensor):
    digest.add(name, tensor.detach().cpu().contiguous().numpy())


def large_copies():
    host = torch.randn(96 << 20)  # 384 MiB
    device = host.cuda()
    take("large", device)
    take("large, doubled", device * 2)
    device[: 64 << 20].copy_(host[32 << 20 :], non_blocking=True)
    torch.cuda.synchronize()
    take("large, shifted", device)
    back = torch.empty_like(host)
    back.copy_(device)
    take("large, copied into", back)


def pinned_copies():
    host = torch.randn(64 << 20).pin_memory()
    take("pinned", host.to("cuda", non_blocking=True))


def training():
    model = torch.nn.Sequential(torch.nn.Linear(2048, 4096), torch.nn.GELU(), torch.nn.Linear(4096, 2048)).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(5):
        batch = torch.randn(256, 2048)
        loss = (model(batch.cuda()) - batch.cuda()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        take("loss", loss)
    for name, value in model.state_dict().items():
        take(name, value)


def captured_graph():
    weight, batch = torch.randn(1024, 1024).cuda(), torch.randn(1024, 1024).cuda()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        torch.relu(batch @ weight)  # before a capture, as PyTorch wants it
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = torch.relu(batch @ weight)
    for i in range(3):
        batch.copy_(torch.randn(1024, 1024))
        graph.replay()
        take(f"replay {i}", result)


def streams():
    hosts = [torch.randn(64 << 20) for _ in range(2)]  # 256 MiB each
    results = []
    for host in hosts:
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            results.append(host.cuda(non_blocking=True).mul_(3).cpu())
        stream.synchronize()
    for i, result in enumerate(results):
        take(f"stream {i}", result)


large_copies()
pinned_copies()
training()
captured_graph()
streams()
answer(digest=str(digest), version=torch.__version__)
