#!/usr/bin/env python3
"""Gate 20: the thread sanitizer has nothing to say of the server.

Builds with SAN=thread, runs tests of the server (--full: and of the scheduler, and those that ask a
whole server), then other gates against that build. The sanitizer ends a program at the first race,
so a test or a server then fails.
"""

import os
import subprocess
import sys

from gate import Checks, arguments

BUILD = "build/thread"
TESTS = ["base/test_queue", "serve/"]
MORE_TESTS = ["engine/test_scheduler", "engine/test_batch", "cli/test_serve", "cli/test_bench_serve"]
SHORT = [("hostile", "--mutants", "100"), ("disconnect", "--clients", "25"), ("drain", "--signals", "2")]
FULL = [("hostile", "--mutants", "20000"), ("disconnect", "--clients", "1000"),
        ("drain", "--signals", "50"), ("extraction",), ("escape",)]


def last_line(command):
    """What it ends with, told as it goes."""
    last = ""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env={**os.environ, "BUILD": BUILD, "TSAN_OPTIONS": "halt_on_error=1"})
    for line in process.stdout:
        last = line.strip()
        print("       ", last, flush=True)
    return process.wait(), last


def programs(tests):
    """Those of the tests that are programs."""
    names = []
    for part in tests:
        folder, _, name = part.partition("/")
        names += [f"tests/{folder}/{f[:-2]}" for f in sorted(os.listdir(f"tests/{folder}"))
                  if f.startswith(name or "test_") and f.endswith(".c")]
    return names


def main():
    options = arguments(__doc__)
    checks = Checks()
    tests = TESTS + (MORE_TESTS if options.full else [])
    targets = [f"{BUILD}/{name}" for name in ["tenon", *programs(tests)]]
    rc, _ = last_line(["make", "--no-print-directory", f"-j{os.cpu_count()}", "SAN=thread", *targets])
    checks.check(rc == 0, "the build with the thread sanitizer")
    if rc == 0:
        rc, last = last_line(["tools/run-tests", *tests])
        checks.check(rc == 0 and last.endswith(" 0 failed"), f"tests: {last}")
    for name, *more in (FULL if options.full else SHORT) if rc == 0 else []:
        rc, last = last_line([sys.executable, f"tests/gates/gate_{name}.py", "--seed", str(options.seed), *more])
        checks.check(rc == 0 and last.endswith(" 0 failed"), f"{name}: {last}")
    checks.end()


if __name__ == "__main__":
    main()
