"""CuPy: products, a kernel of its own, streams of its own, large copies both ways. Prints a digest of all results."""
from common import Digest, answer, need

cp, np = need("cupy", "numpy")
random = np.random.default_rng(7)
digest = Digest()


def take(name, array):
    digest.add(name, np.ascontiguousarray(array))


def large_copies():
    host = random.standard_normal(96 << 20, dtype=np.float32)  # 384 MiB
    device = cp.asarray(host)
    take("large", device.get())
    device *= 5
    into = np.empty_like(host)
    device.get(out=into)
    take("large, times five", into)


def products():
    a, b = (cp.asarray(random.standard_normal((2048, 2048), dtype=np.float32)) for _ in range(2))
    take("product", cp.asnumpy(a @ b))
    take("sorted", cp.asnumpy(cp.sort(a, axis=1)))


def own_kernel():
    source = """extern "C" __global__ void mix(const unsigned long long *from, unsigned long long *to, unsigned long long count) {
        unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
        if (i < count) to[i] = (from[i] ^ i) * 0x9E3779B97F4A7C15ull;
    }"""
    mix = cp.RawKernel(source, "mix")
    words = random.integers(0, 1 << 63, 16 << 20, dtype=np.uint64)
    result = cp.empty(len(words), dtype=cp.uint64)
    mix((len(words) // 256,), (256,), (cp.asarray(words), result, np.uint64(len(words))))
    take("mixed", result.get())


def streams():
    for i in range(2):
        host = random.standard_normal(64 << 20, dtype=np.float32)  # 256 MiB
        with cp.cuda.Stream(non_blocking=True) as stream:
            device = cp.empty(host.shape, dtype=host.dtype)
            device.set(host, stream=stream)
            device += 1
            back = device.get(stream=stream)
            stream.synchronize()
        take(f"stream {i}", back)


large_copies()
products()
own_kernel()
streams()
answer(digest=str(digest), version=cp.__version__)
