"""Random numbers by JAX, jit-compiled. `NAME SIZE` draws once: the time, and a thousand of the values to compare."""

import time
from functools import partial

import common  # first: it keeps other output away from the replies
import jax
import jax.numpy as jnp
import numpy as np

ROWS = 200


def categorical(key, size):
    logits = jnp.sin(jnp.arange(size, dtype=jnp.float32)).reshape(ROWS, size // ROWS)
    return jax.random.categorical(key, logits)


draws = {
    "bits": lambda key, size: jax.random.bits(key, (size,)),
    "uniform": lambda key, size: jax.random.uniform(key, (size,)),
    "normal": lambda key, size: jax.random.normal(key, (size,)),
    "bernoulli": lambda key, size: jax.random.bernoulli(key, 0.3, (size,)),
    "randint": lambda key, size: jax.random.randint(key, (size,), 0, 100),
    "truncatedNormal": lambda key, size: jax.random.truncated_normal(key, -2.0, 2.0, (size,)),
    "gumbel": lambda key, size: jax.random.gumbel(key, (size,)),
    "categorical": categorical,
    "permutation": lambda key, size: jax.random.permutation(key, size),
}
compiled = {name: jax.jit(draw, static_argnums=1) for name, draw in draws.items()}


def timed(name, size):
    key = jax.random.key(0)
    start = time.perf_counter()
    values = jax.block_until_ready(compiled[name](key, size))
    seconds = time.perf_counter() - start
    step = max(1, values.size // 1000)
    return {"seconds": seconds, "values": [float(v) for v in np.asarray(values)[::step]]}


common.serve({"name": "jax"}, {name: partial(timed, name) for name in draws})
