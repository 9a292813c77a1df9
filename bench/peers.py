#!/usr/bin/env python3
"""Tenon and llama.cpp on one GGUF and one machine, in turn.

    bench/peers.py build/tenon FILE.gguf [ROUNDS]

tools/llama builds llama.cpp (ten minutes, the first time). ROUNDS (3) times each loads the file, decodes one
sequence, 16 sequences at once, and prompts of 512 and 2,048 tokens, with as many threads as there are
processors. Each figure is a median of those rounds, each of them a median of steps; steps in which other
processes took more than 8 % of a processor are dropped, or the figure marked where they are all there is.
Then both compute the logits of the same 64 tokens.

A file for it: build/tools/make-model --layers 3 --vocab 9216 DIR, then build/tenon convert DIR FILE.gguf.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROWS = {"decode 1": ("decode", 1), "decode 16": ("decode", 16), "prefill 512": ("prefill", 512),
        "prefill 2048": ("prefill", 2048)}
CONTEXT, OTHERS, QUIET_STEPS, TOKENS = 2112, 0.08, 9, 64
THREADS = len(os.sched_getaffinity(0))


def busy_seconds():
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    t = os.times()
    return t.user + t.system


class Llama:
    """llama.cpp through its C interface: nothing of Python is in a step."""

    def __init__(self, path):
        import llama_cpp
        self.c = llama_cpp
        self.c.llama_backend_init()
        start = time.monotonic()
        self.model = self.c.llama_model_load_from_file(path.encode(), self.c.llama_model_default_params())
        p = self.c.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = 16 * CONTEXT, 2048, 512, 16
        p.n_threads = p.n_threads_batch = THREADS
        self.context = self.c.llama_init_from_model(self.model, p)
        self.ready = time.monotonic() - start
        self.n_vocab = self.c.llama_vocab_n_tokens(self.c.llama_model_get_vocab(self.model))
        self.batch = self.c.llama_batch_init(2048, 0, 1)

    def clear(self):
        self.c.llama_memory_clear(self.c.llama_get_memory(self.context), True)

    def step(self, rows):
        """rows: (token, position, sequence, whether its logits are wanted)"""
        b = self.batch
        b.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            b.token[i], b.pos[i], b.n_seq_id[i] = token, position, 1
            b.seq_id[i][0] = sequence
            b.logits[i] = wanted
        if self.c.llama_decode(self.context, b):
            raise SystemExit("llama.cpp: llama_decode failed")
        self.c.llama_synchronize(self.context)

    def prompt(self, n):
        self.clear()
        self.step([(i * 7919 % self.n_vocab, i, 0, i == n - 1) for i in range(n)])



def median_step(work, wanted=QUIET_STEPS):
    """Median of the quiet steps in seconds, and whether there were enough of them."""
    quiet, all_of_them = [], []
    while len(quiet) < wanted and len(all_of_them) < 3 * wanted:
        start, others = time.monotonic(), busy_seconds() - own_seconds()
        work()
        seconds = time.monotonic() - start
        all_of_them.append(seconds)
        if busy_seconds() - own_seconds() - others <= OTHERS * max(seconds, 0.02):
            quiet.append(seconds)
    enough = len(quiet) >= (wanted + 1) // 2
    return statistics.median(quiet if enough else all_of_them), enough


def decode_steps(llama, n, steps):
    """A work of median_step: some decode steps, going on where the last one ended."""
    llama.clear()
    at = [0]

    def work():
        for _ in range(steps):
            if at[0] == CONTEXT:
                llama.clear()
                at[0] = 0
            llama.step([((at[0] * 31 + s) % llama.n_vocab, at[0], s, True) for s in range(n)])
            at[0] += 1
    return work


def llama_main(path, tokens_path, logits_path):
    """Runs in the Python that has llama_cpp; prints JSON."""
    llama = Llama(path)
    result = {"ready": llama.ready, "rows": {}}
    for name, (what, n) in ROWS.items():
        if what == "decode":
            work = decode_steps(llama, n, 8 if n == 1 else 2)
            work()
            seconds, quiet = median_step(work)
            rate = n * (8 if n == 1 else 2) / seconds
        else:
            llama.prompt(n)
            seconds, quiet = median_step(lambda: llama.prompt(n), 3)
            rate = n / seconds
        result["rows"][name] = {"rate": rate, "quiet": quiet}
    if tokens_path:
        tokens = [int(t) for t in Path(tokens_path).read_text().split()]
        llama.clear()
        llama.step([(t, i, 0, True) for i, t in enumerate(tokens)])
        with open(logits_path, "wb") as f:
            for i in range(len(tokens)):
                row = llama.c.llama_get_logits_ith(llama.context, i)
                f.write(bytes((llama.c.ctypes.c_float * llama.n_vocab).from_address(
                    llama.c.ctypes.addressof(row.contents))))
    print(json.dumps(result))


def run_llama(python, path, tokens="", logits=""):
    out = subprocess.run([python, __file__, "--llama", path, str(tokens), str(logits)], check=True,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return json.loads(out.splitlines()[-1])


def run_tenon(tenon, path):
    out = subprocess.run([tenon, "bench", path, "--json", "--batch", "1,16", "--context", "0", "--prefill",
                          "512,2048", "--rounds", "5"], check=True, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    seen = json.loads(out)
    rows = {}
    for name, (what, n) in ROWS.items():
        row = next(r for r in seen["rows"] if r["name"] == what and r["n"] == n)
        rows[name] = {"rate": row["rate"], "quiet": not row["noisy"], "share": row["share"]}
    return {"ready": seen["about"]["ready_s"], "rows": rows, "about": seen["about"]}


def compare_logits(tenon, python, path, folder):
    import array
    import math
    tokens, ours, theirs = folder / "tokens", folder / "ours", folder / "theirs"
    tokens.write_text(" ".join(str(1 + i * 977 % 9000) for i in range(TOKENS)))
    subprocess.run([tenon, "logits", path, "--tokens", tokens, "--out", ours], check=True,
                   stdout=subprocess.DEVNULL)
    run_llama(python, path, tokens, theirs)
    a, b = array.array("f", ours.read_bytes()), array.array("f", theirs.read_bytes())
    n, same, kl = len(a) // TOKENS, 0, 0.0
    for t in range(TOKENS):
        x, y = a[t * n:(t + 1) * n], b[t * n:(t + 1) * n]
        same += x.index(max(x)) == y.index(max(y))
        log_x = max(x) + math.log(sum(math.exp(v - max(x)) for v in x))
        log_y = max(y) + math.log(sum(math.exp(v - max(y)) for v in y))
        kl += sum(math.exp(v - log_x) * ((v - log_x) - (w - log_y)) for v, w in zip(x, y))
    return same / TOKENS, kl / TOKENS


def main():
    tenon, path = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    python = subprocess.run([ROOT / "tools" / "llama"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    version = subprocess.run([python, "-c", "import llama_cpp; print(llama_cpp.__version__)"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.strip()
    ours, theirs = [], []
    for i in range(rounds):
        ours.append(run_tenon(tenon, path))
        theirs.append(run_llama(python, path))
        print(f"round {i + 1} of {rounds}", file=sys.stderr)
    about = ours[0]["about"]
    print(f"{about['cpu']}, {about['threads']} threads, {about['isa']}; Tenon {about['tenon']}, llama.cpp of "
          f"llama-cpp-python {version}; {path}: {about['bytes'] / 1e9:.2f} GB; {rounds} rounds in turn\n")
    print("| | Tenon tokens/s | share of the roofline | llama.cpp tokens/s | ratio |\n|---|---|---|---|---|")
    noisy = False
    for name in ROWS:
        a = statistics.median(r["rows"][name]["rate"] for r in ours)
        b = statistics.median(r["rows"][name]["rate"] for r in theirs)
        share = statistics.median(r["rows"][name]["share"] for r in ours)
        mark = "" if all(r["rows"][name]["quiet"] for r in ours + theirs) else "*"
        noisy |= bool(mark)
        print(f"| {name} | {a:.1f} | {share:.2f} | {b:.1f} | {a / b:.2f}{mark} |")
    a, b = (statistics.median(r["ready"] for r in side) for side in (ours, theirs))
    print(f"| ready after, s | {a:.1f} | | {b:.1f} | |")
    if noisy:
        print("\n\\* other processes took part of the processors in too many steps")
    with tempfile.TemporaryDirectory() as folder:
        same, kl = compare_logits(tenon, python, path, Path(folder))
    print(f"\nSame token first at {100 * same:.0f} % of {TOKENS} positions, mean KL divergence {kl:.4f}.")


if __name__ == "__main__":
    if sys.argv[1] == "--llama":
        llama_main(*sys.argv[2:5])
    else:
        main()
