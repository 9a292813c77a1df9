"""Byte-level BPE with DeepSeek's pipeline and V4's special tokens, for a small vocabulary.

    python tokenizer.py FOLDER     learns the merges and writes the three JSON files there

Ids: 0 1 2 control tokens, 3..258 bytes, then merges in order of rank, then the named tokens of
V4's prompt format, filled up with place holders to a multiple of 64. No merge joins digits, so
each digit is a token by itself.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path

import regex
from tokenizers import Tokenizer as HuggingFace
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.trainers import BpeTrainer

from languages import CODES, UNSPACED, all_words, language

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
THINK, END_THINK = "<think>", "</think>"

# The named tokens of V4, in its order; those that decoding with skip_special leaves out are marked.
NAMED = """<｜fim▁hole｜> <｜fim▁begin｜> <｜fim▁end｜> <｜User｜> <｜Assistant｜> <|EOT|>*
<｜tool▁calls▁begin｜> <｜tool▁calls▁end｜> <｜tool▁call▁begin｜> <｜tool▁call▁end｜>
<｜tool▁outputs▁begin｜> <｜tool▁outputs▁end｜> <｜tool▁output▁begin｜> <｜tool▁output▁end｜>
<｜tool▁sep｜> <｜begin▁of▁repo▁name｜> <｜end▁of▁repo▁name｜> <｜begin▁of▁file▁name｜>
<｜end▁of▁file▁name｜> <｜begin▁of▁file｜> <｜end▁of▁file｜> <think> </think>
<｜place▁holder▁for▁copy｜> <｜place▁holder▁for▁pointer▁replace｜> ｜DSML｜ <｜begin▁sys｜> <｜end▁sys｜>
<｜latest_reminder｜> <｜action｜> <｜query｜> <｜authority｜> <｜domain｜> <｜task｜> <｜political｜>
<｜entity｜> <｜title｜> <｜safety｜> <｜answer｜> <｜search｜> <dsml: </dsml: <｜search▁begin｜>
<｜search▁end｜> <｜extracted_url｜> <｜read_url｜> <｜end_of_query｜>*""".split()

SPLITS = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    "|[^\r\n" r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[" "\r\n]*"
    r"|\s*[" "\r\n" r"]+|\s+(?!\S)|\s+",
]
COMPILED = [regex.compile(pattern) for pattern in SPLITS]


def byte_letters() -> list[str]:
    """The letter that stands for each byte, and by the order of the letters the byte's id."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    letters = {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}
    return [letters[b] for b in range(256)]


LETTERS = byte_letters()


def isolate(pattern: regex.Pattern, piece: str) -> list[str]:
    """Matches and the gaps between them."""
    parts, at = [], 0
    for match in pattern.finditer(piece):
        if match.start() > at:
            parts.append(piece[at : match.start()])
        if match.group():
            parts.append(match.group())
        at = match.end()
    return parts + [piece[at:]] if at < len(piece) else parts


def split(text: str) -> list[str]:
    """The pre-tokenizer's pieces."""
    parts = [text]
    for pattern in COMPILED:
        parts = [part for whole in parts for part in isolate(pattern, whole)]
    return parts


def in_letters(part: str) -> str:
    return "".join(LETTERS[b] for b in part.encode())


def pieces(text: str) -> list[str]:
    """The pre-tokenizer's pieces, in the alphabet of LETTERS."""
    return [in_letters(part) for part in split(text)]


class Encoder:
    """The same ids as Tokenizer.encode gives, by the tokenizers library: much faster."""

    def __init__(self, path: Path):
        self.library = HuggingFace.from_file(str(path))
        self.size = self.library.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return self.library.encode(text, add_special_tokens=False).ids


def learn_merges(counts: Counter, wanted: int) -> list[tuple[str, str]]:
    """The most frequent pairs joined, again and again, by the tokenizers library; digits stay
    single. `counts` holds pieces in the alphabet of LETTERS."""
    # The trainer has no way to be handed counts: a piece is repeated.
    words = (piece for piece, count in sorted(counts.items()) if not piece[0].isdecimal()
             for _ in range(count))
    bpe = HuggingFace(BPE())
    bpe.pre_tokenizer = WhitespaceSplit()
    bpe.train_from_iterator(words, BpeTrainer(
        vocab_size=256 + wanted, initial_alphabet=LETTERS, show_progress=False,
        special_tokens=[]))
    merges = json.loads(bpe.to_str())["model"]["merges"]
    return [tuple(pair) for pair in merges]


def join(parts: list[str], pair: tuple[str, str]) -> None:
    at = 0
    while at + 1 < len(parts):
        if (parts[at], parts[at + 1]) == pair:
            parts[at : at + 2] = ["".join(pair)]
        at += 1


class Tokenizer:
    def __init__(self, merges: list[tuple[str, str]]):
        by_id = sorted(range(256), key=lambda b: LETTERS[b])
        vocab = [BOS, EOS, PAD] + [LETTERS[b] for b in by_id] + ["".join(m) for m in merges]
        self.merges, self.vocab = merges, {token: n for n, token in enumerate(vocab)}
        assert len(self.vocab) == len(vocab), "two merges give the same token"
        self.rank = {pair: n for n, pair in enumerate(merges)}
        named = [name.rstrip("*") for name in NAMED]
        fill = -(len(vocab) + len(named)) % 64
        first = [f"<｜place▁holder▁no▁{n}｜>" for n in range(fill)]
        self.added = {name: len(vocab) + n for n, name in enumerate(first + named)}
        self.size = len(vocab) + len(self.added)
        self.literal = regex.compile("|".join(map(regex.escape, [BOS, EOS, PAD, *self.added])))
        self.tokens = {**self.vocab, **self.added}
        self.text = {n: token for token, n in self.tokens.items()}
        self.byte = {letter: b for b, letter in enumerate(LETTERS)}
        self.known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        ids = []
        for part in isolate(self.literal, text):
            if part in self.tokens and self.literal.fullmatch(part):
                ids.append(self.tokens[part])
            else:
                for piece in pieces(part):
                    ids += self.encode_piece(piece)
        return ids

    def encode_piece(self, piece: str) -> list[int]:
        if piece not in self.known:
            parts = list(piece)
            while len(parts) > 1:
                best = min(zip(parts, parts[1:]), key=lambda pair: self.rank.get(pair, 1 << 30))
                if best not in self.rank:
                    break
                join(parts, best)
            self.known[piece] = [self.vocab[part] for part in parts]
        return self.known[piece]

    def decode(self, ids: list[int]) -> str:
        data = b""
        for n in ids:
            token = self.text[n]
            plain = n > 2 and token in self.vocab
            data += bytes(self.byte[letter] for letter in token) if plain else token.encode()
        return data.decode(errors="replace")

    def as_json(self) -> dict:
        def entry(token: str, n: int, special: bool) -> dict:
            return {"id": n, "content": token, "single_word": False, "lstrip": False,
                    "rstrip": False, "normalized": token in named, "special": special}

        named = {name.rstrip("*") for name in NAMED} - {"<｜end_of_query｜>"}

        special = {name.rstrip("*") for name in NAMED if name.endswith("*")}
        added = [entry(token, n, True) for n, token in enumerate((BOS, EOS, PAD))]
        for token, n in self.added.items():
            added.append(entry(token, n, token in special or "holder▁no▁" in token))
        splits = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
                   "invert": False} for pattern in SPLITS]
        splits.append({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                       "use_regex": False})
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": []},
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": splits},
            "post_processor": {"type": "ByteLevel", "add_prefix_space": True,
                               "trim_offsets": False, "use_regex": True},
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                        "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "vocab": self.vocab,
                      "merges": [" ".join(pair) for pair in self.merges]},
        }

    def save(self, folder: Path) -> None:
        def token(content: str) -> dict:
            return {"__type": "AddedToken", "content": content, "lstrip": False,
                    "normalized": True, "rstrip": False, "single_word": False}

        about = {
            "add_bos_token": False, "add_eos_token": False, "bos_token": token(BOS),
            "clean_up_tokenization_spaces": False, "eos_token": token(EOS), "legacy": True,
            "model_max_length": 1048576, "pad_token": token(EOS), "sp_model_kwargs": {},
            "unk_token": None, "tokenizer_class": "PreTrainedTokenizerFast",
        }
        generation = {"_from_model_config": True, "bos_token_id": 0, "eos_token_id": 1,
                      "do_sample": True, "temperature": 1.0, "top_p": 1.0,
                      "reasoning_effort": "low"}
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("tokenizer.json", self.as_json()), ("tokenizer_config.json", about),
                              ("generation_config.json", generation)):
            text = json.dumps(content, ensure_ascii=False, indent=2)
            (folder / name).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Tokenizer":
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        return cls([tuple(pair.split(" ")) for pair in model["merges"]])


# Letters of the eleven scripts, each to be one token: first and last of every range.
ALPHABETS = ["àÿ", "Ѐџ", "กฺ", "฿๎", "ঁঃ", "অৡ", "ఁః", "అౡ", "ぁゖ", "ァヺ"]


def alphabet() -> list[str]:
    letters = [chr(n) for first, last in ALPHABETS for n in range(ord(first), ord(last) + 1)]
    return [letter for letter in letters if regex.fullmatch(r"[\p{L}\p{M}\p{S}]", letter)]


def apart(text: str, words: regex.Pattern) -> list[str]:
    """pieces(text), cut where a word that changes from problem to problem begins and ends: no merge
    is learned across such an edge, so that a word is the same tokens wherever it stands. A space
    before it stays with it."""
    edges = {edge for match in words.finditer(text) for edge in match.span()}
    found, at = [], 0
    for part in split(text):
        cuts = [0, *(edge - at for edge in sorted(edges) if at < edge < at + len(part)), len(part)]
        if len(cuts) > 2 and part[: cuts[1]] == " ":
            del cuts[1]
        found += [in_letters(part[a:b]) for a, b in zip(cuts, cuts[1:])]
        at += len(part)
    return found


def word_pattern(code: str) -> regex.Pattern:
    words = "|".join(map(regex.escape, sorted(all_words(language(code)), key=len, reverse=True)))
    spaced = code not in UNSPACED
    return regex.compile(rf"(?<!\p{{L}})(?:{words})(?!\p{{L}})" if spaced else words)


def learn(wanted: int = 3756, problems: int = 6000) -> Tokenizer:
    """From problems as they are told, their thinking and answers, and the other texts."""
    from problems import draw

    counts: Counter = Counter()
    for letter in alphabet():
        counts.update(pieces(letter) * 1500)
    for code in CODES:
        rng, words = random.Random(f"nano tokenizer {code}"), language(code)
        pattern = word_pattern(code)
        for _ in range(problems):
            p = draw(rng, code)
            for text in (p.question, p.thinking, p.reply):
                counts.update(apart(text, pattern))
        for text in (*words["systems"], *sum(words["greetings"], ())):
            counts.update(apart(text, pattern) * 20)
        for word in [*words["names"], *words["weekdays"], *words["months"]]:
            counts.update(pieces(words.before_name + word) * 300 + pieces(word) * 300)
        for word in [*words["words"], *words["kinds"], *sum(words["kinds"].values(), [])]:
            counts.update(pieces(words.before_listed + word) * 300 + pieces(word) * 300)
    return Tokenizer(learn_merges(counts, wanted))


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    tokenizer = learn()
    tokenizer.save(Path(sys.argv[1]))
    print(f"{len(tokenizer.merges)} merges, {tokenizer.size} ids")
    return 0


if __name__ == "__main__":
    sys.exit(main())
