"""The benchmark model as Hugging Face transformers' SwitchTransformers, or t5-small's shape, in eager PyTorch."""

import time

import torch
from transformers import (
    SwitchTransformersConfig, SwitchTransformersForConditionalGeneration, T5Config, T5ForConditionalGeneration,
)  # fmt: skip

from common import (
    CAPACITY_FACTOR, D_FF, D_HEAD, D_MODEL, ENCODER_LENGTH, HEADS, LAYERS, LEARNING_RATE, VOCAB,
    parse_arguments, serve, training_batch,
)  # fmt: skip


def build(experts, dense):
    config = SwitchTransformersConfig(
        vocab_size=VOCAB,
        d_model=D_MODEL,
        d_kv=D_HEAD,
        d_ff=D_FF,
        num_heads=HEADS,
        num_layers=LAYERS,
        num_decoder_layers=LAYERS,
        num_sparse_encoder_layers=LAYERS // 2,
        num_sparse_decoder_layers=LAYERS // 2,
        num_experts=experts,
        # The library counts capacity by sequence, not over the whole batch.
        expert_capacity=int(CAPACITY_FACTOR * ENCODER_LENGTH / experts) + 1,
        dropout_rate=0.0,
        router_jitter_noise=0.0,
        decoder_start_token_id=0,
    )
    if dense:
        # num_sparse_*_layers = 0 would still make one layer sparse.
        config.encoder_sparse_step = config.decoder_sparse_step = 0
    torch.manual_seed(0)
    return SwitchTransformersForConditionalGeneration(config)


def build_t5_small():
    # T5Config's defaults are t5-small's sizes.
    torch.manual_seed(0)
    return T5ForConditionalGeneration(T5Config(vocab_size=32128, dropout_rate=0.0, decoder_start_token_id=0))


def main():
    arguments = parse_arguments(__doc__)
    torch.set_num_threads(2)
    is_t5 = arguments.shape == "t5-small"
    model = build_t5_small() if is_t5 else build(arguments.experts, arguments.dense)
    router = {} if is_t5 else {"output_router_logits": True}
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    source, target = (torch.from_numpy(tokens) for tokens in training_batch(arguments.shape))

    def train_step():
        loss = model(input_ids=source, labels=target, **router).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def step(count):
        model.train()
        seconds = []
        for _ in range(count):
            begin = time.perf_counter()
            loss = train_step()
            seconds.append(time.perf_counter() - begin)
        return {"stepSeconds": seconds, "loss": loss}

    ready = {
        "name": "hf",
        "traceSeconds": 0,
        "compileSeconds": 0,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    serve(ready, {"step": step})


if __name__ == "__main__":
    main()
