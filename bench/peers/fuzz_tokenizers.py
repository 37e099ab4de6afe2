"""Random tokenizer.json files with the ids and texts that the tokenizers library gives them, as one JSON file.

    python fuzz_tokenizers.py SEED COUNT > /tmp/fuzz.json
    FUZZ_TOKENIZERS=/tmp/fuzz.json npx vitest run src/text/tokenizer-json/pipelines.test.ts

The decoded texts are the library's, but for what the library of this repository documents: it stops at EOS, leaves out
special tokens that have a role, and writes an unknown token as U+2047.
"""

import json
import random
import sys

from tokenizers import Tokenizer

seed, count = int(sys.argv[1]), int(sys.argv[2])
R = random.Random(seed)
LETTERS = "abcdefghijklmnopqrstuvwxyzABCÉéß日本.,!?'\"-_0123456789ﬁ①Ｈ"
SPECIAL = ["<pad>", "</s>", "<unk>"]
WORDS = (
    "▁a ▁b ab the ▁the ▁The Th ing ▁1 12 123 ▁▁ ##a ##b ##ing Ġa Ġb Ġ ou ss co !! .. a▁ ▁a▁b <x> Ä a</w> b</w> the</w> Ãī"
).split() + ["o ", "A a"]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
BYTES = ["<0x%02X>" % byte for byte in range(256)]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def maybe(chance):
    return R.random() < chance


def flags(*names):
    return {name: maybe(0.5) for name in names}


def pieces():
    return list(dict.fromkeys([*SPECIAL, "▁", *LETTERS, *WORDS]))


def normalizer(depth=0):
    kind = R.choice(
        "null NFC NFD NFKC NFKD Lowercase StripAccents Strip Replace Regex Prepend Sequence Sequence Nmt BertNormalizer ByteLevel".split()
    )
    if kind == "null":
        return None
    if kind == "Strip":
        return {"type": kind, **flags("strip_left", "strip_right")}
    if kind == "Replace":
        return {"type": kind, "pattern": {"String": R.choice([" ", "a", "``", "!!", "e"])}, "content": R.choice(["▁", "", 'b"', "  "])}
    if kind == "Regex":
        regex = R.choice([" {2,}", r"\s+", "[aeiou]", r"\d+", "(?i)th", "^a", r"\p{P}", "x*", "b$", r"[^\w\s]", r"(?:a|b)+?", r"\w\s"])
        return {"type": "Replace", "pattern": {"Regex": regex}, "content": R.choice(["▁", "", "x", " "])}
    if kind == "Prepend":
        return {"type": kind, "prepend": R.choice(["▁", "x", " ", "é"])}
    if kind == "BertNormalizer":
        return {"type": kind, **flags("clean_text", "handle_chinese_chars", "lowercase"), "strip_accents": R.choice([None, True, False])}
    if kind == "Sequence":
        steps = [normalizer(depth + 1) for _ in range(R.randint(0, 3))] if depth < 2 else []
        return {"type": kind, "normalizers": [step for step in steps if step]}
    return {"type": kind}


def pre_tokenizer(depth=0):
    kind = R.choice(
        "null WhitespaceSplit Whitespace Metaspace Metaspace Punctuation Digits Split Regex BertPreTokenizer ByteLevel Sequence Sequence CharDelimiterSplit FixedLength".split()
    )
    if kind == "null":
        return None
    if kind == "Metaspace":
        return {"type": kind, "replacement": "▁", "prepend_scheme": R.choice(["always", "first", "never"]), "split": maybe(0.7)}
    if kind == "Punctuation":
        return {"type": kind, "behavior": R.choice(BEHAVIORS)}
    if kind == "Digits":
        return {"type": kind, **flags("individual_digits")}
    if kind in ("Split", "Regex"):
        pattern = {"String": R.choice([" ", "a", "!!", "th"])}
        if kind == "Regex":
            pattern = {"Regex": R.choice([r"\s+", r"\w+|[^\w\s]+", "[0-9]", r"\p{L}+", r"(?i:'s|'t)|\s?\p{L}+", GPT2, LLAMA, "a*", r"\S", "(a)(b)?"])}
        return {"type": "Split", "pattern": pattern, "behavior": R.choice(BEHAVIORS), "invert": maybe(0.3)}
    if kind == "ByteLevel":
        return {"type": kind, "trim_offsets": True, **flags("add_prefix_space", "use_regex")}
    if kind == "CharDelimiterSplit":
        return {"type": kind, "delimiter": R.choice("a -")}
    if kind == "FixedLength":
        return {"type": kind, "length": R.randint(1, 5)}
    if kind == "Sequence":
        steps = [pre_tokenizer(depth + 1) for _ in range(R.randint(0, 3))] if depth < 2 else []
        return {"type": kind, "pretokenizers": [step for step in steps if step]}
    return {"type": kind}


def bpe():
    tokens = pieces()
    prefix = R.choice([None, None, None, "##"])
    suffix = R.choice([None, None, None, "</w>"])
    merges = [["t", "h"], ["th", "e"], ["▁", "a"], ["▁", "the"], ["i", "n"], ["in", "g"], ["1", "2"], ["12", "3"]]
    merges += [["!", "!"], ["a", "b"], ["▁", "▁"], ["Ġ", "a"], ["a", "bb"], ["b", "b"], ["Ã", "©"], ["Ġ", "Ġ"]]
    if maybe(0.3):
        R.shuffle(merges)
    if prefix:
        merges = [[a, prefix + b] for a, b in merges if len(b) == 1] + [[prefix + a, prefix + b] for a, b in merges if len(b) == 1]
    merged = [a + (b[len(prefix) :] if prefix else b) for a, b in merges]
    bytes_too = maybe(0.3)
    tokens = list(dict.fromkeys([*tokens, *(t for pair in merges for t in pair), *merged, *(BYTES if bytes_too else [])]))
    if prefix:
        tokens = list(dict.fromkeys([*tokens, *(prefix + c for c in LETTERS)]))
    if maybe(0.3):
        merges = [" ".join(pair) for pair in merges]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": R.choice(["<unk>", "<unk>", None]),
        "continuing_subword_prefix": prefix,
        "end_of_word_suffix": suffix,
        "fuse_unk": maybe(0.5),
        "byte_fallback": bytes_too,
        "ignore_merges": maybe(0.2),
        "vocab": {token: i for i, token in enumerate(tokens)},
        "merges": merges,
    }


def model():
    kind = R.choice(["Unigram", "Unigram", "BPE", "BPE", "WordPiece", "WordLevel"])
    tokens = pieces()
    if kind == "BPE":
        return bpe()
    if kind == "Unigram":
        bytes_too = maybe(0.3)
        vocab = [[token, 0 if i < 3 else -round(R.uniform(1, 9), 4)] for i, token in enumerate(tokens)]
        return {"type": kind, "unk_id": 2, "vocab": vocab + [[b, -12.5] for b in BYTES if bytes_too], "byte_fallback": bytes_too}
    if kind == "WordPiece":
        tokens = list(dict.fromkeys([*tokens, *("##" + c for c in LETTERS)]))
        more = {"continuing_subword_prefix": R.choice(["##", "##", ""]), "max_input_chars_per_word": R.choice([100, 5])}
    else:
        more = {}
    return {"type": kind, "unk_token": "<unk>", "vocab": {token: i for i, token in enumerate(tokens)}, **more}


def decoder(depth=0):
    kind = R.choice("null Metaspace Metaspace ByteLevel WordPiece Llama BPEDecoder CTC Fuse ByteFallback Replace Regex Strip Sequence".split())
    if kind == "null":
        return None
    replace = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    if kind == "Metaspace":
        return {"type": kind, "replacement": "▁", "prepend_scheme": R.choice(["always", "first", "never"]), "split": True}
    if kind == "ByteLevel":
        return {"type": kind, "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    if kind == "WordPiece":
        return {"type": kind, "prefix": R.choice(["##", "##", "", "▁"]), **flags("cleanup")}
    if kind == "Llama":
        strip = {"type": "Strip", "content": " ", "start": R.randint(0, 2), "stop": 0}
        return {"type": "Sequence", "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]}
    if kind == "BPEDecoder":
        return {"type": kind, "suffix": R.choice(["</w>", "▁"])}
    if kind == "CTC":
        return {"type": kind, "pad_token": R.choice(["<pad>", "a"]), "word_delimiter_token": R.choice(["|", "▁"]), **flags("cleanup")}
    if kind == "Replace":
        return replace
    if kind == "Regex":
        return {"type": "Replace", "pattern": {"Regex": R.choice(["▁+", "[ab]", "^▁"])}, "content": R.choice([" ", ""])}
    if kind == "Strip":
        return {"type": kind, "content": R.choice("▁a"), "start": R.randint(0, 2), "stop": R.randint(0, 1)}
    if kind == "Sequence":
        steps = [decoder(1) for _ in range(R.randint(0, 3))] if depth == 0 else []
        return {"type": kind, "decoders": [step for step in steps if step]}
    return {"type": kind}


def post_processor():
    kind = R.choice("null null null Template Bert Roberta ByteLevel".split())
    if kind == "Template":
        single = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
        token = {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}
        return {"type": "TemplateProcessing", "single": single, "pair": single + [{"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": token}
    if kind == "Bert":
        return {"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<pad>", 0]}
    if kind == "Roberta":
        return {"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<pad>", 0], "trim_offsets": True, "add_prefix_space": False}
    return {"type": kind, "add_prefix_space": True, "trim_offsets": True} if kind == "ByteLevel" else None


def text():
    words = "a b the The ing ab abb 123 12 1 É é 日本 ﬁ ① Ｈ ! !! 's . , - _ <x> </s> <unk> <sep> sep th ß co ▁ 😀 ّ Я ご don't É".split(" ")
    words += [" ", "  ", "e\u0301", "\t", "\n", "\u00a0", "\u200b", "\0", "\r\n", "\u0085", "\u3000", "²", "ǅ", "ſ", "<0x41>", "\ufeff", "\u0301", "\u061d"]
    return "".join(R.choice(words) + R.choice(["", " ", ""]) for _ in range(R.randint(0, 9)))


def writes_spaces(step):
    if step is None:
        return False
    return step["type"] in ("Metaspace", "Replace") or any(map(writes_spaces, step.get("decoders", [])))


def decoded(parts, bare, ids, data):
    tokens = []
    for i in ids:
        if i == 1:
            break
        if i == 0:
            continue
        unknown = " \u2047 " if data["model"]["type"] == "Unigram" and writes_spaces(data["decoder"]) else "\u2047"
        tokens.append(unknown if i == 2 else bare.decode([i], skip_special_tokens=False))
    if not tokens:
        return ""
    return parts.decoder.decode(tokens) if parts.decoder else " ".join(tokens)


def case():
    chosen = model()
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": i, "content": content, **plain} for i, content in enumerate(SPECIAL)]
    own = [piece[0] for piece in chosen["vocab"]] if chosen["type"] == "Unigram" else list(chosen["vocab"])
    for content in R.sample(["<sep>", "<sep>!", "sep", "É", " a", "  ", "ﬁ", "日本", "co", "a b"], R.choice([0, 0, 1, 1, 2, 4])):
        new = len(own) + sum(token["id"] >= len(own) for token in added)
        number = own.index(content) if content in own else new
        added.append({"id": number, "content": content, **flags("single_word", "lstrip", "rstrip", "normalized", "special")})
    data = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer(),
        "pre_tokenizer": pre_tokenizer(),
        "post_processor": post_processor(),
        "decoder": decoder(),
        "model": chosen,
    }
    try:
        parts = Tokenizer.from_str(json.dumps(data))
        bare = Tokenizer.from_str(json.dumps({**data, "decoder": None}))
    except BaseException:  # a panic of the library is no Exception
        return None
    texts = []
    for _ in range(12):
        words = text()
        try:
            ids = parts.encode(words, add_special_tokens=False).ids
            texts.append([words, ids, parts.encode(words).ids, decoded(parts, bare, ids, data)])
        except BaseException:
            continue
    lists = []
    for _ in range(4):
        ids = [R.randrange(2, bare.get_vocab_size()) for _ in range(R.randint(1, 8))]
        try:
            lists.append([ids, decoded(parts, bare, ids, data)])
        except BaseException:
            continue
    return {"tokenizer": data, "texts": texts, "ids": lists}


cases = []
while len(cases) < count:
    made = case()
    if made:
        cases.append(made)
json.dump(cases, sys.stdout, ensure_ascii=False)
