"""Problems with worked thinking and a final answer.

    python problems.py test LANG COUNT     prints held-out problems as JSON Lines

A problem is held out when the hash of its language, wording and numbers (or listed words) says
so: about one in sixteen. Training draws only from the others, so no test problem is ever seen.
Everything follows from the random generator handed in; the same seed gives the same problems.
"""

import hashlib
import json
import random
import sys
from dataclasses import dataclass

from wordings import LANGUAGES

KINDS = ["add", "sub", "compare", "count"]
HELD_OUT_SHARE = 16


@dataclass
class Problem:
    lang: str
    kind: str
    question: str
    thinking: str
    answer: str  # bare: a number or a name
    key: str  # language, wording and numbers

    @property
    def reply(self) -> str:
        return LANGUAGES[self.lang]["answer"].format(self.answer)

    @property
    def held_out(self) -> bool:
        return hashlib.sha256(self.key.encode()).digest()[0] % HELD_OUT_SHARE == 0


def number(rng: random.Random, wording: str) -> int:
    """Up to 99, small ones more often; from 2 where a plural follows."""
    counted = any(part in wording for part in ("{o}", "{n}", "people"))
    return rng.randint(2 if counted else 1, rng.choice((10, 20, 50, 99, 99)))


def fill(wording: str, rng: random.Random, words: dict, **fields) -> str:
    n, m = rng.sample(words["names"], 2)
    o = rng.choice(words["things"])
    # {c} is the measure word alone, with which Chinese repeats a thing without naming it.
    return wording.format(**{"n": n, "m": m, "o": o, "c": o[0], **fields})


def add_steps(a: int, b: int, words: dict) -> str:
    """One column at a time."""
    if a < 10 and b < 10:
        return f"{a}+{b}={a + b}{words['stop']}"
    ones = a % 10 + b % 10
    carry = "+1" if ones > 9 else ""
    tens = a // 10 + b // 10 + ones // 10
    return (f"{a}+{b}{words['colon']}{words['ones']}{a % 10}+{b % 10}={ones}{words['comma']}"
            f"{words['tens']}{a // 10}+{b // 10}{carry}={tens}{words['so']}{a + b}{words['stop']}")


def sub_steps(a: int, b: int, words: dict) -> str:
    if a < 10 and b < 10:
        return f"{a}-{b}={a - b}{words['stop']}"
    borrow = a % 10 < b % 10
    ones = a % 10 + 10 * borrow
    tens = a // 10 - b // 10 - borrow
    return (f"{a}-{b}{words['colon']}{words['ones']}{ones}-{b % 10}={ones - b % 10}{words['comma']}"
            f"{words['tens']}{a // 10}-{b // 10}{'-1' if borrow else ''}={tens}"
            f"{words['so']}{a - b}{words['stop']}")


def sign(a: int, b: int) -> str:
    return "<" if a < b else ">" if a > b else "="


def compare_steps(a: int, b: int, words: dict) -> str:
    """From the left, one digit at a time, until they differ."""
    tens, ones = (a // 10, b // 10), (a % 10, b % 10)
    text = ""
    if a > 9 or b > 9:
        text = f"{words['tens']}{tens[0]}{sign(*tens)}{tens[1]}"
        if tens[0] != tens[1]:
            return text
        text += words["comma"]
    return text + f"{words['ones']}{ones[0]}{sign(*ones)}{ones[1]}"


def make_add(rng, lang, words):
    place = rng.randrange(len(words["add"]))
    wording = words["add"][place]
    a, b = number(rng, wording), number(rng, wording)
    return Problem(lang, "add", fill(wording, rng, words, a=a, b=b),
                   add_steps(a, b, words), str(a + b), f"{lang} add {place} {a} {b}")


def make_sub(rng, lang, words):
    place = rng.randrange(len(words["sub"]))
    wording = words["sub"][place]
    b, a = sorted((number(rng, wording), number(rng, wording)))
    return Problem(lang, "sub", fill(wording, rng, words, a=a, b=b),
                   sub_steps(a, b, words), str(a - b), f"{lang} sub {place} {a} {b}")


def make_compare(rng, lang, words):
    how = rng.choice(("more", "more", "larger", "relation"))
    place = rng.randrange(len(words[how]))
    wording, want_larger = words[how][place]
    n, m = rng.sample(words["names"], 2)
    if how == "relation":
        answer = n if want_larger else m
        return Problem(lang, "compare", wording.format(n=n, m=m),
                       f"{n}>{m}{words['so']}{answer}{words['stop']}", answer,
                       f"{lang} {how} {place} {n} {m}")
    a, b = number(rng, wording), number(rng, wording)
    while a == b:
        b = number(rng, wording)
    if how == "more":
        question = fill(wording, rng, words, n=n, m=m, a=a, b=b)
        space = words["space"]
        shown, names = f"{n}{space}{a}{words['comma']}{m}{space}{b}", (n, m)
    else:
        question = wording.format(a=a, b=b)
        shown, names = f"{a}{words['comma']}{b}", (str(a), str(b))
    answer = names[0] if (a > b) == want_larger else names[1]
    steps = f"{shown}{words['colon']}{compare_steps(a, b, words)}"
    return Problem(lang, "compare", question, f"{steps}{words['so']}{answer}{words['stop']}",
                   answer, f"{lang} {how} {place} {a} {b}")


def make_count(rng, lang, words):
    how = rng.choice(("count", "times", "kind"))
    place = rng.randrange(len(words[how]))
    length = rng.randint(2, 9)
    if how == "count":
        x, listed = "", rng.sample(words["words"], length)
        hits = set(listed)
    elif how == "times":
        few = rng.sample(words["words"], rng.randint(2, 4))
        x, listed = few[0], [rng.choice(few) for _ in range(length)]
        hits = {x}
    else:
        x, other = rng.sample(sorted(words["kinds"]), 2)
        hits = set(words["kinds"][x])
        listed = [rng.choice(words["kinds"][rng.choice((x, other))]) for _ in range(length)]
    steps, count = [], 0
    for word in listed:
        if word in hits:
            count += 1
            steps.append(f"{word}{words['space']}{count}")
        else:
            steps.append(f"{word}{words['no']}")
    text = words["comma"].join(listed)
    thinking = f"{words['comma'].join(steps)}{words['so']}{count}{words['stop']}"
    return Problem(lang, "count", words[how][place].format(x=x, w=text), thinking, str(count),
                   f"{lang} {how} {place} {x} {text}")


MAKERS = {"add": make_add, "sub": make_sub, "compare": make_compare, "count": make_count}
WEIGHTS = {"add": 3, "sub": 3, "compare": 2, "count": 2}


def draw(rng: random.Random, lang: str, held_out: bool, kind: str | None = None) -> Problem:
    """A problem from one side of the split."""
    while True:
        which = kind or rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        problem = MAKERS[which](rng, lang, LANGUAGES[lang])
        if problem.held_out == held_out:
            return problem


def test_set(lang: str, count: int) -> list[Problem]:
    """Held-out problems, each question once, the kinds in turn."""
    rng = random.Random(f"nano test {lang}")
    found, seen = [], set()
    while len(found) < count:
        problem = draw(rng, lang, True, KINDS[len(found) % len(KINDS)])
        if problem.question not in seen:
            seen.add(problem.question)
            found.append(problem)
    return found


def as_json_lines(problems: list[Problem]) -> str:
    lines = []
    for place, p in enumerate(problems):
        row = {"id": f"{p.lang}-{place:04}", "lang": p.lang, "question": p.question,
               "answer": p.answer, "kind": p.kind}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines)


def main() -> int:
    if len(sys.argv) != 4 or sys.argv[1] != "test":
        print(__doc__, file=sys.stderr)
        return 2
    sys.stdout.write(as_json_lines(test_set(sys.argv[2], int(sys.argv[3]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
