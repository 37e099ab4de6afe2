"""Greedy generation by CTranslate2, from a folder of weights of a dense T5, in float32 or in int8."""

import argparse
import tempfile
import time

import ctranslate2
import numpy
import torch
from ctranslate2.converters.transformers import T5Loader
from transformers import AutoModelForSeq2SeqLM

from common import ENCODER_LENGTH, prompt_tokens, serve

NEW_TOKENS = 32


class NumberedTokens:
    """In place of a tokenizer, which a folder of random weights lacks: the token of an id is its number."""

    pad_token, eos_token, unk_token = "0", "1", "2"

    def __init__(self, vocab_size):
        self.vocab_size = vocab_size

    def get_vocab(self):
        return {str(i): i for i in range(self.vocab_size)}

    def convert_ids_to_tokens(self, i):
        return str(i)


def convert(folder, output):
    """Writes the weights as a CTranslate2 model; returns the number of parameters."""
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        spec = T5Loader()(model, NumberedTokens(model.config.vocab_size))
    spec.validate()
    spec.optimize()
    spec.save(output)
    return sum(p.numel() for p in model.parameters())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="config.json and model.safetensors")
    parser.add_argument("--type", choices=("float32", "int8"), default="float32", help="the type of the kernels (default float32)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as converted:
        parameters = convert(arguments.folder, converted)
        begin = time.perf_counter()
        translator = ctranslate2.Translator(converted, compute_type=arguments.type, inter_threads=1, intra_threads=2)
        load_seconds = time.perf_counter() - begin

    def answers(batch, **options):
        prompts = [[str(i) for i in row] for row in prompt_tokens(batch, ENCODER_LENGTH)]
        return translator.translate_batch(prompts, beam_size=1, **options)

    def generate(batch):
        begin = time.perf_counter()
        results = answers(batch, min_decoding_length=NEW_TOKENS, max_decoding_length=NEW_TOKENS)
        seconds = time.perf_counter() - begin
        first = time.perf_counter()
        answers(batch, max_decoding_length=1)
        tokens = [[int(token) for token in result.hypotheses[0]] for result in results]
        return {"seconds": seconds, "firstSeconds": time.perf_counter() - first, "tokens": tokens}

    def logits(batch):
        results = answers(batch, min_decoding_length=0, max_decoding_length=1, return_logits_vocab=True)
        return {"logits": [numpy.array(result.logits[0][0]).tolist() for result in results]}

    name = "ct2" if arguments.type == "float32" else f"ct2 {arguments.type}"
    serve({"name": name, "loadSeconds": load_seconds, "parameters": parameters}, {"generate": generate, "logits": logits})


if __name__ == "__main__":
    main()
