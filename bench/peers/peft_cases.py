"""Adapters of PEFT with random values, and what PEFT computes with them, as reference values.

    python peft_cases.py FIXTURES

FIXTURES is test/fixtures. Each folder below FIXTURES/adapters gets what PEFT saves, and `cases.safetensors`, which
`switchyard verify` compares: the inputs, the logits and the encoder's output of the adapted model, and the logits after
merge_and_unload where those are not the same. FIXTURES/cases/24-lora-adapter, which exists, gets its cases only.
"""

import os
import shutil
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForSeq2SeqLM

TINY = "cases/24-lora-base"
ROOMY = "switch-roomy"
UNTIED = "t5-v1_1-untied"
ADAPTERS = {
    # A rank and a factor of their own for some modules, as regular expressions; weights that are trained as a whole.
    "stabilized": (
        TINY,
        LoraConfig(
            r=4,
            lora_alpha=5,
            use_rslora=True,
            target_modules=r".*coder.*\.(q|v|wi)",
            rank_pattern={r"block\.1\..*\.q": 2, "wi": 3},
            alpha_pattern={r"block\.0\..*\.v": 9},
            modules_to_save=["lm_head", "layer_norm"],
            fan_in_fan_out=True,
        ),
        True,
    ),
    # A vocabulary with four more tokens: PEFT saves the table of tokens as well.
    "resized": (TINY, LoraConfig(r=2, target_modules=["q"]), True),
    # The vectors of two tokens, and a head of the base's own.
    "tokens": (UNTIED, LoraConfig(r=2, target_modules=["q"], trainable_token_indices=[3, 5]), True),
    # Tables of tokens, which the base ties.
    "embeddings": (TINY, LoraConfig(r=2, target_modules=["q", "embed_tokens", "lm_head"]), False),
    # Experts, routers and their biases.
    "switch": (ROOMY, LoraConfig(r=2, target_modules="all-linear", bias="all"), True),
}


def base_model(fixtures, base, folder):
    model = AutoModelForSeq2SeqLM.from_pretrained(os.path.join(fixtures, base))
    if folder.endswith("resized"):
        model.resize_token_embeddings(model.config.vocab_size + 4, mean_resizing=False)
    return model


def write_cases(fixtures, folder, base, merges):
    model = PeftModel.from_pretrained(base_model(fixtures, base, folder), folder)
    model.eval()
    torch.manual_seed(7)
    tokens = model.get_input_embeddings().weight.shape[0]
    inputs = torch.randint(2, tokens, (2, 9))
    inputs[:, 0] = 3
    labels = torch.randint(2, tokens, (2, 5))
    decoder_inputs = torch.cat([torch.zeros(2, 1, dtype=torch.long), labels[:, :-1]], 1)
    with torch.no_grad():
        adapted = model(input_ids=inputs, decoder_input_ids=decoder_inputs)
        merged = model.merge_and_unload().eval()(input_ids=inputs, decoder_input_ids=decoder_inputs)
    difference = ((merged.logits - adapted.logits).abs().max() / adapted.logits.abs().max()).item()
    print(folder, "merged differs from adapted by", difference)
    assert (difference < 1e-5) == merges
    tensors = {
        "input_ids": inputs.int(),
        "attention_mask": torch.ones_like(inputs).int(),
        "decoder_input_ids": decoder_inputs.int(),
        "labels": labels.int(),
        "logits": (merged if merges else adapted).logits.contiguous(),
        "encoder_last_hidden_state": (merged if merges else adapted).encoder_last_hidden_state.contiguous(),
    }
    save_file(tensors, os.path.join(folder, "cases.safetensors"))


def main():
    (fixtures,) = sys.argv[1:]
    for name, (base, lora, merges) in ADAPTERS.items():
        folder = os.path.join(fixtures, "adapters", name)
        torch.manual_seed(5)
        lora.task_type = "SEQ_2_SEQ_LM"
        adapted = get_peft_model(base_model(fixtures, base, folder), lora)
        for parameter_name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=1 if "layer_norm" in parameter_name or "trainable_tokens" in parameter_name else 0.1)
        adapted.peft_config["default"].base_model_name_or_path = os.path.join("..", base)
        shutil.rmtree(folder, ignore_errors=True)
        adapted.save_pretrained(folder, save_embedding_layers=name in ("resized", "embeddings"))
        os.remove(os.path.join(folder, "README.md"))
        write_cases(fixtures, folder, base, merges)
    write_cases(fixtures, os.path.join(fixtures, "cases/24-lora-adapter"), TINY, True)


if __name__ == "__main__":
    main()
