#!/usr/bin/env python3
"""Gate 12: what a paced stream shows to who watches the line is the same for all texts of one length class.

Over TLS, and from outside the encryption: the lengths of the records, in their order, and when they come. Inside it
the chunks of HTTP and the events, all of one size. Texts of two classes of lengths, calls of functions, and each
streaming endpoint; what is said is what `tenon run --request` says. Without padding the same watcher must see
differences, or it looks in the wrong place.

Counts are those of one class while the model keeps up with the ticks; --tick makes them longer, for a busy machine.
"""

import json
import os
import random
import socket
import ssl
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from gate import MODEL, TENON, Canary, Checks, Others, Server, arguments

CELL, ROUNDS, SOME = 512, 300, 8
WORDS = ("What is %d + %d?", "Tom has %d apples and buys %d more. How many now?", "Sort: %d, %d, 7",
         "Sag mir, was %d mal %d ist.", "Repeat the word apple %d times, then %d.", "请计算 %d 加 %d。")
ADD = {"type": "function", "function": {"name": "add", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99},
                                     "b": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["a", "b"]}}}


def chat(rnd, **fields):
    question = rnd.choice(WORDS) % (rnd.randrange(100), rnd.randrange(100))
    return {"model": "deepseek-chat", "messages": [{"role": "user", "content": question}],
            "seed": rnd.randrange(1 << 30), "temperature": rnd.choice((0, 0.7, 1.3, 2)), **fields}


def short_text(rnd):
    return chat(rnd, max_tokens=rnd.randrange(8, 25), ignore_eos=True)


def long_text(rnd):
    question = "Tell me of the numbers %d and %d." % (rnd.randrange(100), rnd.randrange(100))
    return chat(rnd, max_tokens=rnd.randrange(740, 840), ignore_eos=True, temperature=0.7,
                messages=[{"role": "user", "content": question}])


def call(rnd):
    return chat(rnd, max_tokens=300, tools=[ADD], tool_choice="required", parallel_tool_calls=False)


# ---- the watcher ----

class Watched:
    """What a request looks like: `records`, lengths of TLS records of the answer with their times, and behind them
    `chunks` of HTTP with theirs (of a whole answer one), `events` (their sizes), `body`."""

    def __init__(self, server, path, body):
        self.records, self.chunks, self.times = [], [], []
        text = json.dumps(body).encode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.came, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.came, self.out)
        self.raw, self.data, self.head = b"", b"", None
        with socket.create_connection((server.host, server.port), timeout=120) as s:
            self.shake_hands(s)
            self.records = []
            self.tls.write(b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                           b"Content-Length: %d\r\n\r\n%s" % (path.encode(), len(text), text))
            s.sendall(self.out.read())
            while piece := s.recv(1 << 16):
                self.take(piece)
        assert self.head and b" 200 OK" in self.head, (self.head, self.data)
        if b"chunked" not in self.head:
            self.chunks = [self.data]
        self.body = b"".join(self.chunks)
        self.events = [len(part) + 2 for part in self.body.split(b"\n\n")[:-1]]

    def shake_hands(self, s):
        while True:
            try:
                self.tls.do_handshake()
                s.sendall(self.out.read())
                return
            except ssl.SSLWantReadError:
                s.sendall(self.out.read())
                self.take(s.recv(1 << 16))

    def take(self, piece):
        """Bytes off the line: first the lengths of the records in them, then what is inside."""
        now = time.monotonic()
        self.came.write(piece)
        self.raw += piece
        while len(self.raw) >= 5 and len(self.raw) >= 5 + int.from_bytes(self.raw[3:5], "big"):
            self.records.append(int.from_bytes(self.raw[3:5], "big"))
            self.raw = self.raw[5 + self.records[-1]:]
        while True:
            try:
                got = self.tls.read(1 << 16)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLError):
                break
            if not got:
                break
            self.data += got
        self.split(now)

    def split(self, now):
        if self.head is None and b"\r\n\r\n" in self.data:
            self.head, self.data = self.data.split(b"\r\n\r\n", 1)
        while self.head and b"chunked" in self.head and b"\r\n" in self.data:
            size, _, rest = self.data.partition(b"\r\n")
            n = int(size, 16)
            if len(rest) < n + 2 or n == 0:
                return
            self.chunks.append(rest[:n])
            self.times.append(now)
            self.data = rest[n + 2:]

    def shape(self):
        return tuple(self.records), tuple(len(c) for c in self.chunks)

    def gaps(self):
        return [b - a for a, b in zip(self.times, self.times[1:])]


def message_of(body):
    """The message that a chat's stream tells of."""
    content, calls = "", {}
    for part in body.split(b"\n\n"):
        if not part.startswith(b"data: {"):
            continue
        delta = json.loads(part[6:])["choices"][0]["delta"]
        content += delta.get("content") or ""
        for c in delta.get("tool_calls") or []:
            name, arguments = calls.get(c["index"], ("", ""))
            calls[c["index"]] = (name + c["function"].get("name", ""),
                                 arguments + c["function"].get("arguments", ""))
    return content, [calls[i] for i in sorted(calls)]


def run_request(body):
    """The message of `tenon run --request`."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(body, file)
        file.flush()
        out = subprocess.run([TENON, "run", MODEL, "--request", file.name, "--ctx", "4096"],
                             capture_output=True, text=True, check=True).stdout
    message = json.loads(out)["choices"][0]["message"]
    return message["content"], [(c["function"]["name"], c["function"]["arguments"])
                                for c in message.get("tool_calls", [])]


# ---- times ----

def distance(a, b):
    """Kolmogorov-Smirnov's, of two lists."""
    a, b = sorted(a), sorted(b)
    i = j = 0
    most = 0.0
    while i < len(a) and j < len(b):
        x = min(a[i], b[j])
        while i < len(a) and a[i] <= x:
            i += 1
        while j < len(b) and b[j] <= x:
            j += 1
        most = max(most, abs(i / len(a) - j / len(b)))
    return most


def likelihood(a, b, rnd):
    """How often streams that are mixed at random are as far apart as these two groups of them: p. Whole streams are
    mixed, since times of one stream depend on each other."""
    def apart(x, y):
        return distance([g for gaps in x for g in gaps], [g for gaps in y for g in gaps])
    seen, both, more = apart(a, b), a + b, 1
    for _ in range(ROUNDS):
        rnd.shuffle(both)
        more += apart(both[:len(a)], both[len(a):]) >= seen
    return seen, more / (ROUNDS + 1)


# ---- the checks ----

def watch(server, bodies, at_once, path="/chat/completions", stream=True):
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda b: Watched(server, path, {**b, "stream": stream}), bodies))


def is_class(n):
    unit = 16
    while n >= 8 * unit:
        unit *= 2
    return n % unit == 0


def check_looks(checks, others, name, watched):
    """What a stream looks like follows from its class alone, and all are of one class; unless the machine was so busy
    that the model was slower than the ticks leave it room for."""
    looks = {w.shape() for w in watched}
    counts = sorted({len(w.chunks) for w in watched})
    cells = sorted({len(c) for w in watched for c in w.chunks})
    words = (f"{name}: {len(watched)} streams, counts {counts} of {cells} bytes, {len(looks)} sequences of records "
             "and chunks")
    good = cells == [CELL] and all(map(is_class, counts)) and len(looks) == len(counts)
    if good and len(counts) > 1:
        others.judge(checks, False, words)
    else:
        checks.check(good, words)


def check_class(checks, others, name, bodies, watched):
    """Many texts, each of which is the right one."""
    some = list(zip(bodies, watched))[:SOME]
    wrong = [b for b, w in some if message_of(w.body) != run_request(b)]
    checks.check(not wrong, f"{name}: {len(wrong)} of {len(some)} say other than tenon run --request")
    for body in wrong[:3]:
        print("       ", body)
    texts = {json.dumps(message_of(w.body), ensure_ascii=False) for w in watched}
    sizes = [len(t.encode()) for t in texts]
    events = {n for w in watched for n in w.events[:-2]} | {sum(w.events[-2:]) for w in watched}
    checks.check(events == {CELL} and len(texts) > len(bodies) // 4,
                 f"{name}: {len(texts)} texts of {min(sizes)} to {max(sizes)} bytes, events of {sorted(events)}")
    check_looks(checks, others, name, watched)


def check_endpoints(checks, others, server, rnd, n):
    def raw(name, **more):
        return lambda: {name: rnd.choice(WORDS) % (rnd.randrange(9), rnd.randrange(99)),
                        "seed": rnd.randrange(1 << 30), "temperature": 1.5, "ignore_eos": True, **more}
    def spoken():
        return {"model": "claude", "max_tokens": rnd.randrange(8, 25), "seed": rnd.randrange(1 << 30),
                "messages": chat(rnd)["messages"]}
    kinds = {"/v1/completions": raw("prompt", model="nano", max_tokens=20),
             "/completion": raw("prompt", n_predict=20), "/infill": raw("input_prefix", input_suffix="", n_predict=20),
             "/v1/messages": spoken,
             "/v1/responses": raw("input", model="nano", max_output_tokens=20)}
    for path, make in kinds.items():
        check_looks(checks, others, path, watch(server, [make() for _ in range(n)], 8, path))
    watched = watch(server, [short_text(rnd) for _ in range(n)], 8, stream=False)
    looks = {(w.shape()[0], len(w.body)) for w in watched}
    checks.check(len(looks) == 1, f"whole answers: {n}, {len(looks)} sequences of records; {len(watched[0].body)} bytes")


def check_times(checks, server, rnd, texts, calls):
    """Texts and calls come in different bursts. One round in a hundred is an accident: then a second one decides."""
    for _ in range(2):
        apart, p = likelihood([w.gaps() for w in texts], [w.gaps() for w in calls], rnd)
        if p >= 0.01:
            break
        print(f"once more: p {p:.3f}")
        both = mixed(server, rnd, len(texts))
        texts, calls = both[0::2], both[1::2]
    checks.check(p >= 0.01, f"times of texts and of calls: distance {apart:.3f}, p {p:.3f}")
    idle, busy = [], []
    for w in texts + calls:
        for gap, chunk in zip(w.gaps(), w.chunks[1:]):
            (idle if chunk.startswith(b": ..") else busy).append(gap)
    print(f"        not judged: times before comments and before texts: distance {distance(idle, busy):.3f}")


def mixed(server, rnd, n):
    """Texts and calls in turn, so that both meet the same load."""
    return watch(server, [make(rnd) for _ in range(n) for make in (short_text, call)], 8)


def check_control(checks, server, rnd, n):
    both = mixed(server, rnd, n)
    looks = {w.shape() for w in both}
    _, p = likelihood([w.gaps() for w in both[0::2]], [w.gaps() for w in both[1::2]], rnd)
    checks.check(len(looks) > n and p < 0.01,
                 f"without padding the watcher sees {len(looks)} sequences of {2 * n}, times p {p:.3f}")


def certificate(folder):
    pem, key = os.path.join(folder, "tls.pem"), os.path.join(folder, "tls.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=gate", "-keyout", key, "-out", pem],
                   check=True, capture_output=True)
    return "--tls-cert", pem, "--tls-key", key


def main():
    options = arguments(__doc__, texts=(16, 500), long=(4, 60), tick=(250, 250))
    checks = Checks()
    rnd = random.Random(options.seed)
    paced = ("--padding", "paced", "--padding-tick", str(options.tick))
    common = ("--ctx", "4096", "--max-streams", "8")
    with tempfile.TemporaryDirectory() as folder:
        tls = certificate(folder)
        with Server(*common, *paced, *tls, checks=checks) as server:
            with Canary(server) as canary:
                with Others(server) as others:
                    bodies = [make(rnd) for _ in range(options.texts) for make in (short_text, call)]
                    watched = watch(server, bodies, 8)
                    longer = [long_text(rnd) for _ in range(options.long)]
                    watched_longer = watch(server, longer, 2)
                check_class(checks, others, "short texts", bodies[0::2], watched[0::2])
                check_class(checks, others, "calls", bodies[1::2], watched[1::2])
                check_looks(checks, others, "short texts and calls", watched)
                check_times(checks, server, rnd, watched[0::2], watched[1::2])
                check_class(checks, others, "long texts", longer, watched_longer)
                check_endpoints(checks, others, server, rnd, max(8, options.texts // 4))
            canary.check(checks)
        with Server(*common, *tls, checks=checks) as server:
            check_control(checks, server, rnd, options.texts)
    checks.end()


if __name__ == "__main__":
    main()
