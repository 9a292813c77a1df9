"""Asks a running `tenon serve` with several keys what its clients ask.

    serve_keys_client.py TENON MODEL
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from serve_client import MODEL, QUESTION, TENON, Server

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Folder(tempfile.TemporaryDirectory):
    """A place with a file of keys."""

    def __enter__(self):
        return self

    def path(self, name="keys"):
        return os.path.join(self.name, name)

    def key(self, name, *limits):
        out = subprocess.run([TENON, "key", "new", name, "-f", self.path(), *limits],
                             capture_output=True, text=True, check=True)
        return out.stdout.strip()

    def remove(self, name):
        subprocess.run([TENON, "key", "remove", name, "-f", self.path()], check=True)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


def hang_up(server, words):
    """SIGHUP, and what the server says to it once more than before."""
    before = server.said().count(words)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.said().count(words) > before)


def ask(server, key, **fields):
    """Status, answer, seconds of Retry-After or None."""
    body = {"model": "deepseek-chat", "messages": [{"role": "user", "content": QUESTION}],
            "temperature": 0, "max_tokens": 4, **fields}
    answer, data = server.ask("POST", "/chat/completions", body, authorization=f"Bearer {key}")
    after = answer.getheader("retry-after")
    return answer.status, json.loads(data), after and int(after)


@check
def keys_come_and_go_while_it_runs():
    with Folder() as f:
        ann = f.key("ann")
        with Server("--keys", f.path()) as server:
            assert ask(server, ann)[0] == 200
            assert ask(server, "sk-" + 64 * "0")[0] == 401
            assert server.ask("GET", "/models")[0].status == 401
            assert server.ask("GET", "/models", x_api_key=ann)[0].status == 200
            bob, old = f.key("bob"), f.key("old", "--expires", "2020-01-01")
            assert ask(server, bob)[0] == 401
            hang_up(server, "3 keys")
            assert ask(server, bob)[0] == 200
            assert ask(server, old)[0] == 401
            f.remove("ann")
            hang_up(server, "2 keys")
            assert ask(server, ann)[0] == 401
            with open(f.path(), "a") as file:
                file.write("nonsense\n")
            hang_up(server, "the keys stay as they were")
            assert "line 3" in server.said()
            assert ask(server, bob)[0] == 200


@check
def a_stream_outlives_its_key():
    with Folder() as f:
        ann = f.key("ann")
        with Server("--keys", f.path(), "--ctx", "8192") as server:
            s, got = server.begin_stream(key=ann, max_tokens=2000)
            f.remove("ann")
            hang_up(server, "0 keys")
            assert ask(server, ann)[0] == 401
            while b"[DONE]" not in got:
                piece = s.recv(1 << 16)
                assert piece, got[-300:]
                got += piece
            assert b'"finish_reason":"length"' in got


def main():
    failed = 0
    for function in CHECKS:
        try:
            function()
            print(f"ok: {function.__name__.replace('_', ' ')}", flush=True)
        except Exception as error:  # noqa: BLE001
            failed += 1
            print(f"FAILED: {function.__name__}: {error!r}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
