"""JAX: a compiled training step, and large copies both ways. Prints a digest of all results."""
from common import Digest, answer, need

jax, np = need("jax", "numpy")
jnp = jax.numpy
if jax.default_backend() != "gpu":
    answer(missing="a GPU that JAX sees: its backend is " + jax.default_backend())
    raise SystemExit(0)
random = np.random.default_rng(7)
digest = Digest()


def take(name, array):
    digest.add(name, np.ascontiguousarray(np.asarray(array)))


def large_copies():
    host = random.standard_normal(96 << 20, dtype=np.float32)  # 384 MiB
    device = jax.device_put(host)
    take("large", device)
    take("large, tripled", jax.jit(lambda x: x * 3)(device))


@jax.jit
def step(weights, batch):
    def loss(w):
        return jnp.mean((jnp.tanh(batch @ w[0]) @ w[1] - batch) ** 2)

    value, slopes = jax.value_and_grad(loss)(weights)
    return value, [w - 0.1 * slope for w, slope in zip(weights, slopes)]


def training():
    weights = [jax.device_put(0.02 * random.standard_normal(shape, dtype=np.float32)) for shape in ((1024, 4096), (4096, 1024))]
    for _ in range(5):
        value, weights = step(weights, random.standard_normal((256, 1024), dtype=np.float32))
        take("loss", value)
    for weight in weights:
        take("weight", weight)


large_copies()
training()
answer(digest=str(digest), version=jax.__version__)
