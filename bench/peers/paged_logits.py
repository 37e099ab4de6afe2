"""Computes a model whose experts lie apart, or are made from a seed, in NumPy, and compares log-probabilities.

    python paged_logits.py [--given-routing] MODEL ANSWER.json

MODEL is a folder of our own format: params.safetensors, and experts.bin or pages/. ANSWER.json is what
`npm run bench:paged` writes: the input's and the answer's token ids, the expert that each token met, and for some of
its steps the most probable tokens with their log-probabilities. Only the experts that the tokens meet are read, from
the same files as Switchyard reads.

With 8 bits, a small difference before a rounding becomes a large one after it, and a router whose two best experts are
nearly equal may then choose another one: everything after that differs. With --given-routing, tokens go to the experts
that ANSWER.json names, and each choice is checked by itself: where NumPy's router prefers another expert, its
logit may be greater only by what rounding explains.
"""

import argparse
import json
import os
import sys

import numpy as np

DTYPES = {"F32": np.float32, "I8": np.int8, "U8": np.uint8, "BF16": np.uint16, "I32": np.int32}
NAMES = {"float32": np.float32, "int8": np.int8, "uint8": np.uint8, "bfloat16": np.uint16}


def widened(x, is_bfloat16):
    return (x.astype(np.uint32) << 16).view(np.float32) if is_bfloat16 else x


class Dense:
    """The tensors of params.safetensors, read when they are asked for."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "params.safetensors")
        with open(self.path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            self.header = json.loads(file.read(length))
        self.start = 8 + length

    def __contains__(self, name):
        return name in self.header

    def __getitem__(self, name):
        info = self.header[name]
        begin, end = info["data_offsets"]
        with open(self.path, "rb") as file:
            file.seek(self.start + begin)
            data = np.frombuffer(file.read(end - begin), DTYPES[info["dtype"]]).reshape(info["shape"])
        return widened(data, info["dtype"] == "BF16")

    def kernel(self, path):
        return (self[path + "/values"], self[path + "/scales"]) if path + "/values" in self else (self[path], None)


class Experts:
    """Pages of experts: ranges of experts.bin, or the files that were made from a seed."""

    def __init__(self, folder, stacks):
        self.folder, self.stacks, self.met = folder, {stack["path"]: stack for stack in stacks}, set()

    def __getitem__(self, key):
        path, expert = key
        stack = self.stacks[path]
        self.met.add(key)
        if "begin" in stack:
            name, at = os.path.join(self.folder, "experts.bin"), stack["begin"] + expert * stack["stride"]
        else:
            name, at = os.path.join(self.folder, "pages", path, f"{expert}.page"), 0
        with open(name, "rb") as file:
            file.seek(at)
            page = file.read(stack["bytes"])
        tensors = {}
        for part in stack["parts"]:
            count = int(np.prod(part["shape"]))
            data = np.frombuffer(page, NAMES[part["dtype"]], count, part["offset"]).reshape(part["shape"])
            projection = part["parameter"].split("/")[-2]
            tensors.setdefault(projection, {})[part["kind"]] = widened(data, part["dtype"] == "bfloat16")
        return {p: (t.get("values", t.get("kernel")), t.get("scales")) for p, t in tensors.items()}


def product(x, kernel):
    """x [rows, in] times a kernel [in, out]; with scales, in integers as nn/quantized.ts says."""
    values, scales = kernel
    if scales is None:
        return x @ values
    largest = np.abs(x).max(-1, keepdims=True)
    divided = (x / np.where(largest == 0, np.float32(1), largest)) / np.float32(1 / 127)
    sums = np.rint(divided).astype(np.float64) @ values.astype(np.float64)
    return (sums.astype(x.dtype) * (scales * np.float32(1 / 127))) * largest


def norm(x, scale, epsilon):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(epsilon)) * scale


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def bucket(distance, bidirectional, buckets, most):
    """Raffel et al. 2020, section 2.1."""
    half = buckets // 2 if bidirectional else buckets
    offset = half * (distance > 0) if bidirectional else 0
    away = np.abs(distance) if bidirectional else np.maximum(-distance, 0)
    exact = half // 2
    far = exact + (np.log(np.maximum(away, 1) / exact) / np.log(most / exact) * (half - exact)).astype(int)
    return offset + np.where(away < exact, away, np.minimum(far, half - 1))


class Model:
    """`routing`: for each stack and sparse layer, the expert of each token; None: the router chooses."""

    def __init__(self, folder, config, stacks, dtype=np.float32, routing=None):
        self.c, self.dense, self.experts, self.dtype = config, Dense(folder), Experts(folder, stacks), dtype
        self.routing = routing and {name: iter(layers) for name, layers in routing.items()}
        self.router_logits = []

    def embed(self, ids):
        values, scales = self.dense.kernel("token_embedder/embedding")
        rows = values[ids] if scales is None else values[ids].astype(np.float32) * scales[ids, None]
        return rows.astype(self.dtype)

    def attention(self, at, x, memory, bias):
        heads = self.c["numHeads"]
        split = lambda y: y.reshape(len(y), heads, -1).transpose(1, 0, 2)
        q, k, v = (
            split(product(y, self.dense.kernel(f"{at}/{name}/kernel")))
            for name, y in (("query", x), ("key", memory), ("value", memory))
        )
        weights = softmax(q @ k.transpose(0, 2, 1) + bias)
        mixed = (weights @ v).transpose(1, 0, 2).reshape(len(x), -1)
        return product(mixed, self.dense.kernel(f"{at}/out/kernel"))

    def feed_forward(self, x, kernels):
        if "wi" in kernels:
            return product(np.maximum(product(x, kernels["wi"]), 0), kernels["wo"])
        return product(gelu(product(x, kernels["wi_0"])) * product(x, kernels["wi_1"]), kernels["wo"])

    def mlp(self, at, x):
        if f"{at}/router/router_weights/w/kernel" not in self.dense:
            names = ["wi", "wo"] if not self.c["gatedActivation"] else ["wi_0", "wi_1", "wo"]
            return self.feed_forward(x, {n: self.dense.kernel(f"{at}/{n}/kernel") for n in names})
        logits = x @ self.dense[f"{at}/router/router_weights/w/kernel"]
        probabilities = softmax(logits)
        chosen = logits.argmax(-1)
        if self.routing:
            chosen = np.array(next(self.routing[at.split("/")[0]])[: len(x)])
        self.router_logits.append((logits, chosen))
        result = np.zeros_like(x)
        for expert in np.unique(chosen):
            rows = chosen == expert
            y = self.feed_forward(x[rows], self.experts[f"{at}/expert", int(expert)])
            result[rows] = y * probabilities[rows, expert][:, None]
        return result

    def stack(self, name, ids, memory=None):
        c, d, n = self.c, self.dense, len(ids)
        table = d[f"{name}/relpos_bias/rel_embedding"]
        distance = np.arange(n)[None, :] - np.arange(n)[:, None]
        places = bucket(distance, name == "encoder", c["relativePositionBuckets"], c["relativePositionMaxDistance"])
        bias = table[:, places] + (0 if memory is None else np.where(distance > 0, np.float32(-1e10), np.float32(0)))
        x = self.embed(ids)
        for i in range(c["numEncoderLayers" if memory is None else "numDecoderLayers"]):
            at = f"{name}/layers_{i}"
            normed = lambda part: norm(x, d[f"{at}/{part}/scale"], c["layerNormEpsilon"])
            if memory is None:
                y = normed("pre_attention_layer_norm")
                x = x + self.attention(f"{at}/attention", y, y, bias)
            else:
                y = normed("pre_self_attention_layer_norm")
                x = x + self.attention(f"{at}/self_attention", y, y, bias)
                y = normed("pre_cross_attention_layer_norm")
                x = x + self.attention(f"{at}/encoder_decoder_attention", y, memory, np.float32(0))
            x = x + self.mlp(f"{at}/mlp", normed("pre_mlp_layer_norm"))
        return norm(x, d[f"{name}/{name}_norm/scale"], c["layerNormEpsilon"])

    def log_probabilities(self, inputs, outputs):
        memory = self.stack("encoder", inputs)
        x = self.stack("decoder", [0, *outputs[:-1]], memory)
        x = x / np.float32(np.sqrt(self.c["dModel"])) if self.c["scaleLogits"] else x
        if self.c["tiedLogits"]:
            values, scales = self.dense.kernel("token_embedder/embedding")
            logits = product(x, (values.T, scales))
        else:
            logits = product(x, self.dense.kernel("decoder/logits_dense/kernel"))
        shifted = logits - logits.max(-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def check_routing(ours, exact):
    """Prints how Switchyard's choices of experts compare with NumPy's. Returns whether rounding explains all others."""
    choices = others = 0
    margin = rounding = 0.0
    for (logits, chosen), (reference, _) in zip(ours, exact):
        lost = logits.max(-1) - np.take_along_axis(logits, chosen[:, None], -1)[:, 0]
        choices, others = choices + len(lost), others + int((lost > 0).sum())
        margin = max(margin, float(lost.max()))
        rounding = max(rounding, float(np.abs(logits - reference).max()))
    print(
        f"routing: {others} of {choices} choices are not NumPy's; its expert's logit is greater by at most {margin:.2e}; "
        f"router logits in float32 and float64 differ by {rounding:.2e}"
    )
    return margin <= max(1e-4, 4 * rounding)


def main(folder, answer_path, given_routing):
    with open(os.path.join(folder, "checkpoint.json")) as file:
        config = json.load(file)["config"]["model"]
    with open(answer_path) as file:
        answer = json.load(file)
    routing = answer["routing"] if given_routing else None
    steps = answer["steps"]
    given = answer["input"], answer["output"][: len(steps)]
    model = Model(folder, config, answer["stacks"], routing=routing)
    ours = model.log_probabilities(*given)
    # With 8 bits a small difference before a rounding becomes a large one after it: float64 shows how large.
    reference = Model(folder, config, answer["stacks"], np.float64, routing)
    exact = reference.log_probabilities(*given)
    worst = rounding = 0.0
    for i, step in enumerate(steps):
        expected = np.array(step["logprobs"], np.float32)
        difference = np.abs(ours[i][step["tokens"]] - expected).max()
        worst = max(worst, float(difference))
        rounding = max(rounding, float(np.abs(ours[i] - exact[i])[step["tokens"]].max()))
        same = int(ours[i].argmax()) == step["tokens"][0]
        print(f"step {i + 1}: largest difference {difference:.2e}; most probable token {'the same' if same else 'ANOTHER'}")
    print(f"{len(model.experts.met)} experts met; largest difference of log-probabilities {worst:.2e}")
    print(f"NumPy in float32 differs from NumPy in float64 by {rounding:.2e}")
    is_right = worst <= max(1e-4, 4 * rounding)
    if given_routing:
        is_right = check_routing(model.router_logits, reference.router_logits) and is_right
    sys.exit(0 if is_right else 1)


parser = argparse.ArgumentParser()
parser.add_argument("folder", metavar="MODEL")
parser.add_argument("answer", metavar="ANSWER.json")
parser.add_argument("--given-routing", action="store_true", help="send tokens to the experts that ANSWER.json names")
arguments = parser.parse_args()
main(arguments.folder, arguments.answer, arguments.given_routing)
