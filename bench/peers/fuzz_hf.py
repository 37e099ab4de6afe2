"""Random small models of every T5 family, with what transformers computes with them, as reference values.

    python fuzz_hf.py SEED FOLDER [--count 40] [--only N] [--family NAME] [--small]

FOLDER gets one folder a model, which `switchyard verify FOLDER/*` reads: config.json, often generation_config.json,
weights (safetensors or torch, whole or in shards), cases.safetensors (inputs, logits, hidden states, routing, losses,
gradients) and generation.json. Model N of a seed is the same whatever else is made: `--only N` makes it alone.
`--small` makes models of about 50 KB: test/fixtures/fuzz are `fuzz_hf.py 18 test/fixtures/fuzz --count 13 --small`.

What transformers computes is what it computes after `from_pretrained`, from the files that are written here, in
float32. A model is drawn again if float64 would give other answers, or tensors that differ by more than 3e-6 of their
largest value: its values are too close to call, or sums that cancel, and say nothing about another program.
"""

import argparse
import json
import os
import shutil
import time
import warnings

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, DynamicCache, EncoderDecoderCache, GenerationConfig, logging
from transformers.models.mt5 import MT5EncoderModel, MT5ForConditionalGeneration
from transformers.models.switch_transformers import (
    SwitchTransformersEncoderModel,
    SwitchTransformersForConditionalGeneration,
)
from transformers.models.t5 import T5EncoderModel, T5ForConditionalGeneration
from transformers.models.umt5 import UMT5EncoderModel, UMT5ForConditionalGeneration

SHARED, ENCODER, DECODER, HEAD = (
    "shared.weight",
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight",
    "lm_head.weight",
)
UNSTEADY = 3e-6

STORED = (torch.float32, torch.float16, torch.bfloat16)

TABLES = (SHARED, ENCODER, DECODER, HEAD)

# Names of transformers' activations. Several names may mean one function.
ACTIVATIONS = ("relu", "gelu", "gelu_new", "silu", "gelu_pytorch_tanh", "gelu_python", "gelu_fast", "swish")


class Draw:
    """Random choices of one model."""

    def __init__(self, seed, number, attempt=0, small=False):
        self.random = np.random.default_rng([seed, number, attempt])
        # Choices that were added later have random numbers of their own: models without them stay as they were.
        self.later = np.random.default_rng([seed, number, attempt, 4])
        self.small = small

    def integer(self, low, high):
        """low to high, both inclusive."""
        return int(self.random.integers(low, high + 1))

    def one(self, *values):
        return values[self.integer(0, len(values) - 1)]

    def chance(self, probability):
        return bool(self.random.random() < probability)

    def normal(self, shape, std=1.0):
        return torch.from_numpy(self.random.standard_normal(shape).astype(np.float32)) * std


# Families: each returns config.json's own settings, without sizes and ids.


def t5(draw):
    return {"model_type": "t5", "feed_forward_proj": draw.one(*ACTIVATIONS), "scale": draw.chance(0.8)}


def t5_1_1(draw):
    return {"model_type": "t5", "feed_forward_proj": "gated-" + draw.one(*ACTIVATIONS), "scale": draw.chance(0.3)}


def flan(draw):
    return {"model_type": "t5", "feed_forward_proj": "gated-gelu", "scale": False, "tables": "head"}


def byt5(draw):
    return {"model_type": "t5", "feed_forward_proj": "gated-gelu", "scale": False, "tables": "head", "deep": True}


def ul2(draw):
    return {"model_type": "t5", "feed_forward_proj": "gated-silu", "scale": draw.chance(0.5)}


def mt5(draw):
    gated = draw.one("gated-gelu", "gated-gelu", "gated-" + draw.one(*ACTIVATIONS), draw.one(*ACTIVATIONS), None)
    return {"model_type": "mt5", "feed_forward_proj": gated, "tie_word_embeddings": draw.one(True, False, None)}


def umt5(draw):
    return {**mt5(draw), "model_type": "umt5"}


def switch(draw):
    return {
        "model_type": "switch_transformers",
        "dense_act_fn": draw.one(*ACTIVATIONS, None),
        # Published files have this one too, which transformers does not read.
        "feed_forward_proj": draw.one(None, "relu", "gelu", "gated-gelu"),
        "tie_word_embeddings": draw.one(True, True, None, False),
        "num_experts": draw.integer(1, 6),
        "expert_capacity": draw.one(1, 2, 3, 5, 8, 64),
        "router_bias": draw.chance(0.5),
        "router_jitter_noise": draw.one(0.0, 0.01, 0.2),
        "router_dtype": "float32",
        "router_ignore_padding_tokens": draw.chance(0.3),
        "router_aux_loss_coef": draw.one(0.0, 0.001, 0.01, 0.5),
        "router_z_loss_coef": draw.one(0.0, 0.001, 0.1),
    }


def irregular_switch(draw):
    return {**switch(draw), "irregular": True}


def encoder_of(family):
    return lambda draw: {**family(draw), "encoder_only": True}


FAMILIES = {
    "t5-1.0": t5,
    "t5-1.1": t5_1_1,
    "flan": flan,
    "byt5": byt5,
    "ul2": ul2,
    "mt5": mt5,
    "umt5": umt5,
    "switch": switch,
    "switch-irregular": irregular_switch,
    "t5-encoder": encoder_of(t5_1_1),
    "mt5-encoder": encoder_of(mt5),
    "umt5-encoder": encoder_of(umt5),
    "switch-encoder": encoder_of(irregular_switch),
}

CLASSES = {
    "t5": (T5ForConditionalGeneration, T5EncoderModel),
    "mt5": (MT5ForConditionalGeneration, MT5EncoderModel),
    "umt5": (UMT5ForConditionalGeneration, UMT5EncoderModel),
    "switch_transformers": (SwitchTransformersForConditionalGeneration, SwitchTransformersEncoderModel),
}


def sizes(draw, family):
    layers = draw.integer(1, 4)
    decoder_layers = layers if draw.chance(0.4) else draw.integer(1, 4)
    if family.get("deep"):
        layers, decoder_layers = draw.integer(3, 4), draw.integer(1, 2)
    if family.get("irregular"):
        layers, decoder_layers = draw.integer(2, 7), draw.integer(1, 5)
    buckets = draw.one(4, 5, 6, 8, 9, 10, 12, 16, 32)
    return {
        "vocab_size": draw.integer(50, 60 if draw.small else 200),
        "d_model": draw.integer(8, 12 if draw.small else 48),
        "d_kv": draw.integer(1, 4 if draw.small else 12),
        "d_ff": draw.integer(8, 12 if draw.small else 64),
        "num_heads": draw.integer(1, 4 if draw.small else 6),
        "num_layers": layers,
        "num_decoder_layers": decoder_layers,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": draw.one(buckets // 2 + 1, buckets, 2 * buckets, 24, 128),
        "layer_norm_epsilon": draw.one(1e-6, 1e-6, 1e-12, 1e-5, 1e-3, 0.1),
        "dropout_rate": draw.one(0.0, 0.1),
    }


def sparse_layers(draw, settings):
    """How many layers are sparse; transformers finds which from it, or from a step where one is given."""
    for stack, layers in (("encoder", settings["num_layers"]), ("decoder", settings["num_decoder_layers"])):
        settings[f"num_sparse_{stack}_layers"] = draw.integer(0, layers + 1)
        # A step beyond a stack's layers leaves no layer sparse, of which transformers cannot take the router losses.
        if draw.chance(0.4) and layers > 1:
            settings[f"{stack}_sparse_step"] = draw.integer(0, layers)


DEFAULTS = {
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "layer_norm_epsilon": 1e-6,
    "expert_capacity": 64,
    "router_bias": False,
    "router_dtype": "float32",
    "router_aux_loss_coef": 0.001,
    "router_z_loss_coef": 0.001,
    "num_sparse_encoder_layers": 3,
    "num_sparse_decoder_layers": 3,
}


def without_defaults(draw, settings):
    """Leaves out some of the settings that have transformers' default, as many published files do."""
    defaults = {**DEFAULTS, "num_decoder_layers": settings["num_layers"]}
    # Without it, transformers 5 gives a Switch Transformer 12 decoder layers.
    if settings["model_type"] == "switch_transformers":
        del defaults["num_decoder_layers"]
    return {
        key: value
        for key, value in settings.items()
        if key not in defaults or value != defaults[key] or draw.chance(0.5)
    }


def settings_of(draw, family):
    """config.json as a dictionary; and how its tables and its flags are to be written."""
    writing = {key: family.pop(key) for key in ("scale", "tables", "deep", "irregular", "encoder_only") if key in family}
    settings = {**sizes(draw, writing), **{key: value for key, value in family.items() if value is not None}}
    if settings["relative_attention_max_distance"] <= settings["relative_attention_num_buckets"] // 2:
        settings["relative_attention_max_distance"] = settings["relative_attention_num_buckets"]
    is_switch = settings["model_type"] == "switch_transformers"
    if is_switch:
        sparse_layers(draw, settings)
    if settings["model_type"] == "t5":
        # transformers 5 writes both flags; published files have only that of ties, which then says whether it scales.
        if draw.chance(0.5):
            settings["scale_decoder_outputs"] = writing["scale"]
            settings["tie_word_embeddings"] = draw.one(True, True, False)
        elif not writing["scale"] or draw.chance(0.7):
            settings["tie_word_embeddings"] = writing["scale"]
    if not is_switch and draw.chance(0.3):
        settings["dense_act_fn"] = draw.one(*ACTIVATIONS)
    if not writing.get("encoder_only"):
        settings["is_encoder_decoder"] = True
        tables = ["tied", "copies", "head", "stacks", "decoder", "encoder", "renamed"]
        writing.setdefault("tables", draw.one(*tables))
        # Without ties, a Switch Transformer of transformers 5 makes random tables of those that are not in the file.
        if is_switch and settings.get("tie_word_embeddings") is False and writing["tables"] != "stacks":
            writing["tables"] = draw.one("copies", "all")
    else:
        settings["is_encoder_decoder"] = False
        writing["tables"] = draw.one("tied", "encoder-copy", "encoder-renamed")
        if is_switch and settings.get("tie_word_embeddings") is False:
            writing["tables"] = "encoder-copy"
        settings["architectures"] = [CLASSES[settings["model_type"]][1].__name__]
    return without_defaults(draw, settings), writing


def tables_of(draw, kind, shape):
    """The embeddings and the head that the file holds."""

    def table():
        return draw.normal(shape, draw.one(0.5, 1.0))

    first = table()
    return {
        "tied": lambda: {SHARED: first},
        "copies": lambda: {name: first.clone() for name in TABLES},
        "head": lambda: {SHARED: first, ENCODER: first.clone(), DECODER: first.clone(), HEAD: table()},
        "all": lambda: {SHARED: first, ENCODER: first.clone(), DECODER: first.clone(), HEAD: table()},
        "stacks": lambda: {SHARED: first, ENCODER: table(), DECODER: table(), HEAD: table()},
        "decoder": lambda: {SHARED: first, DECODER: table()},
        "encoder": lambda: {SHARED: first, ENCODER: table()},
        "renamed": lambda: {DECODER: first, HEAD: table()},
        "encoder-copy": lambda: {SHARED: first, ENCODER: first.clone()},
        "encoder-renamed": lambda: {ENCODER: first},
    }[kind]()


def weights_of(draw, model):
    """Random values for all tensors but the tables: norms about 1, biases that matter, all else as T5 begins."""
    loudness = draw.one(0.7, 1.0, 1.3)
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name in TABLES:
            continue
        if name.endswith("layer_norm.weight"):
            tensors[name] = 1 + draw.normal(tensor.shape, 0.3)
        elif "relative_attention_bias" in name or name.endswith("classifier.bias"):
            tensors[name] = draw.normal(tensor.shape)
        else:
            tensors[name] = draw.normal(tensor.shape, loudness * tensor.shape[-1] ** -0.5)
    return tensors


def write_weights(draw, folder, tensors):
    dtypes = draw.one([torch.float32], [torch.float32], [torch.float32], [torch.float16], [torch.bfloat16], STORED)
    tensors = {name: tensor.to(draw.one(*dtypes)).contiguous() for name, tensor in tensors.items()}
    is_torch = draw.chance(0.3)
    stem, suffix = ("pytorch_model", "bin") if is_torch else ("model", "safetensors")

    def write(path, part):
        if is_torch:
            torch.save(part, path)
        else:
            save_file(part, path, metadata={"format": "pt"})

    if draw.chance(0.7):
        write(os.path.join(folder, f"{stem}.{suffix}"), tensors)
        return
    count = draw.integer(2, 3)
    names = list(tensors)
    places = {name: f"{stem}-{i * count // len(names) + 1:05}-of-{count:05}.{suffix}" for i, name in enumerate(names)}
    for place in sorted(set(places.values())):
        write(os.path.join(folder, place), {name: tensors[name] for name in names if places[name] == place})
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    write_json(os.path.join(folder, f"{stem}.{suffix}.index.json"), {"metadata": {"total_size": total}, "weight_map": places})


def write_json(path, value, indent=2):
    with open(path, "w") as file:
        json.dump(value, file, indent=indent)
        file.write("\n")


def special_ids(draw, vocab, generated):
    """The special ids of a model. The end is often a token that the model generates, so that answers do end."""
    pad = draw.one(0, 0, 0, draw.integer(1, vocab - 1))

    def other():
        return next(i for i in iter(lambda: draw.integer(0, vocab - 1), None) if i != pad)

    def end():
        usable = [token for token in generated if token != pad]
        return draw.one(*usable) if usable and draw.chance(0.7) else other()

    ends = sorted({end() for _ in range(draw.one(1, 1, 2, 3))})
    # The padding id may be an EOS: then only the mask tells padding from the end of a text.
    if draw.later.random() < 0.12:
        pad = ends[0]
    ids = {
        "pad_token_id": pad,
        "eos_token_id": ends[0] if len(ends) == 1 and draw.chance(0.8) else ends,
        "decoder_start_token_id": draw.one(pad, pad, pad, ends[0], other()),
    }
    if draw.chance(0.2):
        # A forced first token that also ends the answer leaves beams of no tokens, whose scores mean nothing.
        first = other()
        if first not in ends:
            ids["forced_bos_token_id"] = first
    if draw.chance(0.25):
        ids["forced_eos_token_id"] = ends[0] if len(ends) == 1 else draw.one(ends[0], ends)
    return ids


def write_ids(draw, folder, settings, ids, defaults):
    """config.json and generation_config.json: the ids are in both, or in one of them."""
    place = "config" if settings["is_encoder_decoder"] is False else draw.one("both", "generation", "config")
    if defaults and place == "config":
        place = "both"
    config = {**settings, **(ids if place != "generation" else {"pad_token_id": ids["pad_token_id"]})}
    write_json(os.path.join(folder, "config.json"), config)
    path = os.path.join(folder, "generation_config.json")
    if place != "config":
        write_json(path, {**ids, **defaults, "transformers_version": "5.23.0"})
    elif os.path.exists(path):
        os.remove(path)


def inputs_of(draw, vocab, ids):
    """Token ids padded on the right, and the mask that hides the padding; labels, where -100 does not count, and the decoder's inputs."""
    pad, start = ids["pad_token_id"], ids["decoder_start_token_id"]
    end = ids["eos_token_id"] if isinstance(ids["eos_token_id"], int) else ids["eos_token_id"][0]
    rows = draw.integer(1, 3)

    def texts(longest, padding):
        lengths = [longest, *(draw.integer(1, longest) for _ in range(rows - 1))]
        values = torch.full((rows, longest), padding)
        mask = torch.zeros(rows, longest, dtype=torch.long)
        for row, length in enumerate(lengths):
            tokens = [token for token in (draw.integer(0, vocab - 1) for _ in range(length)) if token != pad]
            tokens = [*tokens, end][:longest]
            values[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        return values, mask

    inputs, mask = texts(draw.one(draw.integer(2, 12), draw.integer(13, 40)), pad)
    labels, _ = texts(draw.integer(2, 14), -100)
    if draw.chance(0.3):
        labels[0, 0] = -100
    shifted = torch.cat([torch.full((rows, 1), start), labels[:, :-1]], 1)
    return {
        "input_ids": inputs,
        "attention_mask": mask,
        "labels": labels,
        "decoder_input_ids": shifted.masked_fill(shifted == -100, pad),
    }


def hole_mask(draw, shape):
    """A mask that hides some tokens, but never the first of a row."""
    mask = torch.from_numpy(draw.later.random(tuple(shape)) > 0.2).long()
    mask[:, 0] = 1
    return mask


def load(cls, folder):
    """The model as transformers loads it. All that it does not find in the files must be tied."""
    model, info = cls.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    if info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]:
        raise ValueError(f"{folder}: transformers does not find in the files what it needs: {info}")
    return model.eval()


def routing_hooks(model, record):
    """Records the dispatch mask of every router, by its stack and layer. Returns handles that end it."""

    def hook(key):
        def keep(_module, _inputs, output):
            record[key] = output[0].clone()

        return keep

    handles = []
    for name, module in model.named_modules():
        if name.endswith(".router"):
            stack, _, layer = name.split(".")[:3]
            handles.append(module.register_forward_hook(hook(f"dispatch_mask.{stack}.block.{layer}")))
    return handles


def gradients_of(model):
    """
    The gradient of every parameter, under its first name. Tables of equal values, which a Switch Transformer without
    ties has apart, are one: their gradients are added. An expert that no token reached has a gradient of zeros.
    """
    result = {}
    tables = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if name in TABLES:
            # Nothing is computed with `shared` where each stack has a table of its own.
            if gradient is None:
                continue
            name = next((known for known, table in tables.items() if torch.equal(table, parameter)), name)
            tables.setdefault(name, parameter)
        elif gradient is None:
            gradient = torch.zeros_like(parameter)
        key = f"grad.{name}"
        result[key] = result[key] + gradient if key in result else gradient
    return result


def numbered(name, tensors):
    return {f"{name}.{i}": tensor for i, tensor in enumerate(tensors or ())}


def cases_of(model, inputs):
    record = {}
    hooks = routing_hooks(model, record)
    is_switch = model.config.model_type == "switch_transformers"
    # Without a sparse layer there are no router logits, and transformers fails to take their losses.
    has_routers = is_switch and any(name.endswith(".router") for name, _ in model.named_modules())
    out = model(**inputs, output_hidden_states=True, **({"output_router_logits": True} if has_routers else {}))
    for handle in hooks:
        handle.remove()
    out.loss.backward()
    record.update({"logits": out.logits, "loss": out.loss, "encoder_last_hidden_state": out.encoder_last_hidden_state})
    record.update(numbered("encoder_hidden_states", out.encoder_hidden_states))
    record.update(numbered("decoder_hidden_states", out.decoder_hidden_states))
    if has_routers:
        record.update(numbered("encoder_router_logits", out.encoder_router_logits))
        record.update(numbered("decoder_router_logits", out.decoder_router_logits))
        for name in ("encoder_aux_loss", "encoder_z_loss", "decoder_aux_loss", "decoder_z_loss"):
            record[name] = torch.as_tensor(out[name], dtype=torch.float32)
    return {**inputs, **record, **gradients_of(model)}


def encoder_cases_of(model, inputs):
    """An encoder's vectors, and the gradients of their product with `output_gradient`."""
    record = {}
    hooks = routing_hooks(model, record)
    out = model(inputs["input_ids"], inputs["attention_mask"], output_hidden_states=True)
    for handle in hooks:
        handle.remove()
    (out.last_hidden_state * inputs["output_gradient"]).sum().backward()
    record["encoder_last_hidden_state"] = out.last_hidden_state
    record.update(numbered("encoder_hidden_states", out.hidden_states))
    return {**inputs, **record, **gradients_of(model)}


def differ(cases, precise):
    """Whether tensors of float32 and of float64 say different things."""

    def difference(name):
        a, b = cases[name].detach().double(), precise[name].detach().double()
        return float((a - b).abs().max()) / max(float(b.abs().max()), 1e-30)

    return any(difference(name) > UNSTEADY for name in cases)


LONGEST = 12


def beams(draw):
    count = draw.integer(2, 5)
    return {
        "num_beams": count,
        "num_return_sequences": draw.integer(1, count),
        "length_penalty": draw.one(1.0, 1.0, 0.0, 0.6, 2.0, -1.0),
        "early_stopping": draw.one(False, True, "never"),
    }


def token_rules(draw, settings, forced, share):
    """Settings that change the scores of tokens, each with a probability of `share`. `forced` are ids."""

    def ids(count):
        return [draw.integer(0, settings["vocab_size"] - 1) for _ in range(count)]

    rules = {
        "min_new_tokens": lambda: draw.integer(1, LONGEST // 2),
        "no_repeat_ngram_size": lambda: draw.integer(1, 3),
        "repetition_penalty": lambda: draw.one(0.8, 1.2, 2.0),
        "encoder_no_repeat_ngram_size": lambda: draw.integer(1, 3),
        "encoder_repetition_penalty": lambda: draw.one(0.8, 1.5),
        "bad_words_ids": lambda: [ids(draw.integer(1, 2)) for _ in range(draw.integer(1, 20))],
        "sequence_bias": lambda: [[ids(draw.integer(1, 2)), draw.one(-3.0, 1.5)] for _ in range(draw.integer(1, 20))],
        # transformers refuses to force a token that is suppressed.
        "suppress_tokens": lambda: [i for i in ids(10) if i not in forced],
        "begin_suppress_tokens": lambda: ids(20),
        # A factor of 2 would make the scores of all EOS 0.
        "exponential_decay_length_penalty": lambda: [draw.integer(1, 5), draw.one(1.1, 1.7)],
        "renormalize_logits": lambda: True,
    }
    return {name: make() for name, make in rules.items() if draw.chance(share)}


def generation_defaults(draw, settings, forced, has_ties):
    """How a model generates if nobody says otherwise: settings of generation_config.json."""
    if draw.chance(0.5):
        return {}
    length = draw.one({"max_length": draw.integer(4, LONGEST)}, {"max_new_tokens": draw.integer(4, LONGEST)}, {})
    search = {} if has_ties or draw.chance(0.5) else beams(draw)
    return {**length, **search, **token_rules(draw, settings, forced, 0.2)}


def generation_arguments(draw, settings, forced, has_ties):
    """Some sets of arguments of `generate`, by their names. `has_ties`: beams would have to choose among equals."""
    length = {"max_new_tokens": draw.integer(LONGEST // 2, LONGEST)}
    greedy = {**length, "num_beams": 1, "num_return_sequences": 1}
    cases = {"greedy": greedy, "greedy_rules": {**greedy, **token_rules(draw, settings, forced, 0.3)}, "defaults": {}}
    for i in range(0 if has_ties else 3):
        cases[f"beam{i}"] = {**length, **beams(draw), **token_rules(draw, settings, forced, 0.15)}
    may_drop = settings["model_type"] == "switch_transformers"
    return {
        name: {"args": case, "use_cache": not (may_drop and draw.chance(0.2))} for name, case in cases.items()
    }


def generate(model, inputs, args, use_cache):
    # transformers' own cache has as many layers as the encoder, which is too few for some decoders.
    cache = {"past_key_values": EncoderDecoderCache(DynamicCache(), DynamicCache())} if use_cache else {}
    out = model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        do_sample=False,
        use_cache=use_cache,
        return_dict_in_generate=True,
        output_scores=True,
        **cache,
        **args,
    )
    result = {"sequences": out.sequences.tolist()}
    if out.get("sequences_scores") is not None:
        result["sequences_scores"] = [float(score) for score in out.sequences_scores]
    return result


def has_equal_beams(case, rows):
    """Whether two answers to one input have scores that are equal but for rounding, so that their order means nothing."""
    scores = case.get("sequences_scores", [])
    count = len(scores) // rows
    pairs = [(a, b) for i, (a, b) in enumerate(zip(scores, scores[1:])) if (i + 1) % count]
    return any(abs(a - b) < 1e-5 * max(abs(a), abs(b)) for a, b in pairs)


def likely_tokens(cls, folder, settings, draw):
    """Tokens that a model generates from random inputs if nothing ends its answers."""
    model = load(cls, folder)
    config = GenerationConfig(
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=None, max_new_tokens=8, use_cache=False
    )
    inputs = torch.from_numpy(draw.random.integers(1, settings["vocab_size"], (3, 10)))
    out = model.generate(input_ids=inputs, attention_mask=torch.ones_like(inputs), generation_config=config)
    return sorted({int(token) for token in out[:, 3:].flatten()})


def make(seed, number, root, family=None, small=False):
    """Makes the first steady model of a number, and returns its folder."""
    name = family or list(FAMILIES)[number % len(FAMILIES)]
    folder = os.path.join(root, f"{seed}-{number:02}-{name}")
    for attempt in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        if draw_model(Draw(seed, number, attempt, small), FAMILIES[name], folder):
            return folder
    raise ValueError(f"{folder}: no steady model in 50 attempts")


def draw_model(draw, family, folder):
    """Writes one model and its cases. Returns False if it is unsteady."""
    settings, writing = settings_of(draw, family(draw))
    has_decoder = not writing.get("encoder_only")
    cls = CLASSES[settings["model_type"]][0 if has_decoder else 1]
    ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    write_json(os.path.join(folder, "config.json"), {**settings, **ids})
    torch.manual_seed(0)
    fresh = cls(AutoConfig.from_pretrained(folder))
    shape = (settings["vocab_size"], settings["d_model"])
    write_weights(draw, folder, {**tables_of(draw, writing["tables"], shape), **weights_of(draw, fresh)})
    generated = likely_tokens(cls, folder, settings, draw) if has_decoder else []
    ids = special_ids(draw, settings["vocab_size"], generated)
    # Of several forced last tokens, all have the same score.
    last = ids.get("forced_eos_token_id")
    has_ties = isinstance(last, list)
    forced = {ids.get("forced_bos_token_id"), *(last if has_ties else [last])}
    defaults = generation_defaults(draw, settings, forced, has_ties) if has_decoder else {}
    write_ids(draw, folder, settings, ids, defaults)

    inputs = inputs_of(draw, settings["vocab_size"], ids)
    if not has_decoder:
        inputs = {key: inputs[key] for key in ("input_ids", "attention_mask")}
        if draw.later.random() < 0.4:
            inputs["attention_mask"] *= hole_mask(draw, inputs["input_ids"].shape)
        inputs["output_gradient"] = draw.normal((*inputs["input_ids"].shape, settings["d_model"]))
    compute = cases_of if has_decoder else encoder_cases_of
    model = load(cls, folder)
    precise = load(cls, folder).double()
    cases = compute(model, inputs)
    if differ(cases, compute(precise, inputs)):
        return False
    if not all(torch.isfinite(tensor).all() for tensor in cases.values()):
        raise ValueError(f"{folder}: there are values that are not finite")
    save_file({k: v.detach().clone().contiguous() for k, v in cases.items()}, os.path.join(folder, "cases.safetensors"))
    if not has_decoder:
        return True
    arguments = generation_arguments(draw, settings, forced, has_ties)
    generation = {key: {**case, **generate(model, inputs, **case)} for key, case in arguments.items()}
    if any(has_equal_beams(case, len(inputs["input_ids"])) for case in generation.values()):
        return False
    if any(generate(precise, inputs, **case)["sequences"] != generation[key]["sequences"] for key, case in arguments.items()):
        return False
    write_json(os.path.join(folder, "generation.json"), generation, indent=None)
    return True


def main():
    parser = argparse.ArgumentParser(description="Random small models with what transformers computes with them.")
    parser.add_argument("seed", type=int)
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=40, help="models to make (default 40)")
    parser.add_argument("--only", type=int, help="make only the model of this number, as it is among all")
    parser.add_argument("--family", choices=list(FAMILIES), help="make only models of this family")
    parser.add_argument("--small", action="store_true", help="make smaller models")
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    logging.disable_progress_bar()
    start = time.time()
    numbers = range(options.count) if options.only is None else [options.only]
    for number in numbers:
        print(make(options.seed, number, options.folder, options.family, options.small), flush=True)
    print(f"{len(numbers)} models in {time.time() - start:.1f} s")


if __name__ == "__main__":
    main()
