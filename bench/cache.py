#!/usr/bin/env python3
"""Time to the first token of a long prompt: computed, from the prefix cache in memory, and from its directory
after a restart. The best of some runs.

    bench/cache.py build/tenon models/nano [TOKENS] [RUNS]
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

TENON, MODEL = sys.argv[1:3]
TOKENS = int(sys.argv[3]) if len(sys.argv) > 3 else 8192
RUNS = int(sys.argv[4]) if len(sys.argv) > 4 else 3


class Server:
    def __init__(self, folder):
        self.process = subprocess.Popen(
            [TENON, "serve", MODEL, "--port", "0", "--ctx", str(TOKENS + 1024), "--max-streams", "4",
             "--cache-dir", folder],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(re.search(r":(\d+)$", self.process.stdout.readline().strip())[1])

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def ask(self, text):
        """Seconds until the first token, tokens of the prompt, and how many were reused."""
        body = json.dumps({"model": "deepseek-chat", "stream": True, "stream_options": {"include_usage": True},
                           "max_tokens": 4, "temperature": 0, "ignore_eos": True,
                           "messages": [{"role": "user", "content": text}]})
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)
        start, first, usage = time.monotonic(), None, None
        c.request("POST", "/chat/completions", body)
        for line in c.getresponse():
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            if first is None and chunk["choices"]:
                first = time.monotonic() - start
        c.close()
        return first, usage["prompt_tokens"], usage["prompt_cache_hit_tokens"]


def long_text(seed, numbers):
    return f"Text {seed}. " + " ".join(str((seed * 7919 + i * 104729) % 90000) for i in range(numbers))


def main():
    cold, warm, restarted = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(os.path.join(folder, "cache"))
        _, n, _ = server.ask(long_text(0, 200))
        numbers = int(200 * TOKENS / n)
        for run in range(1, RUNS + 1):
            seconds, n, hit = server.ask(long_text(run, numbers))
            assert hit == 0, hit
            cold.append(seconds)
            for _ in range(3):
                seconds, _, hit = server.ask(long_text(run, numbers))
                assert hit == n - 1, (hit, n)
                warm.append(seconds)
        server.close()
        for run in range(1, RUNS + 1):
            server = Server(os.path.join(folder, "cache"))
            seconds, _, hit = server.ask(long_text(run, numbers))
            assert hit == n - 1 or hit > n - 40, (hit, n)
            restarted.append(seconds)
            server.close()
    for name, times in (("computed", cold), ("from memory", warm), ("after a restart", restarted)):
        print(f"{name:16} {min(times) * 1000:9.1f} ms  {min(times) / min(cold) * 100:6.2f} %  "
              f"({n} tokens, best of {len(times)})")


if __name__ == "__main__":
    main()
