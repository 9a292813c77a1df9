"""Training documents in V4's chat format, and batches of them.

A batch of `single` documents holds one problem a row, each starting at position 0 as a user's
first question does. A `long` batch holds rows of several documents: conversations, in which all
answers but the last have lost their thinking (as the prompt format has it), and independent
problems one after another, in any language. These reach the compressed entries and the indexer's
choice.

Batch n of a run depends on the seed and n alone, so a resumed run sees what it would have seen.
"""

import random
from dataclasses import dataclass

import torch

from languages import CODES, language
from problems import draw
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER, Encoder

QUESTION_WEIGHT = 0.1  # of what a user says in the loss; what the model says counts 1
THINKING_SHARE = 0.8  # of the conversations
GREETING_SHARE = 0.01  # of the turns
# Of the documents of one turn: while numbers grow, and then.
RECALL_SHARES = (0.25, 0.05)
PAD_ID = 2
LONGEST = 256  # tokens of one problem with its answer, and some more
LONG_WIDTHS = (256, 384, 512, 768, 1024)


@dataclass
class Turn:
    question: str
    thinking: str
    reply: str


def draw_turn(rng: random.Random, code: str, size: float) -> Turn:
    if rng.random() < GREETING_SHARE:
        question, reply = rng.choice(language(code)["greetings"])
        return Turn(question, "", reply)
    p = draw(rng, code, size)
    return Turn(p.question, p.thinking, p.reply)


def recall(rng: random.Random, code: str) -> list[tuple[str, bool]]:
    """Pairs of names and words, then the same pairs in other orders: no knowledge helps, so looking
    up what stands in the text is learnt early, and by itself."""
    lang = language(code)
    words = sorted({before + str(word) for before, part in
                    ((lang.before_name, "names"), (lang.before_listed, "words")) for word in lang[part]})
    found = rng.sample(words, 2 * rng.randint(2, 8))
    pairs = [first + rng.choice("<>+-:") + second for first, second in zip(found[::2], found[1::2])]
    again = [",".join(rng.sample(pairs, len(pairs))) for _ in range(rng.randint(1, 3))]
    return [(BOS + ",".join(pairs) + "→", False), ("→".join(again) + EOS, True)]


def document(rng: random.Random, turns: int, size: float = 1.0) -> list[tuple[str, bool]]:
    """Parts of a conversation; True marks what the model says."""
    code = rng.choice(CODES)
    if turns == 1 and rng.random() < RECALL_SHARES[size == 1]:
        return recall(rng, code)
    system = rng.choice(language(code)["systems"]) if rng.random() < 0.05 else ""
    thinks = rng.random() < THINKING_SHARE
    parts = [(BOS + system, False)]
    for place in range(turns):
        turn = draw_turn(rng, code, size)
        last = place == turns - 1
        parts.append((USER + turn.question + ASSISTANT, False))
        if thinks and last:
            parts.append((THINK, False))
            parts.append((turn.thinking + END_THINK + turn.reply + EOS, True))
        else:
            parts.append((END_THINK, False))
            parts.append((turn.reply + EOS, True))
    return parts


def encode(parts: list[tuple[str, bool]], encoder: Encoder) -> tuple[list[int], list[float]]:
    ids, weights = [], []
    for text, said in parts:
        new = encoder.encode(text)
        ids += new
        weights += [1.0 if said else QUESTION_WEIGHT] * len(new)
    return ids, weights


def single_batches(rng: random.Random, encoder: Encoder, tokens: int, count: int, size: float):
    """Rows of one document each, of like lengths: drawn for all, sorted, cut."""
    drawn = []
    while sum(len(ids) for ids, _ in drawn) < tokens * count:
        drawn.append(encode(document(rng, 1, size), encoder))
    drawn.sort(key=lambda pair: len(pair[0]))
    parts, total, so_far = [[] for _ in range(count)], sum(len(ids) for ids, _ in drawn), 0
    for pair in drawn:
        parts[so_far * count // total].append(pair)
        so_far += len(pair[0])
    return parts


def long_batch(rng: random.Random, encoder: Encoder, tokens: int, size: float):
    width = min(tokens, rng.choice(LONG_WIDTHS))
    rows = []
    for _ in range(max(1, tokens // width)):
        ids, weights = [], []
        conversations = rng.random() < 0.5
        while len(ids) < width:
            turns = rng.randint(2, 8) if conversations else 1
            more = encode(document(rng, turns, size), encoder)
            ids, weights = ids + more[0], weights + more[1]
        rows.append((ids[:width], weights[:width]))
    return rows


class Batches:
    """Batch n of a run: ids [B, T] and weights [B, T] of each id as a target. They are drawn
    GROUP at a time: so many documents find others of their length. `side` batches that follow one
    another are of like lengths: those of workers that wait for each other."""

    GROUP = 8

    def __init__(self, seed: int, encoder: Encoder, tokens: int, long_share: float, side: int):
        self.seed, self.encoder, self.tokens, self.side = seed, encoder, tokens, side
        self.n_long = round(self.GROUP * long_share)
        self.drawn = (-1, 0.0)
        self.group: list = []

    def get(self, step: int, size: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        """size: see problems.Teller; the group's, so round it to few values."""
        number = step // self.GROUP
        if self.drawn != (number, size):
            rng = random.Random(f"nano batches {self.seed} {number} {size}")
            n_single = self.GROUP - self.n_long
            group = single_batches(rng, self.encoder, self.tokens, n_single, size)
            group += [long_batch(rng, self.encoder, self.tokens, size) for _ in range(self.n_long)]
            group.sort(key=lambda rows: max(len(ids) for ids, _ in rows))
            beside = [group[at : at + self.side] for at in range(0, self.GROUP, self.side)]
            rng.shuffle(beside)
            self.drawn, self.group = (number, size), sum(beside, [])
        return pad(self.group[step % self.GROUP])


def pad(rows: list[tuple[list[int], list[float]]]) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), PAD_ID)
    weights = torch.zeros(len(rows), width)
    for place, (row, weight) in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        weights[place, : len(row)] = torch.tensor(weight)
    return ids, weights
