"""Greedy generation by Hugging Face transformers, from a folder of weights."""

import argparse
import time

import torch
from transformers import AutoModelForSeq2SeqLM

from common import ENCODER_LENGTH, prompt_tokens, serve

NEW_TOKENS = 32


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="config.json and model.safetensors")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    begin = time.perf_counter()
    model = AutoModelForSeq2SeqLM.from_pretrained(arguments.folder, dtype=torch.float32).eval()
    load_seconds = time.perf_counter() - begin

    @torch.no_grad()
    def generate(batch):
        prompts = torch.tensor(prompt_tokens(batch, ENCODER_LENGTH))
        begin = time.perf_counter()
        tokens = model.generate(prompts, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False, num_beams=1)
        seconds = time.perf_counter() - begin
        first = time.perf_counter()
        model.generate(prompts, max_new_tokens=1, do_sample=False, num_beams=1)
        return {"seconds": seconds, "firstSeconds": time.perf_counter() - first, "tokens": tokens[:, 1:].tolist()}

    @torch.no_grad()
    def logits(batch):
        prompts = torch.tensor(prompt_tokens(batch, ENCODER_LENGTH))
        output = model(input_ids=prompts, decoder_input_ids=torch.zeros((batch, 1), dtype=torch.long))
        return {"logits": output.logits[:, 0].tolist()}

    serve({"name": "hf", "loadSeconds": load_seconds, "parameters": sum(p.numel() for p in model.parameters())}, {"generate": generate, "logits": logits})


if __name__ == "__main__":
    main()
