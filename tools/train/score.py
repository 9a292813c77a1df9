"""Accuracy of a model through the engine: one greedy `tenon run` for each problem.

    python score.py [FILE.jsonl ...] [--model FOLDER] [--tenon PROGRAM] [--chat] [--show N]

FILE holds lines with question, answer and kind; tests/data/nano-en.jsonl unless given. Needs no
package beside Python's own.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from answers import interval, is_right

ROOT = Path(__file__).resolve().parents[2]


def ask(args: argparse.Namespace, question: str) -> dict:
    command = [args.tenon, "run", args.model, "--json", "-p", question, "-n", str(args.limit),
               "--temp", "0", *(["--chat"] if args.chat else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr.strip()}\nexit status {done.returncode}")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="*", default=[str(ROOT / "tests/data/nano-en.jsonl")])
    parser.add_argument("--model", default=str(ROOT / "models/nano"))
    parser.add_argument("--tenon", default=str(ROOT / "build/tenon"))
    parser.add_argument("--chat", action="store_true", help="without thinking")
    parser.add_argument("--limit", type=int, default=200, help="tokens an answer may have")
    parser.add_argument("--show", type=int, default=0, help="print the first wrong answers")
    args = parser.parse_args()

    for path in args.files:
        problems = [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]
        right, shown, since = defaultdict(list), 0, time.time()
        for place, p in enumerate(problems, 1):
            said = ask(args, p["question"])
            ok = is_right(said.get("content") or "", p["answer"])
            right[p["kind"]].append(ok)
            if not ok and shown < args.show:
                shown += 1
                print(f"{p['question']}\n  {said.get('reasoning')}\n  {said.get('content')}\n"
                      f"  wanted: {p['answer']}")
            if sys.stderr.isatty():
                total = sum(map(sum, right.values()))
                print(f"\r{place}/{len(problems)} asked, {total} right", end="", file=sys.stderr)
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        total = sum(map(sum, right.values()))
        low, high = interval(total, len(problems))
        kinds = ", ".join(f"{kind} {sum(v)}/{len(v)}" for kind, v in sorted(right.items()))
        print(f"{Path(path).name}: {total} of {len(problems)} right ({total / len(problems):.1%}, "
              f"95 % interval {low:.1%} to {high:.1%}): {kinds}; {time.time() - since:.0f} s")


if __name__ == "__main__":
    main()
