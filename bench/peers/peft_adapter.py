"""A PEFT adapter with random values, and the logits that PEFT computes with it, as reference values.

    python peft_adapter.py MODEL FOLDER

MODEL is a model as `save_pretrained` writes it (test/fixtures/switch-tiny). FOLDER gets what PEFT saves,
adapter_config.json and adapter_model.safetensors, and `logits.safetensors`: inputs and logits.
"""

import os
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForSeq2SeqLM


def main():
    source, folder = sys.argv[1:]
    torch.manual_seed(5)
    lora = LoraConfig(r=2, lora_alpha=6, target_modules=["q", "v", "wi"], task_type="SEQ_2_SEQ_LM")
    adapted = get_peft_model(AutoModelForSeq2SeqLM.from_pretrained(source), lora)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted.peft_config["default"].base_model_name_or_path = "switch-tiny"
    adapted.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))

    model = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(source), folder).eval()
    inputs = torch.randint(2, 96, (2, 10))
    decoder_inputs = torch.randint(2, 96, (2, 6))
    with torch.no_grad():
        logits = model(input_ids=inputs, decoder_input_ids=decoder_inputs).logits
    tensors = {"input_ids": inputs.int(), "decoder_input_ids": decoder_inputs.int(), "logits": logits}
    save_file(tensors, os.path.join(folder, "logits.safetensors"))


if __name__ == "__main__":
    main()
