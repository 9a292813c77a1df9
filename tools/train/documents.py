"""Training documents in V4's chat format, and batches of them.

A batch of `single` documents holds one problem a row, each starting at position 0 as a user's
first question does. A `long` batch holds rows of several documents: conversations, in which all
answers but the last have lost their thinking (as the prompt format has it), and independent
problems one after another. These reach the compressed entries and the indexer's choice.

Batch n of a run depends on the seed and n alone, so a resumed run sees what it would have seen.
"""

import random
from dataclasses import dataclass

import torch

from problems import draw
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER, Tokenizer
from wordings import LANGUAGES

QUESTION_WEIGHT = 0.1  # of what a user says in the loss; what the model says counts 1
PAD_ID = 2


@dataclass
class Turn:
    question: str
    thinking: str
    reply: str


def draw_turn(rng: random.Random, lang: str) -> Turn:
    words = LANGUAGES[lang]
    if rng.random() < 0.03:
        question, reply = rng.choice(words["greetings"])
        return Turn(question, words["greeting thought"], reply)
    p = draw(rng, lang, held_out=False)
    return Turn(p.question, p.thinking, p.reply)


def document(rng: random.Random, turns: int) -> list[tuple[str, bool]]:
    """Parts of a conversation; True marks what the model says."""
    lang = "en" if rng.random() < 0.6 else "zh"
    system = rng.choice(LANGUAGES[lang]["systems"]) if rng.random() < 0.1 else ""
    thinks = rng.random() < 0.85
    parts = [(BOS + system, False)]
    for place in range(turns):
        turn = draw_turn(rng, lang)
        last = place == turns - 1
        parts.append((USER + turn.question + ASSISTANT, False))
        if thinks and last:
            parts.append((THINK, False))
            parts.append((turn.thinking + END_THINK + turn.reply + EOS, True))
        else:
            parts.append((END_THINK, False))
            parts.append((turn.reply + EOS, True))
    return parts


def encode(parts: list[tuple[str, bool]], tokenizer: Tokenizer) -> tuple[list[int], list[float]]:
    ids, weights = [], []
    for text, said in parts:
        new = tokenizer.encode(text)
        ids += new
        weights += [1.0 if said else QUESTION_WEIGHT] * len(new)
    return ids, weights


def single_batch(rng: random.Random, tokenizer: Tokenizer, tokens: int):
    """Rows of one document each, of like lengths: drawn many at a time, sorted, one slice kept."""
    drawn = [encode(document(rng, 1), tokenizer) for _ in range(tokens // 16)]
    drawn.sort(key=lambda pair: len(pair[0]))
    start = rng.randrange(len(drawn))
    rows = []
    for pair in drawn[start:] + drawn[:start][::-1]:
        width = max([len(pair[0])] + [len(row[0]) for row in rows])
        if rows and width * (len(rows) + 1) > tokens:
            break
        rows.append(pair)
    return rows


def long_batch(rng: random.Random, tokenizer: Tokenizer, tokens: int):
    width = rng.choice((192, 256, 256, 384, 512))
    rows = []
    for _ in range(max(1, tokens // width)):
        ids, weights = [], []
        conversations = rng.random() < 0.5
        while len(ids) < width:
            turns = rng.randint(2, 8) if conversations else 1
            more = encode(document(rng, turns), tokenizer)
            ids, weights = ids + more[0], weights + more[1]
        rows.append((ids[:width], weights[:width]))
    return rows


def batch(seed: int, step: int, tokenizer: Tokenizer, tokens: int, long_share: float):
    """Ids [B, T] and weights [B, T] of each id as a target."""
    rng = random.Random(f"nano batch {seed} {step}")
    make = long_batch if rng.random() < long_share else single_batch
    return pad(make(rng, tokenizer, tokens))


def pad(rows: list[tuple[list[int], list[float]]]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), PAD_ID)
    weights = torch.zeros(len(rows), width)
    for place, (row, weight) in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        weights[place, : len(row)] = torch.tensor(weight)
    return ids, weights
