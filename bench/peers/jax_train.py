"""The benchmark model hand-written in JAX: the whole training step is one compiled program."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from common import (
    CAPACITY_FACTOR, D_FF, D_HEAD, D_MODEL, HEADS, LAYERS, LEARNING_RATE, VOCAB,
    parse_arguments, serve, training_batch,
)  # fmt: skip
from jax_step import CompiledStep

BUCKETS, MAX_DISTANCE = 32, 128
BALANCE_COEFFICIENT = 0.01
INNER = HEADS * D_HEAD


def init(key, experts):
    """Random parameters; experts = 0 makes every feed-forward dense."""

    def normal(shape, std):
        nonlocal key
        key, sub = jax.random.split(key)
        return jax.random.normal(sub, shape, jnp.float32) * std

    def attention():
        return {
            "q": normal((D_MODEL, INNER), (D_MODEL * D_HEAD) ** -0.5),
            "k": normal((D_MODEL, INNER), D_MODEL**-0.5),
            "v": normal((D_MODEL, INNER), D_MODEL**-0.5),
            "o": normal((INNER, D_MODEL), INNER**-0.5),
        }

    def feed_forward(layer):
        if experts == 0 or layer % 2 == 0:
            return {"wi": normal((D_MODEL, D_FF), D_MODEL**-0.5), "wo": normal((D_FF, D_MODEL), D_FF**-0.5)}
        return {
            "router": normal((D_MODEL, experts), 0.02),
            "wi": normal((experts, D_MODEL, D_FF), D_MODEL**-0.5),
            "wo": normal((experts, D_FF, D_MODEL), D_FF**-0.5),
        }

    def block(layer, decoder):
        block = {"self": attention(), "self_norm": jnp.ones(D_MODEL)}
        if decoder:
            block |= {"cross": attention(), "cross_norm": jnp.ones(D_MODEL)}
        return block | {"ff": feed_forward(layer), "ff_norm": jnp.ones(D_MODEL)}

    def stack(decoder):
        return {
            "bias": normal((BUCKETS, HEADS), D_MODEL**-0.5),
            "blocks": [block(layer, decoder) for layer in range(LAYERS)],
            "norm": jnp.ones(D_MODEL),
        }

    return {"embedding": normal((VOCAB, D_MODEL), 1.0), "encoder": stack(False), "decoder": stack(True)}


def rms_norm(x, weight):
    return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6) * weight


def position_buckets(length, bidirectional):
    """T5's relative position buckets, [query, key], computed while tracing."""
    distance = np.arange(length)[:, None] - np.arange(length)[None]
    buckets, offset = BUCKETS, 0
    if bidirectional:
        buckets //= 2
        offset = (distance < 0) * buckets
        distance = np.abs(distance)
    distance = np.maximum(distance, 0)
    exact = buckets // 2
    scale = (buckets - exact) / math.log(MAX_DISTANCE / exact)
    far = exact + (np.log(np.maximum(distance, 1) / exact) * scale).astype(np.int64)
    return offset + np.where(distance < exact, distance, np.minimum(far, buckets - 1))


def attend(p, x, memory, bias=0.0):
    def heads(t):
        return t.reshape(*t.shape[:2], HEADS, D_HEAD).transpose(0, 2, 1, 3)

    q, k, v = heads(x @ p["q"]), heads(memory @ p["k"]), heads(memory @ p["v"])
    weights = jax.nn.softmax(q @ k.swapaxes(-1, -2) + bias, -1)
    return (weights @ v).transpose(0, 2, 1, 3).reshape(*x.shape[:2], INNER) @ p["o"]


def switch(p, x):
    """Top-1 routing over all tokens as one group; tokens past an expert's capacity give zero."""
    experts = p["router"].shape[1]
    tokens = x.reshape(-1, D_MODEL)
    count = tokens.shape[0]
    capacity = math.ceil(CAPACITY_FACTOR * count / experts)

    probabilities = jax.nn.softmax(tokens @ p["router"], -1)
    chosen = jnp.argmax(probabilities, -1)
    gate = jnp.max(probabilities, -1)
    one_hot = jax.nn.one_hot(chosen, experts, dtype=jnp.int32)
    place = jnp.sum(jnp.cumsum(one_hot, 0) * one_hot, -1) - 1
    # A token's slot among all experts' slots; the extra last slot takes the dropped tokens.
    slots = experts * capacity
    slot = jnp.where(place < capacity, chosen * capacity + place, slots)
    token_of_slot = jnp.full(slots + 1, count).at[slot].set(jnp.arange(count))[:slots]

    zero = jnp.zeros((1, D_MODEL))
    inputs = jnp.concatenate([tokens, zero])[token_of_slot].reshape(experts, capacity, D_MODEL)
    hidden = jax.nn.relu(jnp.einsum("ecd,edf->ecf", inputs, p["wi"]))
    outputs = jnp.einsum("ecf,efd->ecd", hidden, p["wo"]).reshape(slots, D_MODEL)
    y = jnp.concatenate([outputs, zero])[slot] * gate[:, None]

    balance = experts * jnp.sum(jnp.mean(one_hot.astype(jnp.float32), 0) * jnp.mean(probabilities, 0))
    return y.reshape(x.shape), balance


def feed_forward(p, x):
    if "router" in p:
        return switch(p, x)
    return jax.nn.relu(x @ p["wi"]) @ p["wo"], 0.0


def run_stack(p, x, memory=None):
    length = x.shape[1]
    bias = p["bias"][position_buckets(length, memory is None)].transpose(2, 0, 1)
    if memory is not None:
        bias += np.where(np.tri(length), 0, -1e9).astype(np.float32)
    balance = 0.0
    for block in p["blocks"]:
        normed = rms_norm(x, block["self_norm"])
        x += attend(block["self"], normed, normed, bias)
        if memory is not None:
            x += attend(block["cross"], rms_norm(x, block["cross_norm"]), memory)
        y, layer_balance = feed_forward(block["ff"], rms_norm(x, block["ff_norm"]))
        x += y
        balance += layer_balance
    return rms_norm(x, p["norm"]), balance


def loss_of(p, source, target):
    memory, encoder_balance = run_stack(p["encoder"], p["embedding"][source])
    shifted = jnp.pad(target[:, :-1], ((0, 0), (1, 0)))
    x, decoder_balance = run_stack(p["decoder"], p["embedding"][shifted], memory)
    logits = (x * D_MODEL**-0.5) @ p["embedding"].T
    of_target = jnp.take_along_axis(logits, target[..., None], -1)[..., 0]
    cross_entropy = jnp.mean(jax.nn.logsumexp(logits, -1) - of_target)
    return cross_entropy + BALANCE_COEFFICIENT * (encoder_balance + decoder_balance)


def train_step(state, source, target):
    p, m, v, t = state
    loss, gradients = jax.value_and_grad(loss_of)(p, source, target)
    t += 1
    m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradients)
    v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradients)
    rate, correction = LEARNING_RATE / (1 - 0.9**t), 1 / (1 - 0.999**t)
    p = jax.tree.map(lambda w, a, b: w - rate * a / (jnp.sqrt(b * correction) + 1e-8), p, m, v)
    return (p, m, v, t), loss


def main():
    arguments = parse_arguments(__doc__)
    p = init(jax.random.key(0), 0 if arguments.dense else arguments.experts)
    state = (p, jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p), jnp.float32(0))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(p))
    source, target = (jnp.asarray(tokens, jnp.int32) for tokens in training_batch())
    del p

    step = CompiledStep(train_step, state, source, target)
    del state

    ready = {
        "name": "jax",
        **step.seconds,
        "parameters": parameters,
    }
    serve(ready, {"step": step.run})


if __name__ == "__main__":
    main()
