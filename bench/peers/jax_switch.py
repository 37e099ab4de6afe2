"""switch-base-8's pretraining step hand-written in JAX: bfloat16, Adafactor, one compiled program with donated state."""

import argparse
import math
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from common import random_tokens, serve
from jax_step import CompiledStep
from jax_train import position_buckets

BUCKETS = 32
BALANCE_COEFFICIENT, Z_COEFFICIENT = 0.01, 1e-4
CAPACITY_FACTOR, GROUP_SIZE = 1.25, 8192
SIZES = {
    "switch-base-8": dict(vocab=32128, d_model=768, d_ff=3072, heads=12, layers=12, batch=32, inputs=512, targets=114),
    # Small enough to try this program on a processor.
    "switch-tiny": dict(vocab=512, d_model=128, d_ff=256, heads=2, layers=2, batch=4, inputs=32, targets=16),
}
EXPERTS, HEAD = 8, 64


def init(key, sizes):
    """Random float32 parameters, in the shapes of T5X."""
    d_model, d_ff, inner = sizes["d_model"], sizes["d_ff"], sizes["heads"] * HEAD
    keys = iter(jax.random.split(key, 1000))

    def normal(shape, fan_in):
        return jax.random.normal(next(keys), shape, jnp.float32) * (0.1 / fan_in) ** 0.5

    def attention():
        return {
            "q": normal((d_model, inner), d_model * HEAD),
            "k": normal((d_model, inner), d_model),
            "v": normal((d_model, inner), d_model),
            "o": normal((inner, d_model), inner),
        }

    def feed_forward(layer):
        if layer % 2 == 0:
            return {"wi": normal((d_model, d_ff), d_model), "wo": normal((d_ff, d_model), d_ff)}
        return {
            "router": normal((d_model, EXPERTS), 250),
            "wi": normal((EXPERTS, d_model, d_ff), d_model),
            "wo": normal((EXPERTS, d_ff, d_model), d_ff),
        }

    def block(layer, decoder):
        norm = jnp.ones(d_model)
        cross = {"cross": attention(), "cross_norm": norm} if decoder else {}
        return {"self": attention(), "self_norm": norm, **cross, "ff": feed_forward(layer), "ff_norm": norm}

    def stack(decoder):
        return {
            "bias": normal((BUCKETS, sizes["heads"]), 10),
            "blocks": [block(layer, decoder) for layer in range(sizes["layers"])],
            "norm": jnp.ones(d_model),
        }

    embedding = jax.random.normal(next(keys), (sizes["vocab"], d_model), jnp.float32)
    return {"embedding": embedding, "encoder": stack(False), "decoder": stack(True)}


def dense(x, kernel):
    return x @ kernel.astype(x.dtype)


def rms_norm(x, scale):
    x32 = x.astype(jnp.float32)
    normed = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, -1, keepdims=True) + 1e-6)
    return normed.astype(jnp.bfloat16) * scale.astype(jnp.bfloat16)


def attend(p, x, memory, bias):
    def heads(t):
        return t.reshape(*t.shape[:2], -1, HEAD)

    q, k, v = heads(dense(x, p["q"])), heads(dense(memory, p["k"])), heads(dense(memory, p["v"]))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) + bias.astype(x.dtype)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores, -1), v)
    return dense(mixed.reshape(*x.shape[:2], -1), p["o"])


def route(router, tokens):
    """Top-1 routing of one group of tokens: their slots, the token in each slot, gates, and the balance loss."""
    count = tokens.shape[0]
    capacity = round(CAPACITY_FACTOR * count / EXPERTS)
    probabilities = jax.nn.softmax(tokens.astype(jnp.float32) @ router, -1)
    chosen = jnp.argmax(probabilities, -1)
    one_hot = jax.nn.one_hot(chosen, EXPERTS, dtype=jnp.int32)
    place = jnp.sum(jnp.cumsum(one_hot, 0) * one_hot, -1) - 1
    # The extra last slot takes the dropped tokens.
    slots = EXPERTS * capacity
    slot = jnp.where(place < capacity, chosen * capacity + place, slots)
    token_of_slot = jnp.full(slots + 1, count).at[slot].set(jnp.arange(count))[:slots]
    balance = EXPERTS * jnp.sum(jnp.mean(one_hot.astype(jnp.float32), 0) * jnp.mean(probabilities, 0))
    return slot, token_of_slot, jnp.max(probabilities, -1), balance


def switch(p, x):
    d_model = x.shape[-1]
    groups = -(-x.shape[0] * x.shape[1] // GROUP_SIZE)
    tokens = x.reshape(groups, -1, d_model)
    slot, token_of_slot, gate, balance = jax.vmap(partial(route, p["router"]))(tokens)
    take = jax.vmap(lambda rows, index: rows.at[index].get(mode="fill", fill_value=0))
    inputs = take(tokens, token_of_slot).reshape(groups, EXPERTS, -1, d_model)
    hidden = jax.nn.relu(jnp.einsum("gecd,edf->gecf", inputs, p["wi"].astype(x.dtype)))
    outputs = jnp.einsum("gecf,efd->gecd", hidden, p["wo"].astype(x.dtype)).reshape(groups, -1, d_model)
    y = take(outputs, slot) * gate[..., None]
    return y.reshape(x.shape), jnp.mean(balance)


def feed_forward(p, x):
    if "router" in p:
        return switch(p, x)
    return dense(jax.nn.relu(dense(x, p["wi"])), p["wo"]), 0.0


def run_stack(p, x, memory=None):
    length = x.shape[1]
    bias = p["bias"][position_buckets(length, memory is None)].transpose(2, 0, 1)
    if memory is not None:
        bias += np.where(np.tri(length), 0, -1e10).astype(np.float32)
    balance = 0.0
    for block in p["blocks"]:
        normed = rms_norm(x, block["self_norm"])
        x += attend(block["self"], normed, normed, bias)
        if memory is not None:
            x += attend(block["cross"], rms_norm(x, block["cross_norm"]), memory, jnp.zeros(()))
        y, layer_balance = feed_forward(block["ff"], rms_norm(x, block["ff_norm"]))
        x = x + y
        balance += layer_balance
    sparse = len(p["blocks"]) // 2
    return rms_norm(x, p["norm"]), balance / sparse


def loss_of(p, source, target):
    embedding = p["embedding"].astype(jnp.bfloat16)
    memory, encoder_balance = run_stack(p["encoder"], embedding[source])
    shifted = jnp.pad(target[:, :-1], ((0, 0), (1, 0)))
    x, decoder_balance = run_stack(p["decoder"], embedding[shifted], memory)
    logits = ((x * x.shape[-1] ** -0.5) @ embedding.T).astype(jnp.float32)
    log_z = jax.nn.logsumexp(logits, -1)
    of_target = jnp.take_along_axis(logits, target[..., None], -1)[..., 0]
    cross_entropy = jnp.mean(log_z - of_target)
    balance = BALANCE_COEFFICIENT * (encoder_balance + decoder_balance) / 2
    return cross_entropy + Z_COEFFICIENT * jnp.mean(log_z**2) + balance


def factored_axes(shape):
    """The axes of rows and columns, or None: both sides need 128 elements. Experts are a batch of matrices."""
    if len(shape) < 2 or (len(shape) == 2 and min(shape) < 128):
        return None
    return len(shape) - 2, len(shape) - 1


def adafactor_init(p):
    def state(w):
        axes = factored_axes(w.shape)
        if axes is None:
            return {"v": jnp.zeros_like(w)}
        row, column = axes
        return {"row": jnp.zeros(np.delete(w.shape, column)), "column": jnp.zeros(np.delete(w.shape, row))}

    return jax.tree.map(state, p)


def adafactor_update(w, g, state, t, rate):
    """T5X's Adafactor without momentum: updates are clipped, and relative to the parameter's root mean square."""
    decay = 1 - t**-0.8
    squares = g * g + 1e-30
    # Each expert is a parameter of its own.
    averaged = tuple(range(1, 3)) if w.ndim == 3 else tuple(range(w.ndim))
    rms = lambda x: jnp.sqrt(jnp.mean(x * x, averaged, keepdims=True))  # noqa: E731
    axes = factored_axes(w.shape)
    if axes is None:
        new = {"v": decay * state["v"] + (1 - decay) * squares}
        direction = g * jax.lax.rsqrt(new["v"])
    else:
        row_axis, column_axis = axes
        new = {
            "row": decay * state["row"] + (1 - decay) * jnp.mean(squares, column_axis),
            "column": decay * state["column"] + (1 - decay) * jnp.mean(squares, row_axis),
        }
        of_rows = jax.lax.rsqrt(new["row"] / jnp.mean(new["row"], -1, keepdims=True))
        direction = g * of_rows[..., None] * jax.lax.rsqrt(new["column"])[..., None, :]
    step = rate * jnp.maximum(rms(w), 1e-3) / jnp.maximum(rms(direction), 1)
    return w - step * direction, new


def train_step(state, source, target):
    p, moments, t = state
    loss, gradients = jax.value_and_grad(loss_of)(p, source, target)
    t += 1
    leaves, tree = jax.tree.flatten(p)
    updated = [
        adafactor_update(w, g, m, t, 1e-3)
        for w, g, m in zip(leaves, jax.tree.leaves(gradients), tree.flatten_up_to(moments), strict=True)
    ]
    new_p, new_moments = (jax.tree.unflatten(tree, part) for part in zip(*updated, strict=True))
    return (new_p, new_moments, t), loss


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=tuple(SIZES), default="switch-base-8")
    arguments = parser.parse_args()
    sizes = SIZES[arguments.shape]
    p = jax.jit(partial(init, sizes=sizes))(jax.random.key(0))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(p))
    state = (p, adafactor_init(p), jnp.float32(0))
    batch = sizes["batch"]
    source, target = (
        jnp.asarray(random_tokens(seed, batch, sizes[name]) % sizes["vocab"], jnp.int32)
        for seed, name in enumerate(("inputs", "targets"))
    )
    del p

    step = CompiledStep(train_step, state, source, target)
    del state

    def gemm(count):
        """The fastest of some large bfloat16 products."""
        size = 8192 if jax.default_backend() != "cpu" else 512
        x = jnp.full((size, size), 0.5, jnp.bfloat16)
        product = jax.jit(jnp.matmul)
        jax.block_until_ready(product(x, x))
        best = math.inf
        for _ in range(count):
            begin = time.perf_counter()
            jax.block_until_ready(product(x, x))
            best = min(best, time.perf_counter() - begin)
        return {"flopsPerSecond": 2 * size**3 / best}

    device = jax.devices()[0]
    ready = {
        "name": "jax",
        "backend": f"jax {jax.__version__} on {device.platform} ({device.device_kind})",
        **step.seconds,
        "parameters": parameters,
    }
    serve(ready, {"step": step.run, "gemm": gemm})


if __name__ == "__main__":
    main()
