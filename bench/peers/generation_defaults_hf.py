"""What transformers generates by special ids and defaults in config.json and generation_config.json, as reference values.

    python generation_defaults_hf.py MODEL FILE

MODEL is a folder of T5ForConditionalGeneration (test/fixtures/cases/12-several-eos). FILE gets, as JSON: `generation`,
one entry a case with the ids of config.json, generation_config.json (null: there is none), the arguments of `generate`
and its sequences (and scores of beam search); and `sampling`, the tokens that each rule of sampling leaves of some
scores.
"""

import argparse
import json
import os
import shutil
import tempfile
import warnings

import torch
from transformers import T5ForConditionalGeneration, logging
from transformers.generation import logits_process as processors

INPUT = [30, 3, 6, 4, 23, 1]
IDS = {"eos_token_id": 1, "pad_token_id": 0, "decoder_start_token_id": 0}
SEVERAL = {**IDS, "eos_token_id": [1, 13]}
THREE = {**IDS, "eos_token_id": [1, 13, 51]}
BEAMS = {"num_beams": 3, "num_return_sequences": 3}

# name: ids and settings of config.json, generation_config.json, arguments of generate
CASES = {
    "start in config.json": ({**IDS, "decoder_start_token_id": 3}, None, {"max_new_tokens": 6}),
    "start in generation_config.json": (IDS, {**IDS, "decoder_start_token_id": 3}, {"max_new_tokens": 6}),
    "start in both, different": (
        {**IDS, "decoder_start_token_id": 9},
        {**IDS, "decoder_start_token_id": 3},
        {"max_new_tokens": 6},
    ),
    "start from bos": (IDS, {"eos_token_id": 1, "pad_token_id": 0, "bos_token_id": 3}, {"max_new_tokens": 6}),
    "start from bos in config.json": (
        {"eos_token_id": 1, "pad_token_id": 0, "bos_token_id": 7},
        None,
        {"max_new_tokens": 6},
    ),
    "start in a list": (IDS, {**IDS, "decoder_start_token_id": [3]}, {"max_new_tokens": 6}),
    "padding is EOS": ({**IDS, "pad_token_id": 1}, {**IDS, "pad_token_id": 1}, {"max_new_tokens": 6}),
    "padding is unset": ({}, {"eos_token_id": 1, "pad_token_id": None, "decoder_start_token_id": 0}, {"max_new_tokens": 6}),
    "several EOS in config.json": (SEVERAL, None, {"max_new_tokens": 8}),
    "EOS is another": ({**IDS, "eos_token_id": 13}, None, {"max_new_tokens": 8}),
    "several EOS, beams": (IDS, SEVERAL, {**BEAMS, "max_new_tokens": 8}),
    "several EOS, beams, minimum": (IDS, SEVERAL, {**BEAMS, "max_new_tokens": 8, "min_new_tokens": 5}),
    "three EOS, beams": (IDS, THREE, {**BEAMS, "max_new_tokens": 8}),
    "forced first in generation_config.json": (IDS, {**IDS, "forced_bos_token_id": 5}, {"max_new_tokens": 6}),
    "forced first in config.json alone": ({**IDS, "forced_bos_token_id": 5}, None, {"max_new_tokens": 6}),
    "forced first in config.json, unread": ({**IDS, "forced_bos_token_id": 5}, IDS, {"max_new_tokens": 6}),
    "forced first, list": (IDS, {**IDS, "forced_bos_token_id": [9, 5]}, {"max_new_tokens": 6}),
    "forced first, beams": (IDS, {**SEVERAL, "forced_bos_token_id": 5}, {**BEAMS, "max_new_tokens": 6}),
    "forced last": (IDS, {**IDS, "forced_eos_token_id": 7}, {"max_new_tokens": 5}),
    "forced last, list": (IDS, {**IDS, "forced_eos_token_id": [7, 9]}, {"max_new_tokens": 5}),
    "forced last, beams": (IDS, {**IDS, "forced_eos_token_id": 1}, {**BEAMS, "max_new_tokens": 5}),
    "forced first and last, maximum length": (
        IDS,
        {**IDS, "forced_bos_token_id": 5, "forced_eos_token_id": 1, "max_length": 6},
        {},
    ),
    "max_length": (IDS, {**IDS, "max_length": 6}, {}),
    "max_length in config.json alone": ({**IDS, "max_length": 6}, None, {}),
    "max_length in config.json, unread": ({**IDS, "max_length": 6}, IDS, {"max_new_tokens": 9}),
    "max_new_tokens before max_length": (IDS, {**IDS, "max_length": 6, "max_new_tokens": 4}, {}),
    "argument before max_length": (IDS, {**IDS, "max_length": 6}, {"max_new_tokens": 9}),
    "min_length": (IDS, {**SEVERAL, "min_length": 5, "max_length": 9}, {}),
    "min_length at its edge": (IDS, {**SEVERAL, "min_length": 4, "max_length": 9}, {}),
    "min_new_tokens": (IDS, {**SEVERAL, "min_new_tokens": 4, "max_length": 9}, {}),
    "min_length above the maximum": (IDS, {**SEVERAL, "min_length": 30, "max_length": 6}, {}),
    "beams": (IDS, {**SEVERAL, "num_beams": 3, "max_length": 9}, {}),
    "beams in config.json alone": ({**SEVERAL, "num_beams": 3, "max_length": 9}, None, {}),
    "beams, argument 1": (IDS, {**SEVERAL, "num_beams": 3, "max_length": 9}, {"num_beams": 1}),
    "beams, returned": (IDS, {**SEVERAL, **BEAMS, "max_length": 9}, {}),
    "length_penalty": (IDS, {**THREE, **BEAMS, "max_length": 9, "length_penalty": -2.0}, {}),
    "length_penalty, argument": (IDS, {**THREE, **BEAMS, "max_length": 9, "length_penalty": -2.0}, {"length_penalty": 3.0}),
    "early_stopping": (IDS, {**THREE, **BEAMS, "max_length": 12, "early_stopping": True}, {}),
    "early_stopping never": (IDS, {**THREE, **BEAMS, "max_length": 12, "early_stopping": "never"}, {}),
    "repetition_penalty": (IDS, {**IDS, "repetition_penalty": 3.0, "max_length": 9}, {}),
    "no_repeat_ngram_size": (IDS, {**IDS, "no_repeat_ngram_size": 2, "max_length": 9}, {}),
    "no_repeat_ngram_size, beams": (IDS, {**SEVERAL, **BEAMS, "no_repeat_ngram_size": 1, "max_length": 7}, {}),
    "encoder_repetition_penalty": (IDS, {**IDS, "encoder_repetition_penalty": 6.0, "max_length": 9}, {}),
    "encoder_no_repeat_ngram_size": (IDS, {**IDS, "encoder_no_repeat_ngram_size": 1, "encoder_repetition_penalty": 6.0, "max_length": 9}, {}),
    "encoder_no_repeat_ngram_size 2": (
        IDS,
        {**IDS, "encoder_no_repeat_ngram_size": 2, "sequence_bias": [[[30], 90.0], [[30, 3], 9.0]], "max_length": 9},
        {},
    ),
    "bad_words_ids": (IDS, {**IDS, "bad_words_ids": [[82], [51, 51], [89, 3], [1]], "max_length": 9}, {}),
    "bad_words_ids after the start": (IDS, {**IDS, "bad_words_ids": [[0, 82]], "max_length": 9}, {}),
    "bad_words_ids, beams": (IDS, {**SEVERAL, **BEAMS, "bad_words_ids": [[89], [46, 51]], "max_length": 7}, {}),
    "sequence_bias": (IDS, {**IDS, "sequence_bias": [[[30], 9.0], [[30, 30], -30.0], [[51], -2.5]], "max_length": 9}, {}),
    "suppress_tokens": (IDS, {**IDS, "suppress_tokens": [82, 51], "max_length": 9}, {}),
    "begin_suppress_tokens": (IDS, {**IDS, "begin_suppress_tokens": [82, 46], "max_length": 9}, {}),
    "begin_suppress_tokens, forced first": (
        IDS,
        {**IDS, "forced_bos_token_id": 82, "begin_suppress_tokens": [51], "max_length": 9},
        {},
    ),
    "exponential_decay_length_penalty": (
        IDS,
        {**IDS, "exponential_decay_length_penalty": [2, 1.9], "max_length": 15},
        {},
    ),
    "renormalize_logits, beams": (
        IDS,
        {**SEVERAL, **BEAMS, "suppress_tokens": [51], "renormalize_logits": True, "max_length": 8},
        {},
    ),
    "all of them, beams": (
        IDS,
        {
            **SEVERAL,
            **BEAMS,
            "forced_bos_token_id": 89,
            "min_length": 4,
            "max_length": 10,
            "repetition_penalty": 1.3,
            "no_repeat_ngram_size": 3,
            "bad_words_ids": [[51, 51]],
            "suppress_tokens": [46],
            "exponential_decay_length_penalty": [3, 1.2],
            "length_penalty": 0.6,
        },
        {},
    ),
    "null settings": (IDS, {**IDS, "num_beams": None, "top_k": None, "max_length": 6, "bad_words_ids": None}, {}),
}


def generated(source, folder, config, generation_config, arguments):
    shutil.copytree(source, folder)
    with open(os.path.join(source, "config.json")) as file:
        own = {key: value for key, value in json.load(file).items() if not key.endswith("_token_id")}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({**own, **config}, file)
    path = os.path.join(folder, "generation_config.json")
    os.remove(path)
    if generation_config is not None:
        with open(path, "w") as file:
            json.dump(generation_config, file)
    model = T5ForConditionalGeneration.from_pretrained(folder)
    out = model.generate(torch.tensor([INPUT]), return_dict_in_generate=True, output_scores=True, **arguments)
    case = {"config": config, "generation_config": generation_config, "arguments": arguments}
    case["sequences"] = out.sequences.tolist()
    if "sequences_scores" in out:
        case["scores"] = [round(score, 6) for score in out.sequences_scores.tolist()]
    return case


WARPERS = {
    "typicalP": (processors.TypicalLogitsWarper, (0.2, 0.5, 0.9, 0.99)),
    "epsilonCutoff": (processors.EpsilonLogitsWarper, (0.001, 0.05, 0.5)),
    "etaCutoff": (lambda epsilon: processors.EtaLogitsWarper(epsilon=epsilon), (0.001, 0.02, 0.5)),
    "topH": (lambda share: processors.TopHLogitsWarper(top_h=share), (0.1, 0.4, 0.8, 1.0)),
}


def sampling():
    torch.manual_seed(0)
    scores = [torch.randn(150) * 2, torch.randn(150) * 0.1, torch.randn(40) * 6]
    cases = []
    for row in scores:
        rounded = torch.tensor([round(x, 4) for x in row.tolist()])
        left = {
            name: [
                [value, torch.nonzero(torch.isfinite(warper(value)(None, rounded[None])[0])).flatten().tolist()]
                for value in values
            ]
            for name, (warper, values) in WARPERS.items()
        }
        cases.append({"scores": [round(x, 4) for x in row.tolist()], "left": left})
    return cases


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("file")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as scratch:
        cases = {
            name: generated(options.model, os.path.join(scratch, str(i)), *case)
            for i, (name, case) in enumerate(CASES.items())
        }
    lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items()]
    with open(options.file, "w") as file:
        file.write('{"generation": {\n' + ",\n".join(lines) + '\n},\n"sampling": ' + json.dumps(sampling()) + "}\n")
