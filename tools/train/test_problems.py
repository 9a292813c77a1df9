"""No test problem is trained on; the committed files follow from the generator; answers are right.

    python test_problems.py
"""

import random
import re
import sys
from pathlib import Path

from documents import draw_turn
from problems import KINDS, as_json_lines, draw, test_set

DATA = Path(__file__).resolve().parents[2] / "tests" / "data"
COUNT = 200


def training_never_meets_a_test_problem() -> None:
    for lang in ("en", "zh"):
        problems = test_set(lang, 1000)
        questions = {p.question for p in problems}
        assert len(questions) == 1000
        assert all(p.held_out for p in problems)
        rng = random.Random("test problems")
        for _ in range(50000):
            assert draw_turn(rng, lang).question not in questions


def committed_files_are_reproduced() -> None:
    for lang in ("en", "zh"):
        path = DATA / f"nano-{lang}.jsonl"
        made = as_json_lines(test_set(lang, COUNT)).encode()
        assert path.read_bytes() == made, f"{path}: differs from `problems.py test {lang} {COUNT}`"


def every_step_of_the_thinking_is_true() -> None:
    rng = random.Random("steps")
    for lang in ("en", "zh"):
        for _ in range(5000):
            p = draw(rng, lang, False)
            steps = re.findall(r"(?<![\d+-])((?:\d+[+-])+\d+)=(\d+)", p.thinking)
            assert steps or p.kind in ("compare", "count"), p
            for left, value in steps:
                assert eval(left) == int(value), p
            for a, sign, b in re.findall(r"(\d)([<>=])(\d)(?!\d)", p.thinking):
                if p.kind == "compare":
                    assert eval(f"{a}{sign.replace('=', '==')}{b}"), p
            assert p.thinking.rstrip(".。").endswith(p.answer), p
            if p.kind in ("add", "sub"):
                a, b = map(int, p.key.split()[-2:])
                assert int(p.answer) == (a + b if p.kind == "add" else a - b), p


def every_kind_is_in_the_test() -> None:
    for lang in ("en", "zh"):
        kinds = [p.kind for p in test_set(lang, COUNT)]
        assert all(kinds.count(kind) == COUNT // len(KINDS) for kind in KINDS)


def main() -> int:
    for check in (training_never_meets_a_test_problem, committed_files_are_reproduced,
                  every_step_of_the_thinking_is_true, every_kind_is_in_the_test):
        check()
        print(f"ok: {check.__name__.replace('_', ' ')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
