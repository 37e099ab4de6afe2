"""Vectors of texts by sentence-transformers, from a folder of weights."""

import argparse
import json
import time

import torch
from sentence_transformers import SentenceTransformer

from common import serve


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="config.json, model.safetensors and a vocabulary")
    parser.add_argument("texts", help="a file with a JSON array of texts")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    with open(arguments.texts, encoding="utf-8") as file:
        texts = json.load(file)
    begin = time.perf_counter()
    model = SentenceTransformer(arguments.folder, device="cpu", local_files_only=True)
    load_seconds = time.perf_counter() - begin

    def embed(count):
        begin, cpu = time.perf_counter(), time.process_time()
        vectors = model.encode(texts[:count], show_progress_bar=False)
        seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
        return {"seconds": seconds, "cpuSeconds": cpu_seconds, "vectors": vectors.tolist()}

    serve({"name": "sentence-transformers", "loadSeconds": load_seconds}, {"embed": embed})


if __name__ == "__main__":
    main()
