"""What rounding costs: the same weights rounded afterwards (PTQ), trained on with rounding (QAT), and
not rounded at all, all measured by `tenon eval`.

    python study.py FOLDER [--tenon PROGRAM] [--limit N] [--threads N]

FOLDER is a finished run: unrounded.pt, latest.pt, the tokenizer. Prints tables in Markdown; the
models, the figures as `tenon eval --json` gives them and every answer stay in FOLDER/study.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from documents import encode
from export import export
from config import Config
from languages import CODES
from model import Model
from problems import test_set
from tokenizer import ASSISTANT, BOS, END_THINK, EOS, THINK, USER, Encoder

ROOT = Path(__file__).resolve().parents[2]
TASK = ROOT / "tests" / "data" / "problems.jsonl"
DRAFTED = 20  # answers a language that the drafts are compared with

# Name, checkpoint, form of the weights, numeric mode.
VARIANTS = [
    ("BF16", "unrounded.pt", "bf16", ["--float"]),
    ("BF16, default mode", "unrounded.pt", "bf16", []),
    ("PTQ", "unrounded.pt", "served", []),
    ("QAT", "latest.pt", "served", []),
    ("PTQ, dense 4-bit", "unrounded.pt", "dense4", []),
    ("QAT, dense 4-bit", "latest.pt", "dense4", []),
]


def ask(args: argparse.Namespace, *words) -> dict:
    command = [args.tenon, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}")
    return json.loads(done.stdout)


def write_model(folder: Path, checkpoint: str, form: str) -> Path:
    out = folder / "study" / f"{Path(checkpoint).stem}-{form}"
    saved = torch.load(folder / checkpoint, map_location="cpu", weights_only=True)
    size = Encoder(folder / "tokenizer.json").size
    model = Model(Config(vocab_size=size, hidden_size=saved["width"]))
    model.load_state_dict(saved["model"])
    export(model, folder, out, form)
    return out


def write_text(folder: Path) -> Path:
    """Conversations about problems that neither training nor the test file has."""
    path = folder / "study" / "text"
    parts = [BOS + USER + p.question + ASSISTANT + THINK + p.thinking + END_THINK + p.reply + EOS
             for code in CODES for p in test_set(code, 45, "dev")]
    path.write_text("".join(parts), encoding="utf-8")
    return path


def measure(args: argparse.Namespace, model: Path, text: Path, mode: list, name: str) -> dict:
    study, common = args.folder / "study", [*mode, "--threads", args.threads, "--json"]
    limit = ["--limit", args.limit] if args.limit else []
    answers = study / f"{name}.jsonl"
    found = {"task": ask(args, "eval", model, "--task", TASK, "--by", "wording", "--out", answers,
                         *limit, *common)}
    base, on_text = study / "base", ["--ppl", text, "--special"]
    if name == VARIANTS[0][0]:
        found["text"] = ask(args, "eval", model, *on_text, "--save-base", base, *common)
    else:
        found["text"] = ask(args, "eval", model, *on_text, "--kl", "--base-file", base, *common)
    return found


def acceptance(args: argparse.Namespace, model: Path, answers: Path) -> tuple[int, int]:
    """Of the tokens of greedy answers, how many the MTP block drafts right: (right, all)."""
    encoder = Encoder(model / "tokenizer.json")
    questions = {p["id"]: p["question"] for p in map(json.loads, TASK.open(encoding="utf-8"))}
    asked: dict = {}
    right = count = 0
    tokens, out = args.folder / "study" / "tokens", args.folder / "study" / "drafts"
    for line in answers.open(encoding="utf-8"):
        a = json.loads(line)
        asked[a["lang"]] = asked.get(a["lang"], 0) + 1
        if asked[a["lang"]] > DRAFTED or a["finish"] != "stop":
            continue
        prompt = [(BOS + USER + questions[a["id"]] + ASSISTANT + THINK, False)]
        said = [(a["reasoning"] + END_THINK + a["content"] + EOS, True)]
        ids = encode(prompt + said, encoder)[0]
        first = len(encode(prompt, encoder)[0])
        tokens.write_text(" ".join(map(str, ids)))
        subprocess.run([args.tenon, "logits", model, "--tokens", tokens, "--out", out, "--mtp"],
                       check=True, stdout=subprocess.DEVNULL)
        drafts = torch.frombuffer(bytearray(out.read_bytes()), dtype=torch.float32)
        best = drafts.view(len(ids) - 1, -1).argmax(-1).tolist()
        # Row t knows the tokens up to t + 1 and drafts the one at t + 2.
        checked = [best[t - 2] == ids[t] for t in range(first + 1, len(ids))]
        right, count = right + sum(checked), count + len(checked)
    return right, count


# Tables


def percent(row: dict) -> str:
    low, high = row["interval"]
    return f"{100 * row['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def print_tables(results: dict) -> None:
    print("| weights | accuracy, % (95 % interval) | trained wordings | new wordings | perplexity "
          "| mean KL from BF16, nats | same most likely token, % |")
    print("|---|---|---|---|---|---|---|")
    for name, found in results.items():
        by = {row["wording"]: row for row in found["task"]["by_wording"]}
        text, same = found["text"], found["text"].get("same_top", 1.0)
        kl = text["kl"]["value"] if "kl" in text else 0.0
        print(f"| {name} | {percent(found['task']['overall'])} | {percent(by['trained'])} "
              f"| {percent(by['new'])} | {text['result']['perplexity']:.4f} "
              f"| {kl:.5f} | {100 * same:.2f} |")
    print("\n| language | " + " | ".join(results) + " |\n|---|" + "---|" * len(results))
    for place, code in enumerate(CODES):
        rows = [found["task"]["by_lang"][place] for found in results.values()]
        assert all(row["lang"] == code for row in rows)
        print(f"| {code} | " + " | ".join(percent(row) for row in rows) + " |")
    kinds = [row["kind"] for row in results["QAT"]["task"]["by_kind"]]
    cells = {(row["lang"], row["kind"]): row for row in results["QAT"]["task"]["by_lang_kind"]}
    print("\n| QAT | " + " | ".join(kinds) + " |\n|---|" + "---|" * len(kinds))
    for code in CODES:
        print(f"| {code} | " + " | ".join(f"{100 * cells[code, kind]['accuracy']:.0f}"
                                          for kind in kinds) + " |")
    drafts = results["QAT"]["drafts"]
    print(f"\nDrafts of the MTP block accepted in greedy decoding: {drafts['right']} of "
          f"{drafts['count']} ({drafts['right'] / drafts['count']:.1%}).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tenon", type=Path, default=ROOT / "build" / "tenon")
    parser.add_argument("--limit", type=int, default=0, help="problems, evenly spread; 0: all")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    (args.folder / "study").mkdir(exist_ok=True)
    text, results = write_text(args.folder), {}
    for name, checkpoint, form, mode in VARIANTS:
        model = write_model(args.folder, checkpoint, form)
        results[name] = measure(args, model, text, mode, name)
        print(f"measured {name}", file=sys.stderr, flush=True)
        if name == "QAT":
            right, count = acceptance(args, model, args.folder / "study" / f"{name}.jsonl")
            results[name]["drafts"] = {"right": right, "count": count}
    kept = args.folder / "study" / "results.json"
    kept.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_tables(results)


if __name__ == "__main__":
    main()
