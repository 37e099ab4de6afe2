"""lm-evaluation-harness's local-completions against a running server, compared with transformers.

python serve_lm_eval.py make FOLDER TOKENIZER_JSON   writes a small random T5
npx switchyard serve FOLDER --answer-separator Answer:
python serve_lm_eval.py check FOLDER URL             evaluates 24 questions with 3 choices each
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

TASK = """task: choices
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{q}}\\nAnswer:"
doc_to_target: gold
doc_to_choice: choices
metric_list: [{metric: acc}]
"""


def make(folder, tokenizer_json):
    torch.manual_seed(0)
    sizes = dict(vocab_size=32128, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    model = T5ForConditionalGeneration(T5Config(**sizes, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1))
    model.shared.weight.data.mul_(0.3)
    model.save_pretrained(folder)
    names = dict(eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    PreTrainedTokenizerFast(tokenizer_file=tokenizer_json, **names).save_pretrained(folder)


def evaluate(folder, url, work):
    random.seed(0)
    answers = ["yes", "no", "maybe", "the red house", "a cat", "seven", "hello world", "it is not so"]
    questions = [
        {"q": f"number {i} of {random.choice(answers)}?", "choices": random.sample(answers, 3), "gold": i % 3}
        for i in range(24)
    ]
    data = work / "questions.jsonl"
    data.write_text("\n".join(json.dumps(question) for question in questions))
    (work / "choices.yaml").write_text(TASK % data)
    model = f"base_url={url}/v1/completions,model={Path(folder).name},tokenizer={folder},num_concurrent=4,max_retries=1"
    command = ["-m", "lm_eval", "--model", "local-completions", "--tasks", "choices", "--include_path", str(work)]
    output = ["--model_args", model, "--output_path", str(work / "out"), "--log_samples"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    subprocess.run([sys.executable, *command, *output], check=True, env={**os.environ, **offline})
    [samples] = (work / "out").rglob("samples_choices*.jsonl")
    return [json.loads(line) for line in samples.read_text().splitlines()]


def check(folder, url):
    model = T5ForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = lambda text: tokenizer(text, add_special_tokens=False).input_ids
    count, worst, same = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as work:
        samples = evaluate(folder, url, Path(work))
    for sample in samples:
        asked = sample["arguments"]
        for pair, (log_probability, is_greedy) in zip(asked.values() if isinstance(asked, dict) else asked, sample["filtered_resps"]):
            context, continuation = (pair["arg_0"], pair["arg_1"]) if isinstance(pair, dict) else pair
            before = ids(context)
            forced = ids(context + continuation)[len(before) :]
            with torch.no_grad():
                inputs = dict(input_ids=torch.tensor([before + [1]]), decoder_input_ids=torch.tensor([[0] + forced[:-1]]))
                log_probabilities = model(**inputs).logits.log_softmax(-1)[0]
            expected = sum(log_probabilities[i, id].item() for i, id in enumerate(forced))
            greedy = all(log_probabilities[i].argmax().item() == id for i, id in enumerate(forced))
            count += 1
            worst = max(worst, abs(expected - float(log_probability)))
            same += str(greedy) == str(is_greedy)
    print(f"{count} continuations: log-probabilities differ from transformers by at most {worst:.1e}, greedy as there: {same}")
    sys.exit(0 if worst < 1e-4 and same == count else 1)


{"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
