"""Writes small random models of sentence-transformers, with its vectors of a few texts: test/fixtures/embed.

    python bench/peers/embed_vectors.py test/fixtures/embed

Each folder gets `vectors.json`: the texts, and for each prompt the vectors that `SentenceTransformer.encode` gives.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel, T5ForConditionalGeneration

TEXTS = [
    "A cat sat on the mat.",
    "",
    "query: Where did the dog sleep?",
    "The quick brown fox jumps over the lazy dog, and the cat sleeps on the warm mat all day long.",
    "  Dogs  and CATS  ",
    "long " * 40,
]


def tokenizer(max_length):
    """A unigram tokenizer of about a hundred pieces that adds </s>, as T5's does."""
    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False)
    unigram.train_from_iterator(TEXTS * 4, trainer)
    unigram.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=unigram, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=max_length
    )


def base(folder, make, seed, max_length, **settings):
    """A random T5 in a folder, with its tokenizer. Norms and embeddings are spread, so that faults show."""
    torch.manual_seed(seed)
    words = tokenizer(max_length)
    config = T5Config(
        vocab_size=len(words), d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=2, relative_attention_num_buckets=8,
        relative_attention_max_distance=16, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, **settings,
    )  # fmt: skip
    model = make(config).eval()
    for name, parameter in model.named_parameters():
        if "layer_norm" in name:
            parameter.data.uniform_(0.5, 1.5)
    model.save_pretrained(folder)
    words.save_pretrained(folder)


def as_published(folder):
    """Rewrites a folder as sentence-t5 and gtr-t5 are published (old names, flags, a torch file), with lower case."""
    names = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense", "Normalize": "3_Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(names.items())
    ]
    write(folder / "modules.json", modules)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": True})
    write(folder / "config_sentence_transformers.json", {"__version__": {"sentence_transformers": "2.0.0"}})
    write(
        folder / "1_Pooling/config.json",
        {
            "word_embedding_dimension": 16,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    dense = folder / "2_Dense"
    from safetensors.torch import load_file

    torch.save(load_file(dense / "model.safetensors"), dense / "pytorch_model.bin")
    (dense / "model.safetensors").unlink()
    shutil.rmtree(folder / "3_Normalize", ignore_errors=True)


def write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def record(folder, prompts=(None,)):
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors = {str(name): model.encode(TEXTS, prompt_name=name).tolist() for name in prompts}
    norms = model.encode(TEXTS, normalize_embeddings=True)
    similarities = model.similarity(norms, norms).tolist()
    write(folder / "vectors.json", {"texts": TEXTS, "vectors": vectors, "similarities": similarities})


def main(out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)

    # As sentence-t5: an encoder, the mean of its tokens, a projection without bias, length 1.
    scratch = out / "scratch"
    base(scratch, T5EncoderModel, 1, 512)
    dense = Dense(16, 12, bias=False, activation_function=torch.nn.Identity())
    transformer = Transformer(str(scratch))
    SentenceTransformer(modules=[transformer, Pooling(16, "mean"), dense, Normalize()]).save(str(out / "sentence-t5"))
    as_published(out / "sentence-t5")
    record(out / "sentence-t5")

    # As version 6 writes: all ways of pooling, prompts that are left out of them, a bias, lower case, cut dimensions.
    base(scratch, T5EncoderModel, 2, 512, feed_forward_proj="gated-gelu")
    transformer = Transformer(str(scratch), do_lower_case=True, max_seq_length=32)
    modes = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
    modules = [transformer, Pooling(16, modes, include_prompt=False), Dense(96, 10), Dense(10, 8, use_residual=True)]
    prompts = {"query": "query: ", "document": "the document: "}
    model = SentenceTransformer(
        modules=modules, prompts=prompts, default_prompt_name="query", similarity_fn_name="dot", truncate_dim=6
    )
    model.save(str(out / "all-poolings"))
    record(out / "all-poolings", (None, "document"))

    # A model that generates, without modules: sentence-transformers takes the mean.
    base(out / "encoder-decoder", T5ForConditionalGeneration, 3, 20)
    record(out / "encoder-decoder")
    shutil.rmtree(scratch)
    for left in [*out.rglob("README.md"), *out.rglob("*.md"), *out.rglob("chat_template*")]:
        left.unlink(missing_ok=True)


main(Path(sys.argv[1]))
