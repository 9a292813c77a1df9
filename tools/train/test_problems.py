"""No test problem and no kept-back wording is trained on; the committed file follows from the
generator; every step and every answer is right.

    python test_problems.py
"""

import random
import re
import sys
from pathlib import Path

from documents import draw_turn
from languages import CODES, LISTS, language
from problems import (ALL_TRAINED, KINDS, MAKERS, as_json_lines, draw, draw_test,
                      held_out_places, make, test_set)

FILE = Path(__file__).resolve().parents[2] / "tests" / "data" / "problems.jsonl"
SIGNS = str.maketrans({"×": "*", "÷": "/"})


def training_never_meets_a_test_problem() -> None:
    for code in CODES:
        questions = {p.question for p in test_set(code)}
        assert len(questions) == 1000
        rng = random.Random(f"test problems {code}")
        for _ in range(8000):
            assert draw_turn(rng, code, 1.0).question not in questions


def a_tenth_of_the_wordings_is_kept_back() -> None:
    for code in CODES:
        for part in set(LISTS) - ALL_TRAINED:
            count = len(language(code)[part])
            kept_back = len(held_out_places(code, part))
            assert kept_back >= 1 and count / 10 - 1 < kept_back <= max(1, count / 10), (code, part)
        rng = random.Random(f"wordings {code}")
        assert not any(draw(rng, code).new_wording for _ in range(3000))
        p = draw_test(rng, code, "sub", new_wording=True)
        assert p.new_wording and p.held_out
        new = sum(p.new_wording for p in test_set(code))
        assert 80 <= new <= 110, (code, new)


def the_committed_file_is_reproduced() -> None:
    made = "".join(as_json_lines(test_set(code)) for code in CODES)
    assert FILE.read_text(encoding="utf-8") == made, f"{FILE}: differs from `problems.py test`"


def check_steps(p) -> None:
    """What stands between two signs of equality, or before and after an arrow, is equal."""
    for line in p.thinking.split("\n"):
        parts = line.split("→")
        for step in re.split(r"[→,]", line):
            if re.fullmatch(r"[\d+×-]+=\d+", step):
                left, right = step.split("=")
                assert eval(left.translate(SIGNS)) == int(right), p
            elif re.fullmatch(r"\d+[<>=]\d+", step):
                assert eval(step.replace("=", "==")), p
        if re.fullmatch(r"[\d+×-]+", parts[0]) and parts[-1].isdigit() and len(parts) > 1:
            assert eval(parts[0].translate(SIGNS)) % 24 == int(parts[-1]) % 24, p


def answer_of(p) -> str | None:
    """The answer worked out from the question's numbers in another way than steps.py does; None
    where the words decide."""
    first = p.thinking.split("\n")[0].split("→")[0]
    numbers = [int(n) for n in re.findall(r"\d+", p.question)]
    if p.kind in ("add", "sub", "mul", "two-step", "three-step", "unit", "shopping"):
        return str(eval(first.translate(SIGNS)))
    if p.kind in ("share", "remainder"):
        a, k = map(int, first.split("÷"))
        return str(a // k if p.kind == "share" else a % k)
    if p.kind == "sort":
        asked = sorted(numbers)
        if p.answer != (join := language(p.lang)["join"]).join(map(str, asked)):
            return join.join(map(str, reversed(asked)))
        return p.answer
    if p.kind == "date":
        start, sign, k = re.fullmatch(r" ?(.+?)([+-])(\d+)", first).groups()
        names = language(p.lang)["weekdays"]
        names = names if start in names else language(p.lang)["months"]
        return names[(names.index(start) + int(sign + k)) % len(names)]
    return None


def check_count(p) -> None:
    """The words of the question in order, numbered; marked by what is asked for; tallied."""
    lang = language(p.lang)
    before = lang.before_listed
    head, inner, total = p.thinking.split("→")
    asked = head.removeprefix(before).removesuffix("+")
    tally, words = 0, []
    for place, entry in enumerate(inner.split(","), 1):
        found = re.fullmatch(r"(\d+)([^\d+-]+?)(?:-|\+(\d+))?", entry)
        shown = found[2].removeprefix(before)
        hit = asked == "*" or shown == asked or shown.endswith(asked)
        word = next(w for w in ([shown] if asked == "*" else hit_words(lang)) if shown.startswith(w))
        words.append(word)
        if asked in lang["kinds"]:
            assert hit == (word in lang["kinds"][asked]), p
        tally += hit
        assert int(found[1]) == place and (asked == "*" or (found[3] == str(tally)) == hit), p
    assert lang["join"].join(words) in p.question and (asked == "*" or asked in p.question), p
    assert tally == int(total) == int(p.answer), p


def hit_words(lang) -> list[str]:
    """Longest first, so that none is taken for one that begins like it."""
    found = {str(w) for w in lang["words"]} | {w for v in lang["kinds"].values() for w in v}
    return sorted(found, key=len, reverse=True)


def check_logic(p) -> None:
    """The hops are the facts, the way follows them, and it ends at the answer."""
    told, hops, way = p.thinking[1:].split("→")
    assert p.thinking[0] in "↑↓", p
    facts, up = [], p.thinking[0] == "↑"
    for fact in told.split(","):
        left, sign, right = re.fullmatch(r" ?(.+)([<>]) ?(.+)", fact).groups()
        assert left in p.question and right in p.question, p
        facts.append((left, right) if (sign == "<") == up else (right, left))
    assert facts == [tuple(name.strip() for name in hop.split(":")) for hop in hops.split(",")], p
    row = [name.strip() for name in way.split(":")]
    assert facts[0] == tuple(row[:2]) and set(zip(row, row[1:])) <= set(facts), p
    # Nobody lies beyond the answer, which is found without the way too.
    ends = {b for _, b in facts} - {a for a, _ in facts}
    assert row[-1] == p.answer and ends == {p.answer}, p


def steps_and_answers_are_right() -> None:
    for code in CODES:
        rng = random.Random(f"steps {code}")
        for _ in range(1500):
            p = draw(rng, code)
            check_steps(p)
            if p.kind in ("count", "logic"):
                (check_count if p.kind == "count" else check_logic)(p)
            expected = answer_of(p)
            assert expected is None or p.answer == expected, (expected, p)
            assert p.thinking.endswith(p.answer) or p.kind == "sort", p
            assert p.answer in p.reply, p


def clocks_go_right() -> None:
    rng = random.Random("clock")
    for _ in range(2000):
        p = make(rng, "en", "clock", 1.0, False)
        how, _, now, moved = p.key.split()[2:]
        hour, minute = map(int, now.split(":"))
        shift = int(moved) * {"time_after": 1, "time_before": -1, "time_hours": 60}[how]
        total = (60 * hour + minute + shift) % 1440
        assert p.answer == f"{total // 60:02}:{total % 60:02}", p


def the_numbers_of_the_thinking_stand_in_the_question() -> None:
    for code in CODES:
        rng = random.Random(f"numbers {code}")
        for kind in ("add", "sub", "mul", "two-step", "three-step", "share", "remainder",
                     "shopping", "compare", "sort"):
            for _ in range(100):
                p = make(rng, code, kind, 1.0, True)
                asked = re.findall(r"\d+", p.question)
                line = p.thinking.split("\n")[0].split("→")[0]
                assert set(re.findall(r"\d+", line)) <= set(asked), p


def every_kind_is_in_the_test() -> None:
    assert list(MAKERS) == KINDS
    for code in CODES:
        kinds = [p.kind for p in test_set(code)]
        assert all(kinds.count(kind) in (66, 67) for kind in KINDS), code


def the_same_seed_gives_the_same() -> None:
    one, two = (draw(random.Random(7), "th") for _ in range(2))
    assert one == two


def main() -> int:
    for check in (training_never_meets_a_test_problem, a_tenth_of_the_wordings_is_kept_back,
                  the_committed_file_is_reproduced, steps_and_answers_are_right, clocks_go_right,
                  the_numbers_of_the_thinking_stand_in_the_question, every_kind_is_in_the_test,
                  the_same_seed_gives_the_same):
        check()
        print(f"ok: {check.__name__.replace('_', ' ')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
