"""What the gates share: a server under test and what /proc says of it, a canary that must not change,
checks.

A gate is a program tests/gates/gate_NAME.py with the options --full and --seed; it prints a line
for each check and ends with "N passed, N failed". Only the standard library. BUILD names the build
folder (default build).
"""

import argparse
import asyncio
import http.client
import json
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
TENON = os.path.join(os.environ.get("BUILD", "build"), "tenon")
MODEL = "models/nano"
QUESTION = "Tom has 27 apples and buys 35 more. How many apples does Tom have now?"


def arguments(about, **more):
    """The options of a gate; more: names of further whole numbers, (short, full) each."""
    parser = argparse.ArgumentParser(description=about.strip().split("\n")[0])
    parser.add_argument("--full", action="store_true", help="as long as the specification wants it")
    parser.add_argument("--seed", type=int, default=1)
    for name in more:
        parser.add_argument(f"--{name}", type=int)
    found = parser.parse_args()
    for name, (short, full) in more.items():
        if getattr(found, name) is None:
            setattr(found, name, full if found.full else short)
    print(f"command: {shlex.join(sys.argv)}; seed {found.seed}; build {build_id()}")
    return found


def build_id():
    """The commit, and the first bytes of the program's SHA-256."""
    def said(*command):
        return subprocess.run(command, capture_output=True, text=True).stdout.split()
    return " ".join((said("git", "describe", "--always", "--dirty") or ["?"])[:1] +
                    [(said("sha256sum", TENON) or ["?"])[0][:12]])


class Checks:
    def __init__(self):
        self.passed = self.failed = self.unjudged = 0

    def check(self, good, words):
        self.passed += bool(good)
        self.failed += not good
        print(f"{'ok     ' if good else 'FAILED '} {words}", flush=True)

    def end(self):
        """A full form in which something could not be judged has failed; so has one that checked nothing."""
        self.failed += "--full" in sys.argv and self.unjudged > 0
        left = f", {self.unjudged} not judged" if self.unjudged else ""
        print(f"{self.passed} passed, {self.failed} failed{left}")
        sys.exit(0 if self.passed and not self.failed else 1)


class Server:
    """`tenon serve`, ended and looked at when the block is left. env: more of its environment."""

    class Refused(Exception):
        """It did not begin: its status, and what it said."""

    def __init__(self, *options, checks=None, env=None):
        self.checks = checks
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([TENON, "serve", MODEL, "--port", "0", *options],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        env={**os.environ, **(env or {})})
        found = re.search(r"https?://(.*):(\d+)$", self.process.stdout.readline().strip())
        if not found:
            raise self.Refused(self.process.wait(), self.said())
        self.host, self.port = found[1], int(found[2])
        self.url = found[0]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.checks:
            self.checks.check(self.process.returncode == 0,
                              f"the server ends with status {self.process.returncode}")
            if self.process.returncode:
                print(self.said()[-2000:])

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def alive(self):
        return self.process.poll() is None

    # --- what /proc says ---

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- requests ---

    def ask(self, method, path, body=None, timeout=120, **headers):
        """Status, headers, body."""
        if self.url.startswith("https:"):  # the certificate is a gate's own
            c = http.client.HTTPSConnection(self.host, self.port, timeout=timeout,
                                            context=ssl._create_unverified_context())
        else:
            c = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
            c.request(method, path, text, headers)
            answer = c.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            c.close()

    def chat(self, timeout=120, **fields):
        status, _, data = self.ask("POST", "/chat/completions", chat_body(**fields), timeout)
        return status, json.loads(data)


def chat_body(**fields):
    return {"model": "deepseek-chat", "messages": [{"role": "user", "content": QUESTION}], **fields}


def chat_bytes(**fields):
    """A whole request."""
    body = json.dumps(chat_body(**fields)).encode()
    return (b"POST /chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            % len(body)) + body


def run_alone(messages, seed, temperature, tokens, thinking):
    """What `tenon run` says to the same messages: (reasoning, content)."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(messages, file)
        file.flush()
        out = subprocess.run(
            [TENON, "run", MODEL, "--messages", file.name, "--json", "--seed", str(seed), "--temp",
             str(temperature), "-n", str(tokens), "--thinking" if thinking else "--chat"],
            capture_output=True, text=True, check=True).stdout
    answer = json.loads(out)
    return answer["reasoning"], answer["content"]


def read_stream(data):
    """A stream's events: (reasoning, content, finish_reason, whether [DONE] came)."""
    reasoning, content, finish, done = "", "", None, False
    for part in data.split(b"\n\n"):
        if not part.startswith(b"data: "):
            continue
        if part == b"data: [DONE]":
            done = True
            continue
        for choice in json.loads(part[6:]).get("choices", []):
            reasoning += choice["delta"].get("reasoning_content") or ""
            content += choice["delta"].get("content") or ""
            finish = choice["finish_reason"] or finish
    return reasoning, content, finish, done


class Canary:
    """Streams that are asked for again and again, each with the bytes of `tenon run`. Use as a block; then
    `check`."""

    CASES = [("What is 27 + 35?", 1, True), (QUESTION, 2, True), ("Sort: 9, 4, 7", 3, False)]

    def __init__(self, server, tokens=24):
        self.server, self.tokens = server, tokens
        self.want = [run_alone([{"role": "user", "content": words}], seed, 1.0, tokens, thinking)
                     for words, seed, thinking in self.CASES]
        self.n = self.refused = 0
        self.faults, self.seconds = [], []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.loop)

    def ask(self, i):
        words, seed, thinking = self.CASES[i % len(self.CASES)]
        begin = time.monotonic()
        status, _, data = self.server.ask("POST", "/chat/completions", chat_body(
            messages=[{"role": "user", "content": words}], seed=seed, temperature=1.0,
            max_tokens=self.tokens, stream=True,
            thinking={"type": "enabled" if thinking else "disabled"}))
        if status in (429, 503):
            self.refused += 1
            time.sleep(0.05)
            return
        got = read_stream(data)
        self.seconds.append(time.monotonic() - begin)
        if status != 200 or got[:2] != self.want[i % len(self.CASES)] or not got[3]:
            self.faults.append((status, got, self.want[i % len(self.CASES)]))
        self.n += 1

    def loop(self):
        i = 0
        while not self.stop.is_set():
            try:
                self.ask(i)
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
            i += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def check(self, checks, least=1):
        checks.check(self.n >= least and not self.faults,
                     f"canary: {self.n} streams, {len(self.faults)} changed")
        for fault in self.faults[:3]:
            print("       ", fault)


class Connection:
    """A connection of asyncio with what a gate does to it."""

    @classmethod
    async def open(cls, server, **options):
        self = cls()
        where = {} if "sock" in options else {"host": server.host, "port": server.port}
        self.reader, self.writer = await asyncio.open_connection(**where, **options)
        return self

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def read_all(self, timeout, one_reply=False):
        """All until the other side closes, or nothing comes for so long, or, if asked for, a reply with a length is
        whole: (bytes, closed)."""
        got = b""
        try:
            while not (one_reply and is_whole(got)):
                piece = await asyncio.wait_for(self.reader.read(1 << 16), timeout)
                if not piece:
                    return got, True
                got += piece
            return got, False
        except asyncio.TimeoutError:
            return got, False
        except OSError:
            return got, True

    def close(self):
        """At once, whatever is on the way."""
        self.writer.transport.abort()


def is_whole(answer):
    """Whether a reply with a Content-Length is all there."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return bool(end and length and len(body) >= int(length[1]))


def status_of(answer):
    """The status of a reply's first bytes; None when there are none, 0 when they are no reply."""
    if not answer:
        return None
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found[1]) if found else 0


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")



class Others:
    """What share of the processors other programs took meanwhile: a clock is judged only when that is little."""

    QUIET = 0.1

    def __init__(self, server):
        self.server = server

    @staticmethod
    def busy():
        with open("/proc/stat") as file:
            fields = [int(n) for n in file.readline().split()[1:9]]
        return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")

    def own(self):
        return self.server.cpu() + sum(os.times()[:4])

    def __enter__(self):
        self.begin = time.monotonic(), self.busy(), self.own()
        return self

    def __exit__(self, *_):
        clock, busy, own = time.monotonic(), self.busy(), self.own()
        used = (busy - self.begin[1]) - (own - self.begin[2])
        self.share = used / (clock - self.begin[0]) / os.cpu_count()

    def judge(self, checks, good, words):
        """A check of what a clock said."""
        if self.share > self.QUIET:
            checks.unjudged += 1
            print(f"not judged: other programs take {100 * self.share:.0f} % of the processors: {words}",
                  flush=True)
        else:
            checks.check(good, words)
