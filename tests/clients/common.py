"""What the client tests share: the server's address, checks that are counted, answers of `tenon run`."""

import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

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


def readme_says(package):
    """What README's example with this package prints, asking the server here."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.S)
                if f"from {package} import" in block)
    assert "http://127.0.0.1:8080" in code
    return subprocess.run([sys.executable, "-c", code.replace("http://127.0.0.1:8080", URL)],
                          capture_output=True, text=True, check=True).stdout


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
