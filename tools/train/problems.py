"""Problems with worked thinking and a final answer, in eleven languages.

    python problems.py test [COUNT]        prints the test set, COUNT a language, as JSON Lines

The thinking is written in one notation shared by all languages (`steps.py`). What is never trained
on: problems whose kind, wordings and numbers (or words) hash to one side, about one in sixteen; and
all problems told in a held-out wording, one in ten of each list, chosen by hash too. Everything
follows from the random generator handed in; the same seed gives the same problems.
"""

import hashlib
import json
import random
import sys
from dataclasses import dataclass, field
from functools import cache

import steps
from languages import CODES, LISTS, Language, language

HELD_OUT_SHARE = 16
TEST_COUNT = 1000
MAX_TRIES = 4000  # draws until a new wording counts as used up
# Lists whose entries differ in words rather than in wording: all are trained on.
ALL_TRAINED = {"relations"}


@dataclass
class Problem:
    lang: str
    kind: str
    question: str
    thinking: str
    answer: str  # bare: a number, name, day, time or list
    key: str  # what the split is made by
    new_wording: bool  # told in a wording that is never trained on

    @property
    def reply(self) -> str:
        return language(self.lang)["answer"].format(self.answer)

    @property
    def held_out(self) -> bool:
        return hashlib.sha256(self.key.encode()).digest()[0] % HELD_OUT_SHARE == 0


@cache
def held_out_places(code: str, part: str) -> frozenset:
    """Places in a list of the wordings that are never trained on."""
    if part in ALL_TRAINED or part not in LISTS:
        return frozenset()
    found = language(code)[part]

    def order(place: int) -> bytes:
        return hashlib.sha256(f"{code} {part} {found[place]}".encode()).digest()

    count = max(1, len(found) // 10)
    return frozenset(sorted(range(len(found)), key=order)[:count])


@dataclass
class Teller:
    """Draws wordings and words, and notes them for the key."""

    rng: random.Random
    lang: Language
    size: float  # 1: all numbers and lists; less: smaller and shorter ones
    new_wordings: bool  # also those never trained on
    noted: list = field(default_factory=list)
    new: bool = False

    def __post_init__(self):
        self.n, self.m = self.rng.sample(self.lang["names"], 2)
        self.o, self.o2 = self.rng.sample(self.lang["things"], 2)

    def wording(self, part: str):
        found, kept_back = self.lang[part], held_out_places(self.lang.code, part)
        while True:
            place = self.rng.randrange(len(found))
            if self.new_wordings or place not in kept_back:
                break
        self.new |= place in kept_back
        self.noted += [part, place]
        return found[place]

    def fill(self, wording: str, unit=None, **fields) -> str:
        """unit: (big, small) words that {A} and {B} count instead of things."""
        lang, (big, small) = self.lang, unit or (self.o, self.o)
        words = {"n": self.n, "m": self.m, "o": self.o, "o2": self.o2, "small": small, **fields}
        if "a" in fields:
            words["A"] = lang.counted(fields["a"], big)
        if "b" in fields:
            words["B"] = lang.counted(fields["b"], small)
        for price in "pq":
            if price in fields:
                words[price.upper()] = lang.money(fields[price])
        self.noted += [v for k, v in fields.items() if k != "e"]
        return wording.format(**words)

    def tell(self, part: str, **fields) -> str:
        return self.fill(self.wording(part), **fields)

    def number(self, low: int = 2, high: int = 99) -> int:
        """Small ones more often."""
        top = self.rng.choice((10, 20, 50, high, high))
        return self.rng.randint(low, max(low, min(top, high, round(high * self.size))))

    def factors(self) -> tuple[int, int]:
        """A small number and one that is larger only now and then."""
        if self.rng.random() < 0.75 or self.size < 0.5:
            return self.rng.randint(2, 12), self.rng.randint(2, 12)
        return self.rng.randint(2, 9), self.number()

    def length(self, low: int, high: int) -> int:
        return self.rng.randint(low, max(low, round(low + (high - low) * self.size)))


def make_add(t: Teller):
    if t.rng.random() < 0.4:
        return story(t, ["gain"])
    high = 999 if t.rng.random() < 0.15 else 99
    a, b = t.number(high=high), t.number(high=high)
    return t.tell("add", a=a, b=b), *steps.expression([a, "+", b])


def make_sub(t: Teller):
    if t.rng.random() < 0.4:
        return story(t, ["lose"])
    high = 999 if t.rng.random() < 0.15 else 99
    b, a = sorted((t.number(high=high), t.number(high=high)))
    return t.tell("sub", a=a, b=b), *steps.expression([a, "-", b])


def make_mul(t: Teller):
    k, b = t.factors()
    return t.tell("mul", k=k, b=b), *steps.expression([k, "×", b])


def story(t: Teller, events: list[str]):
    """Somebody has things; then come the events; how many are there now?"""
    while True:
        noted, new = list(t.noted), t.new
        have = a = t.number()
        sentences, expression = [t.tell("start", a=a)], [a]
        for event in events:
            sign = "+" if event.startswith("gain") else "-"
            k = t.rng.randint(2, 9) if event.endswith("each") else 1
            b = t.number(high=12 if k > 1 else 99)
            sentences.append(t.tell(event, k=k, b=b))
            expression += [sign, b] if k == 1 else [sign, k, "×", b]
            have += k * b if sign == "+" else -k * b
            if have < 0:
                break
        if have >= 0:
            break
        t.noted, t.new = noted, new
    sentences.append(t.tell("ask"))
    return t.lang["space"].join(sentences), *steps.expression(expression)


def formula(t: Teller, count: int):
    """A bare expression with `count` signs, at most one of them ×."""
    while True:
        signs = t.rng.choices("+-", k=count)
        if t.rng.random() < 0.6:
            signs[t.rng.randrange(count)] = "×"
        numbers = [t.number(high=50) for _ in range(count + 1)]
        for place, sign in enumerate(signs):
            if sign == "×":
                numbers[place : place + 2] = t.rng.randint(2, 9), t.rng.randint(2, 12)
        parts = [numbers[0]]
        for sign, number in zip(signs, numbers[1:]):
            parts += [sign, number]
        if steps.never_negative(parts):
            break
    text = " ".join(map(str, parts))
    t.noted.append(text)
    return t.tell("expr", e=text), *steps.expression(parts)


def make_two_step(t: Teller):
    if t.rng.random() < 0.3:
        return formula(t, 2)
    if t.rng.random() < 0.4:
        return story(t, [t.rng.choice(("gain_each", "lose_each"))])
    return story(t, t.rng.choices(("gain", "lose"), k=2))


def make_three_step(t: Teller):
    if t.rng.random() < 0.3:
        return formula(t, 3)
    if t.rng.random() < 0.5:
        events = [t.rng.choice(("gain", "lose")), t.rng.choice(("gain_each", "lose_each"))]
        t.rng.shuffle(events)
        return story(t, events)
    return story(t, t.rng.choices(("gain", "lose"), k=3))


def make_compare(t: Teller):
    how = t.rng.choice(("more", "more", "larger"))
    wording, want_larger = t.wording(how)
    a = t.number()
    while (b := t.number()) == a:
        pass
    question = t.fill(wording, a=a, b=b)
    names = (t.n, t.m) if how == "more" else ()
    return question, *steps.compare(a, b, names, t.lang.before_name, want_larger)


def make_sort(t: Teller):
    high = 99 if t.size > 0.3 else 20
    numbers = t.rng.sample(range(1, high + 1), t.length(3, 6))
    down = t.rng.random() < 0.5
    question = t.tell("desc" if down else "asc", w=t.lang["join"].join(map(str, numbers)))
    return question, *steps.sort(numbers, down, t.lang["join"])


def make_count(t: Teller):
    how = t.rng.choice(("count", "times", "kind"))
    words, length = t.lang["words"], t.length(2, 9)
    if how == "count":
        x, listed = "", [(word, "") for word in t.rng.sample(words, length)]
    elif how == "times":
        few = t.rng.sample(words, t.rng.randint(2, 4))
        x, listed = few[0], [(t.rng.choice(few), "") for _ in range(length)]
    else:
        kinds = t.lang["kinds"]
        x, other = t.rng.sample(sorted(kinds), 2)
        drawn = [t.rng.choice((x, other)) for _ in range(length)]
        listed = [(t.rng.choice(kinds[kind]), kind) for kind in drawn]
    question = t.tell(how, x=x, w=t.lang["join"].join(word for word, _ in listed))
    return question, *steps.count(listed, x, t.lang.before_listed)


def make_share(t: Teller):
    k, each = t.rng.randint(2, 9), t.rng.randint(2, 12)
    return t.tell("share", a=k * each, k=k), *steps.divide(k * each, k, want_rest=False)


def make_remainder(t: Teller):
    k = t.rng.randint(2, 9)
    a = t.rng.randint(k + 1, 10 * k + k - 1)
    return t.tell("rest", a=a, k=k), *steps.divide(a, k, want_rest=True)


def make_date(t: Teller):
    unit, round_after = ("day", 7) if t.rng.random() < 0.6 else ("month", 12)
    forward = t.rng.random() < 0.6
    names = t.lang["weekdays" if unit == "day" else "months"]
    k = t.rng.randint(2, round(2 + (18 if unit == "day" else 9) * t.size))
    start = t.rng.randrange(round_after)
    question = t.tell(f"{unit}_{'after' if forward else 'before'}", d=names[start], k=k)
    return question, *steps.walk(names, start, k, forward, t.lang.before_name)


def make_clock(t: Teller):
    hour, minute = t.rng.randint(0, 23), t.rng.randint(0, 59)
    now = f"{hour:02}:{minute:02}"
    how = t.rng.choice(("time_after", "time_after", "time_before", "time_hours"))
    if how == "time_hours":
        k = t.rng.randint(2, 12)
        return t.tell(how, t=now, k=k), *steps.clock(hour, minute, hours=k)
    b = t.rng.randint(2, 59)
    moved = b if how == "time_after" else -b
    return t.tell(how, t=now, b=b), *steps.clock(hour, minute, minutes=moved)


def make_unit(t: Teller):
    factor, big, small = t.rng.choice(t.lang["units"])
    a = t.rng.randint(2, 20 if factor in (10, 100, 1000) else 9)
    if t.rng.random() < 0.6:
        return (t.tell("unit", unit=(big, small), a=a),
                *steps.expression([a, "×", factor]))
    b = t.rng.randint(2, min(factor - 1, 99))
    return (t.tell("unit_and", unit=(big, small), a=a, b=b),
            *steps.expression([a, "×", factor, "+", b]))


def make_shopping(t: Teller):
    how = t.rng.choice(("shop_total", "shop_change", "shop_change", "shop_two"))
    if how == "shop_two":
        p, q = t.number(), t.number()
        return t.tell(how, p=p, q=q), *steps.expression([p, "+", q])
    k, p = t.rng.randint(2, 9), t.rng.randint(2, 12)
    if how == "shop_total":
        return t.tell(how, k=k, p=p), *steps.expression([k, "×", p])
    total = k * p
    notes = [note for note in (10, 20, 50, 100, 200) if note >= total]
    q = t.rng.choice(notes[:2]) if t.rng.random() < 0.5 else t.rng.randint(total, total + 40)
    return t.tell(how, k=k, p=p, q=q), *steps.expression([q, "-", k, "×", p])


def make_logic(t: Teller):
    than, inverse, most, least = t.wording("relations")
    order = t.rng.sample(t.lang["names"], t.rng.choice((2, 3, 3, 4) if t.size > 0.5 else (2, 2, 3)))
    facts = list(zip(order, order[1:]))
    t.rng.shuffle(facts)
    told = [t.rng.choice((than, inverse)) for _ in facts]
    same = [w == than for w in told]
    want_most = t.rng.random() < 0.5
    sentences = [w.format(n=n, m=m, o=t.o) for w, (n, m) in zip(told, facts)]
    sentences.append((most if want_most else least).format(o=t.o))
    t.noted += [t.o] if "{o" in than else []
    t.noted += [facts, same, want_most]
    return t.lang["space"].join(sentences), *steps.chain(facts, same, want_most, t.lang.before_name)


MAKERS = {
    "add": make_add, "sub": make_sub, "mul": make_mul, "two-step": make_two_step,
    "three-step": make_three_step, "compare": make_compare, "sort": make_sort,
    "count": make_count, "share": make_share, "remainder": make_remainder, "date": make_date,
    "clock": make_clock, "unit": make_unit, "shopping": make_shopping, "logic": make_logic,
}
KINDS = list(MAKERS)
# Kinds that are learnt late are drawn more often.
WEIGHTS = {"logic": 3.0, "count": 3.0, "three-step": 1.5, "date": 1.5, "sort": 2.0, "mul": 1.5}


def make(rng: random.Random, code: str, kind: str, size: float, new_wordings: bool) -> Problem:
    t = Teller(rng, language(code), size, new_wordings)
    question, thinking, answer = MAKERS[kind](t)
    key = " ".join(map(str, (code, kind, *t.noted)))
    return Problem(code, kind, question, thinking, answer, key, t.new)


def draw(rng: random.Random, code: str, size: float = 1.0) -> Problem:
    """A problem to train on."""
    while True:
        kind = rng.choices(KINDS, [WEIGHTS.get(kind, 1.0) for kind in KINDS])[0]
        problem = make(rng, code, kind, size, new_wordings=False)
        if not problem.held_out:
            return problem


def draw_test(rng: random.Random, code: str, kind: str, new_wording: bool,
              seen: frozenset | set = frozenset()) -> Problem:
    """One that is not among those seen. Where a new wording has no more of them, one in another."""
    tries = 0
    while True:
        problem = make(rng, code, kind, 1.0, new_wordings=new_wording)
        if (problem.held_out and problem.new_wording == new_wording
                and problem.question not in seen):
            return problem
        tries += 1
        new_wording &= tries < MAX_TRIES


def test_set(code: str, count: int = TEST_COUNT, salt: str = "test") -> list[Problem]:
    """Each question once, the kinds in turn; about one in ten in a new wording."""
    rng = random.Random(f"nano {salt} {code}")
    found, seen, place = [], set(), 0
    while len(found) < count:
        kind = KINDS[place % len(KINDS)]
        new = place // len(KINDS) % 10 == 9 and kind != "logic"
        problem = draw_test(rng, code, kind, new, seen)
        seen.add(problem.question)
        found.append(problem)
        place += 1
    return found


def as_json_lines(problems: list[Problem]) -> str:
    lines = []
    for place, p in enumerate(problems):
        row = {"id": f"{p.lang}-{place:04}", "lang": p.lang, "question": p.question,
               "answer": p.answer, "kind": p.kind,
               "wording": "new" if p.new_wording else "trained"}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines)


def main() -> int:
    if len(sys.argv) not in (2, 3) or sys.argv[1] != "test":
        print(__doc__, file=sys.stderr)
        return 2
    count = int(sys.argv[2]) if len(sys.argv) > 2 else TEST_COUNT
    for code in CODES:
        sys.stdout.write(as_json_lines(test_set(code, count)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
