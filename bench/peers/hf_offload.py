"""
Answers of a model larger than memory by Hugging Face transformers, with what does not fit left on disk by accelerate:
a peer of `npm run bench:paged`, on the same folder. It prints tokens a second, twice.
"""

import argparse
import tempfile
import time

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from common import peak_rss_bytes

TEXT = "The <extra_id_0> walks in <extra_id_1> park and looks at the old trees along the river."


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="a Hugging Face folder")
    parser.add_argument("--memory", default="6GiB", help="for weights; the rest stays on disk (default 6GiB)")
    parser.add_argument("--tokens", type=int, default=32, help="sampled tokens of an answer (default 32)")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(arguments.folder)
    with tempfile.TemporaryDirectory(dir=".") as offloaded:
        begin = time.perf_counter()
        model = AutoModelForSeq2SeqLM.from_pretrained(
            arguments.folder,
            dtype=torch.bfloat16,
            device_map="auto",
            max_memory={"cpu": arguments.memory},
            offload_folder=offloaded,
        ).eval()
        places = list(model.hf_device_map.values())
        print(f"loaded in {time.perf_counter() - begin:.0f} s; {places.count('disk')} of {len(places)} modules on disk")
        inputs = tokenizer(TEXT, return_tensors="pt")
        torch.manual_seed(0)
        for phase in ("cold", "warm"):
            begin = time.perf_counter()
            with torch.no_grad():
                tokens = model.generate(
                    **inputs, do_sample=True, max_new_tokens=arguments.tokens, min_new_tokens=arguments.tokens
                )
            seconds = time.perf_counter() - begin
            print(f"{phase}: {(tokens.shape[1] - 1) / seconds:.2f} tokens/s ({seconds:.1f} s)", flush=True)
        print(f"peak memory {peak_rss_bytes() / 2**30:.1f} GiB")


if __name__ == "__main__":
    main()
