#!/usr/bin/env python3
"""How long a model takes to be ready, beside reading its files once, and the memory it takes.

    bench/loading.py build/tenon MODEL [ROUNDS]

ROUNDS (3) times in turn, first with nothing of the files in the page cache, then with all of it that fits: copying all
weight files to memory with as many thcopies as processors, 4 MiB at a time; and the time `tenon bench` reports for
loading. Prints medians, their ratio, and the largest resident set beside the weights.
"""

import json
import mmap
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

PIECE = 4 << 20


def files_of(model):
    path = Path(model)
    return [path] if path.is_file() else sorted(path.glob("*.safetensors"))


def forget(files):
    for f in files:
        fd = os.open(f, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def copy_once(files):
    sizes = [f.stat().st_size for f in files]
    start = time.monotonic()
    memory = memoryview(mmap.mmap(-1, sum(sizes)))
    pieces = iter([(f, at, sum(sizes[:i]) + at) for i, f in enumerate(files) for at in range(0, sizes[i], PIECE)])
    lock = threading.Lock()

    def work():
        fds = {}
        while True:
            with lock:
                f, at, to = next(pieces, (None, 0, 0))
            if f is None:
                return
            if f not in fds:
                fds[f] = os.open(f, os.O_RDONLY)
            os.preadv(fds[f], [memory[to:to + min(PIECE, f.stat().st_size - at)]], at)

    thcopies = [threading.Thread(target=work) for _ in os.sched_getaffinity(0)]
    for t in thcopies:
        t.start()
    for t in thcopies:
        t.join()
    return time.monotonic() - start


def load(tenon, model):
    out = subprocess.run([tenon, "bench", model, "--json", "--batch", "1", "--context", "0", "--prefill", "0",
                          "--rounds", "1"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    about = json.loads(out)["about"]
    return about["ready_s"], about["bytes"]


def main():
    tenon, model = sys.argv[1:3]
    files = files_of(model)
    seen = {"cold": ([], []), "warm": ([], [])}
    for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 3):
        for state, (copies, loads) in seen.items():
            if state == "cold":
                forget(files)
            copies.append(copy_once(files))
            if state == "cold":
                forget(files)
            seconds, weights = load(tenon, model)
            loads.append(seconds)
    size = sum(f.stat().st_size for f in files)
    for state, (copies, loads) in seen.items():
        a, b = statistics.median(copies), statistics.median(loads)
        print(f"{state}: copied in {a:.2f} s ({size / a / 1e9:.2f} GB/s), ready after {b:.2f} s: {b / a:.2f}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"largest resident set {peak / 1e9:.2f} GB, weights {weights / 1e9:.2f} GB: {peak / weights:.2f}")


main()
