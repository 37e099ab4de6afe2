"""Twenty steps of fine-tuning in a PyTorch loop around Hugging Face transformers, as reference values.

    python hf_finetune.py FOLDER FILE

FOLDER is a model as `save_pretrained` writes it (test/fixtures/t5-v1_1). FILE gets, as safetensors: the batches
(`batch.<i>.*`), and for each optimizer the loss of each step before its update (`<optimizer>.losses`) and the final
parameters (`<optimizer>.params.<name>`). There is no dropout and no router noise.

The optimizers: `adamw` is torch.optim.AdamW with decoupled weight decay on all but vectors; `adafactor` is transformers'
Adafactor with a given learning rate, relative to each parameter's size.
"""

import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM
from transformers.optimization import Adafactor

STEPS, BATCHES, ROWS, INPUT_LENGTH, TARGET_LENGTH = 20, 3, 4, 12, 8


def make_batches(vocabulary):
    """Random tokens: rows of different lengths, with padding 0 in the inputs and -100 in the labels."""
    generator = np.random.default_rng(11)
    batches = []
    for _ in range(BATCHES):
        inputs = generator.integers(2, vocabulary, (ROWS, INPUT_LENGTH))
        labels = generator.integers(2, vocabulary, (ROWS, TARGET_LENGTH))
        for row in range(1, ROWS):
            inputs[row, generator.integers(4, INPUT_LENGTH + 1) :] = 0
            labels[row, generator.integers(3, TARGET_LENGTH + 1) :] = -100
        batches.append({"input_ids": torch.tensor(inputs), "labels": torch.tensor(labels)})
    return batches


def load(folder):
    config = AutoConfig.from_pretrained(folder)
    config.dropout_rate = 0.0
    if hasattr(config, "router_jitter_noise"):
        config.router_jitter_noise = 0.0
    return AutoModelForSeq2SeqLM.from_pretrained(folder, config=config, dtype=torch.float32)


def adamw(model):
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-8)


def adafactor(model):
    return Adafactor(
        model.parameters(), lr=1e-2, scale_parameter=True, relative_step=False, warmup_init=False, weight_decay=0.0
    )


def main():
    folder, path = sys.argv[1:]
    torch.set_num_threads(2)
    batches = make_batches(AutoConfig.from_pretrained(folder).vocab_size)
    tensors = {}
    for name, make in (("adamw", adamw), ("adafactor", adafactor)):
        model = load(folder)
        model.train()
        optimizer = make(model)
        router = {"output_router_logits": True} if hasattr(model.config, "num_experts") else {}
        losses = []
        for step in range(STEPS):
            batch = batches[step % BATCHES]
            mask = (batch["input_ids"] != 0).long()
            loss = model(**batch, attention_mask=mask, **router).loss
            optimizer.zero_grad()
            loss.backward()
            # Experts that no token chose have no gradient, and PyTorch would not update them. Their gradient is 0.
            for parameter in model.parameters():
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
            losses.append(loss.item())
        tensors[f"{name}.losses"] = torch.tensor(losses)
        # The copies of the tied embedding are left out.
        seen = set()
        for parameter, value in model.named_parameters():
            if value.data_ptr() not in seen:
                tensors[f"{name}.params.{parameter}"] = value.detach().clone().contiguous()
            seen.add(value.data_ptr())
        for i, batch in enumerate(batches):
            decoder_inputs = model._shift_right(batch["labels"])
            tensors |= {f"batch.{i}.{key}": value.to(torch.int32) for key, value in batch.items()}
            tensors[f"batch.{i}.decoder_input_ids"] = decoder_inputs.to(torch.int32)
        print(name, losses[0], losses[-1])
    save_file(tensors, path)


if __name__ == "__main__":
    main()
