"""What the client tests share: the server's address, checks that are counted, answers of `tenon run`."""

import json
import os
import subprocess
import sys
import tempfile
import traceback

URL = os.environ["TENON_URL"]
TENON, MODEL = os.environ["TENON"], os.environ["TENON_MODEL"]
QUESTION = "Tom has 27 apples and buys 35 more. How many apples does Tom have now?"
ASK = [{"role": "user", "content": QUESTION}]
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def run_alone(messages, *options):
    """What `tenon run` says to the same messages."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(messages, file)
        file.flush()
        out = subprocess.run([TENON, "run", MODEL, "--messages", file.name, "--json", *options],
                             capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def main():
    """One line a check: "ok: what" or "FAILED: what: why"."""
    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok: {name}", flush=True)
        except Exception as error:  # noqa: BLE001
            failed += 1
            traceback.print_exc()
            print(f"FAILED: {name}: {error!r}", flush=True)
    sys.exit(failed != 0)
