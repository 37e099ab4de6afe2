"""What the peers share: the benchmark model's sizes, its batch, the command line and the line protocol."""

import argparse
import json
import sys
import traceback

import numpy as np

VOCAB, D_MODEL, HEADS, D_HEAD, D_FF, LAYERS = 8192, 256, 4, 64, 1024, 4
BATCH, ENCODER_LENGTH, DECODER_LENGTH = 16, 64, 32
T5_SMALL_BATCH, T5_SMALL_ENCODER_LENGTH, T5_SMALL_DECODER_LENGTH = 8, 128, 64
CAPACITY_FACTOR = 1.25
LEARNING_RATE = 1e-3

# Replies go to the real stdout; whatever a library prints goes to stderr instead.
_replies, sys.stdout = sys.stdout, sys.stderr


def parse_arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--shape", choices=("bench", "t5-small"), default="bench", help="the model (default bench)")
    parser.add_argument("--experts", type=int, default=8, help="experts in each sparse layer (default 8)")
    parser.add_argument("--dense", action="store_true", help="no experts: a dense feed-forward in every layer")
    return parser.parse_args()


def random_tokens(seed, *shape):
    return np.random.default_rng(seed).integers(3, 8000, shape)


def prompt_tokens(rows, length):
    """The same as ../model.ts's."""
    return [[3 + (i * 7919 + row * 31) % 7997 for i in range(row * length, (row + 1) * length)] for row in range(rows)]


def training_batch(shape="bench"):
    if shape == "t5-small":
        sizes = T5_SMALL_BATCH, T5_SMALL_ENCODER_LENGTH, T5_SMALL_DECODER_LENGTH
    else:
        sizes = BATCH, ENCODER_LENGTH, DECODER_LENGTH
    batch, encoder_length, decoder_length = sizes
    return random_tokens(0, batch, encoder_length), random_tokens(1, batch, decoder_length)


def peak_rss_bytes():
    """High-water mark of this process alone (getrusage's may be inherited from the parent)."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def reply(message):
    print(json.dumps(message), file=_replies, flush=True)


def serve(ready, commands):
    """Says ready, then answers `<command> <integer>` lines until `quit` or the end of stdin."""
    reply({"ready": True, **ready, "peakRssBytes": peak_rss_bytes()})
    for line in sys.stdin:
        words = line.split()
        if not words:
            continue
        if words == ["quit"]:
            break
        try:
            if len(words) != 2 or words[0] not in commands:
                raise ValueError(f"expected quit or one of {sorted(commands)} with a count, got {line.strip()!r}")
            count = int(words[1])
            if count < 1:
                raise ValueError(f"the count must be at least 1, got {count}")
            reply({**commands[words[0]](count), "peakRssBytes": peak_rss_bytes()})
        except Exception as error:
            traceback.print_exc()
            reply({"error": f"{type(error).__name__}: {error}"})
