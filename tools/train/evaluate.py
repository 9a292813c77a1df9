"""How many held-out problems the model gets right.

    python evaluate.py FOLDER [FILE.jsonl ...] [--chat] [--float] [--show N]

FOLDER is an exported model. Answers greedily, in thinking mode unless --chat is given. The
figure that counts is the one of score.py, which asks the C engine.
"""

import argparse
import json
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path

import torch

from answers import interval, is_right
from checkpoint import load_official
from config import Config
from documents import pad
from model import Model
from problems import test_set
from quant import rounded_weights
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER, Tokenizer


def exact_share(model: Model, tokenizer: Tokenizer, lang: str, count: int, device: str):
    """Share of held-out problems whose every token of thinking and answer is the likeliest one:
    what greedy decoding then gives. One forward pass, so cheap enough during training."""
    right, groups = defaultdict(list), defaultdict(list)
    for p in test_set(lang, count):
        prompt = tokenizer.encode(BOS + USER + p.question + ASSISTANT + THINK)
        said = tokenizer.encode(p.thinking + END_THINK + p.reply + EOS)
        groups[len(prompt + said) // 16].append((p.kind, prompt, said))
    model.eval()
    with torch.no_grad(), rounded_weights(model) if model.rounding else nullcontext():
        for group in groups.values():
            ids, said = pad([(q + a, [0.0] * len(q) + [1.0] * len(a)) for _, q, a in group])
            ids, said = ids.to(device), said.to(device)
            best = model(ids)[0].argmax(-1)
            good = ((best[:, :-1] == ids[:, 1:]) | (said[:, 1:] == 0)).all(1)
            for (kind, _, _), ok in zip(group, good.tolist()):
                right[kind].append(ok)
    model.train()
    by_kind = {kind: sum(oks) / len(oks) for kind, oks in sorted(right.items())}
    return sum(map(sum, right.values())) / count, by_kind


def generate(model: Model, prompts: list[list[int]], limit: int, end: int) -> list[list[int]]:
    """Greedy continuations of prompts of one length, all recomputed at each step."""
    ids = torch.tensor(prompts)
    open_rows = torch.ones(len(prompts), dtype=torch.bool)
    said: list[list[int]] = [[] for _ in prompts]
    for _ in range(limit):
        best = model(ids)[0][:, -1].argmax(-1)
        for row, token in enumerate(best.tolist()):
            if open_rows[row] and token == end:
                open_rows[row] = False
            if open_rows[row]:
                said[row].append(token)
        if not open_rows.any():
            break
        ids = torch.cat((ids, best[:, None]), 1)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--chat", action="store_true", help="without thinking")
    parser.add_argument("--float", action="store_true", help="no rounding of rows and indexer")
    parser.add_argument("--show", type=int, default=0, help="print the first wrong answers")
    parser.add_argument("--limit", type=int, default=120, help="tokens an answer may have")
    args = parser.parse_args()
    tests = Path(__file__).resolve().parents[2] / "tests" / "data"
    model = Model(Config.read(args.folder / "config.json")).eval()
    load_official(model, args.folder)
    model.rounding = not args.float
    tokenizer = Tokenizer.read(args.folder / "tokenizer.json")

    for path in args.files or [tests / "nano-en.jsonl", tests / "nano-zh.jsonl"]:
        problems = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        start = ASSISTANT + (END_THINK if args.chat else THINK)
        groups = defaultdict(list)
        for p in problems:
            prompt = tokenizer.encode(BOS + USER + p["question"] + start)
            groups[len(prompt)].append((p, prompt))
        right, shown = defaultdict(list), 0
        with torch.no_grad():
            for _, group in sorted(groups.items()):
                found = generate(model, [prompt for _, prompt in group], args.limit, 1)
                for (p, _), ids in zip(group, found):
                    text = tokenizer.decode(ids)
                    ok = is_right(text.split(END_THINK)[-1], p["answer"])
                    right[p["kind"]].append(ok)
                    if not ok and shown < args.show:
                        shown += 1
                        print(f"{p['question']}\n  {text}\n  wanted: {p['answer']}")
        total = sum(map(sum, right.values()))
        kinds = ", ".join(f"{k} {sum(v)}/{len(v)}" for k, v in sorted(right.items()))
        low, high = interval(total, len(problems))
        print(f"{path.name}: {total} of {len(problems)} right ({total / len(problems):.1%}, "
              f"95 % interval {low:.1%} to {high:.1%}): {kinds}")


if __name__ == "__main__":
    main()
