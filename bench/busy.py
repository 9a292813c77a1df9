#!/usr/bin/env python3
"""What decode loses while another process keeps one of the processors busy.

    bench/busy.py build/tenon MODEL [ROUNDS]

ROUNDS (3) times in turn: `tenon bench MODEL --batch 1` with the machine to itself, and beside a process that counts on the
last processor. Prints medians and their ratio.
"""

import json
import os
import statistics
import subprocess
import sys


def rate(tenon, model):
    out = subprocess.run([tenon, "bench", model, "--json", "--batch", "1", "--context", "0", "--prefill", "0",
                          "--rounds", "3"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return json.loads(out)["rows"][0]["rate"]


def beside_counting(tenon, model):
    last = max(os.sched_getaffinity(0))
    counting = subprocess.Popen([sys.executable, "-c", "while True: pass"],
                                preexec_fn=lambda: os.sched_setaffinity(0, {last}))
    try:
        return rate(tenon, model)
    finally:
        counting.kill()
        counting.wait()


def main():
    tenon, model = sys.argv[1:3]
    alone, beside = [], []
    for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 3):
        alone.append(rate(tenon, model))
        beside.append(beside_counting(tenon, model))
    a, b = statistics.median(alone), statistics.median(beside)
    print(f"alone {a:.1f} tokens/s, with a processor taken {b:.1f}: {b / a:.2f}")


main()
