#!/usr/bin/env python3
"""What serving costs beside the engine's steps, and what a long prompt costs those who are being answered.

    bench/serving.py build/tenon models/nano [STREAMS] [TOKENS]

1. STREAMS (64) answers at once, one engine thread on a processor of its own, the server's other threads and this
   client on another: the share of the time that the engine's thread is not in a step, from /metrics.
2. 8 answers, then the same while a prompt of TOKENS (16384) is computed, all processors: tokens a second beside
   those alone, and of the gaps between tokens p50 and p99. Three times, in turn; medians.
"""

import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

TENON, MODEL = sys.argv[1:3]
STREAMS = int(sys.argv[3]) if len(sys.argv) > 3 else 64
TOKENS = int(sys.argv[4]) if len(sys.argv) > 4 else 16384
FEW, ALONE_SECONDS, ROUNDS = 8, 4, 3


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [TENON, "serve", MODEL, "--port", "0", "--cache-memory", "0", "--drain", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(re.search(r":(\d+)$", self.process.stdout.readline().strip())[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def metric(self, name):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return float(re.search(rf"^{name}\{{[^}}]*\}} (\S+)$", text, re.M)[1])

    def seconds_of_prompt(self, n):
        body = json.dumps({"model": "deepseek-chat", "max_tokens": 1, "prompt": [65 + i % 26 for i in range(n)]})
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)
        start = time.monotonic()
        c.request("POST", "/completions", body)
        answer = c.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        c.close()
        return start, time.monotonic()


class Stream(threading.Thread):
    """An answer without end; `times` are those at which its tokens came."""

    def __init__(self, server):
        super().__init__(daemon=True)
        body = json.dumps({"model": "deepseek-chat", "stream": True, "ignore_eos": True, "temperature": 0,
                           "messages": [{"role": "user", "content": "Count."}]})
        self.times = []
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.sendall(f"POST /chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
                            f"\r\n\r\n{body}".encode())
        self.start()

    def run(self):
        try:
            while piece := self.socket.recv(1 << 16):
                self.times += [time.monotonic()] * piece.count(b"data: {")
        except OSError:
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.join()


def between(streams, start, end):
    """Tokens a second of all, and their gaps in milliseconds."""
    n, gaps = 0, []
    for s in streams:
        times = [t for t in s.times if start <= t < end]
        n += len(times)
        gaps += [1000 * (b - a) for a, b in zip(times, times[1:])]
    gaps.sort()
    return n / (end - start), gaps[len(gaps) // 2], gaps[len(gaps) * 99 // 100]


def own_cost():
    cpus = sorted(os.sched_getaffinity(0))
    with Server("--threads", "1", "--max-streams", str(STREAMS), "--ctx", "1000000") as server:
        engine = int(sorted(os.listdir(f"/proc/{server.process.pid}/task"), key=int)[1])
        if len(cpus) > 1:
            for task in os.listdir(f"/proc/{server.process.pid}/task"):
                os.sched_setaffinity(int(task), {cpus[0] if int(task) == engine else cpus[1]})
            os.sched_setaffinity(0, {cpus[1]})
        streams = [Stream(server) for _ in range(STREAMS)]
        while any(not s.times for s in streams):
            time.sleep(0.05)
        steps, start = server.metric("tenon:step_seconds_total"), time.monotonic()
        time.sleep(10)
        steps, end = server.metric("tenon:step_seconds_total") - steps, time.monotonic()
        speed, _, _ = between(streams, start, end)
        for s in streams:
            s.close()
    os.sched_setaffinity(0, set(cpus))
    print(f"{STREAMS} streams, one engine thread: {speed:.0f} tokens/s; not in a step "
          f"{100 * (1 - steps / (end - start)):.1f} % of the time", flush=True)


def beside_a_prompt():
    rows = []
    with Server("--max-streams", str(FEW + 1), "--ctx", str(TOKENS + (1 << 16))) as server:
        for _ in range(ROUNDS):
            streams = [Stream(server) for _ in range(FEW)]
            time.sleep(1)
            start = time.monotonic()
            time.sleep(ALONE_SECONDS)
            alone = between(streams, start, time.monotonic())
            start, end = server.seconds_of_prompt(TOKENS)
            beside = between(streams, start, end)
            rows.append((beside[0] / alone[0], beside[2] / beside[1], end - start, *alone, *beside))
            for s in streams:
                s.close()
            time.sleep(0.5)
    share, tail, seconds, alone, a50, a99, beside, b50, b99 = (statistics.median(r) for r in zip(*rows))
    print(f"{FEW} streams alone: {alone:.0f} tokens/s, gaps p50 {a50:.1f} ms, p99 {a99:.1f} ms")
    print(f"beside a prompt of {TOKENS} tokens ({seconds:.1f} s): {beside:.0f} tokens/s, {share:.2f} of it; gaps "
          f"p50 {b50:.1f} ms, p99 {b99:.1f} ms, {tail:.1f} times the median")


own_cost()
beside_a_prompt()
