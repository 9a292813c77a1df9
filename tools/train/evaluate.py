"""How well a model in training does on problems it has not seen. `tenon eval` measures the
finished one; these problems are not those of the test file."""

from collections import defaultdict
from contextlib import nullcontext
from functools import cache

import torch

from documents import pad
from languages import CODES
from model import Model
from problems import test_set
from quant import rounded_weights
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER, Encoder

COUNT = 60  # problems a language
ROWS = 4096  # tokens in a forward pass


@cache
def prepared(encoder: Encoder, thinking: bool) -> list:
    """(language, kind, ids, weights) of each problem, by length."""
    found = []
    for code in CODES:
        for p in test_set(code, COUNT, "dev"):
            start = THINK if thinking else END_THINK
            prompt = encoder.encode(BOS + USER + p.question + ASSISTANT + start)
            said = encoder.encode((p.thinking + END_THINK if thinking else "") + p.reply + EOS)
            found.append((code, p.kind, prompt + said, [0.0] * len(prompt) + [1.0] * len(said)))
    return sorted(found, key=lambda row: len(row[2]))


def exact_share(model: Model, encoder: Encoder, device: str, thinking: bool = True) -> str:
    """Share of problems whose every token of thinking and answer is the likeliest one: what greedy
    decoding then gives. One forward pass, so cheap enough during training."""
    left, right = prepared(encoder, thinking), defaultdict(list)
    model.eval()
    with torch.no_grad(), rounded_weights(model) if model.rounding else nullcontext():
        while left:
            count = max(1, ROWS // len(left[-1][2]))
            group, left = left[-count:], left[:-count]
            ids, said = pad([(ids, weights) for _, _, ids, weights in group])
            ids, said = ids.to(device), said.to(device)
            best = model(ids)[0].argmax(-1)
            good = ((best[:, :-1] == ids[:, 1:]) | (said[:, 1:] == 0)).all(1)
            for (code, kind, _, _), ok in zip(group, good.tolist()):
                for name in ("all", code, kind):
                    right[name].append(ok)
    model.train()
    return " ".join(f"{name} {sum(oks) / len(oks):.1%}" for name, oks in
                    sorted(right.items(), key=lambda pair: (len(pair[0]) > 3, pair[0])))


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
