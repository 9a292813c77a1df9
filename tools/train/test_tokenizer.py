"""tokenizer.py agrees with the reference engine, and its file has the structure of DeepSeek's.

    python test_tokenizer.py FOLDER [DEEPSEEK_TOKENIZER_JSON]
"""

import json
import random
import sys
from pathlib import Path

import tokenizers

from languages import CODES
from problems import draw
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER, Encoder, Tokenizer, alphabet

ODD = ["a  b\n\n def f(x):\n\treturn 'é'+don't 12345 ½ 東京タワー・  \n x", "ａｂｃ \u00a0z 𠀀😀 .txt _n -rc);\n"]


def texts() -> list[str]:
    rng, found = random.Random("test tokenizer"), list(ODD)
    for code in CODES:
        for _ in range(100):
            p = draw(rng, code)
            found.append(BOS + USER + p.question + ASSISTANT + THINK + p.thinking + END_THINK +
                         p.reply + EOS)
    return found


def main() -> int:
    path = Path(sys.argv[1]) / "tokenizer.json"
    ours, theirs = Tokenizer.read(path), tokenizers.Tokenizer.from_file(str(path))
    encoder = Encoder(path)
    for text in texts():
        ids = ours.encode(text)
        assert ids == theirs.encode(text, add_special_tokens=False).ids, text
        assert encoder.encode(text) == ids
        assert ours.decode(ids) == text, text
    letters = [letter for letter in alphabet() if len(ours.encode(letter)) > 1]
    assert len(letters) <= len(alphabet()) / 20, letters
    digits = [token for token in ours.vocab if sum(c.isdecimal() for c in token) > 1]
    assert not digits, digits
    assert ours.size == theirs.get_vocab_size() and ours.size % 64 == 0

    if len(sys.argv) > 2:
        mine = json.loads(path.read_text(encoding="utf-8"))
        deepseek = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        for part in mine:
            if part not in ("added_tokens", "model"):
                assert mine[part] == deepseek[part], part
        by_text = {entry["content"]: entry for entry in deepseek["added_tokens"]}
        for entry in mine["added_tokens"]:
            assert entry == {**by_text[entry["content"]], "id": entry["id"]}, entry
        first = list(deepseek["model"]["vocab"].items())[:259]
        assert list(mine["model"]["vocab"].items())[:259] == first
    print(f"ok: {ours.size} ids")
    return 0


if __name__ == "__main__":
    sys.exit(main())
