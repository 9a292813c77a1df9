#!/usr/bin/env python3
"""Gate 3: hostile HTTP and JSON are refused, and nobody else notices.

Every request of hostile.txt must be answered with a status of 4xx (501 for methods and codings, 505
for versions) or by closing; then --mutants mutants of these and of good requests, whatever they are
answered. Meanwhile a canary.
"""

import asyncio
import json
import random
import re

from gate import Canary, Checks, Connection, Server, arguments, chat_bytes, status_of

PARALLEL = 16
QUIET = 0.1  # seconds without an answer after which a mutant is taken to be incomplete
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\", b'"': b'"'}
PIECES = [b"\r\n", b"\0", b"\n", b"{", b"[", b'"', b",", b"-", b"99", b": ", b"\xff"]
BASE = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
GOOD = [chat_bytes(max_tokens=2), chat_bytes(max_tokens=2, stream=True, seed=1, stop=["a", "b"]),
        chat_bytes(max_tokens=2, tools=[{"type": "function", "function": {
            "name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}]),
        chat_bytes(max_tokens=2, logprobs=True, top_logprobs=3, n=2, logit_bias={"5": 1.5}),
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
        b"GET /v1/models HTTP/1.0\r\nX-Request-Id: a-b\r\n\r\n",
        b"POST /chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;a=b\r\n{\"mod\r\n4\r\nel\":\r\n2\r\n1}\r\n0\r\n\r\n"]


def plain(text):
    """The bytes that a line of hostile.txt means: repetitions, then escapes."""
    data = re.sub(rb"@\((.*?)\*(\d+)\)", lambda m: m[1] * int(m[2]), text.encode())
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)",
                  lambda m: bytes([int(m[1][1:], 16)]) if len(m[1]) > 1 else ESCAPES[m[1]], data)


def post(body):
    return (b"POST /chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
            % len(body)) + body


def field(rest):
    """The base request with one field as given, as the only one of its name."""
    name, _, value = rest.partition(" ")
    body = {k: v for k, v in BASE.items() if k != name}
    return post(json.dumps(body).encode()[:-1] + b', "%s": %s}' % (name.encode(), plain(value)))


KINDS = {"raw": plain, "json": lambda s: post(plain(s)), "field": field,
         "message": lambda s: field(f"messages [{s}]"),
         "head": lambda s: b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + plain(s) + b"\r\n\r\n"}


def requests():
    """(line, bytes) of each hostile request."""
    with open("tests/gates/hostile.txt") as file:
        for line in file:
            line = line.rstrip("\n")
            if line and not line.startswith("#"):
                kind, _, rest = line.partition(" ")
                yield line, KINDS[kind](rest)


async def answer_to(server, data, quiet):
    """What comes back; when nothing comes for so long, our side goes away."""
    c = await Connection.open(server)
    try:
        await c.send(data)
        got, closed = await c.read_all(quiet, one_reply=True)
    except OSError:
        got, closed = b"", True
    c.close()
    return got, closed


async def for_each(items, work):
    """work(item) for all, so many at once."""
    items = iter(items)

    async def some():
        for item in items:
            await work(item)

    await asyncio.gather(*(some() for _ in range(PARALLEL)))


def is_refusal(status):
    return status is not None and (400 <= status < 500 or status in (501, 505))


async def ask_all(server, wrong):
    """A request without an answer is given what it may wait for: the end of the client."""
    async def one(item):
        line, data = item
        got, closed = await answer_to(server, data, 12)
        if not (is_refusal(status_of(got)) or (closed and not got)):
            wrong.append((line[:120], closed, got[:200]))

    await for_each(requests(), one)


def mutate(random, seeds):
    """One to four small changes, half of the time of a good request."""
    data = bytearray(random.choice(GOOD if random.random() < 0.5 else seeds))
    for _ in range(random.randint(1, 4)):
        at, n = random.randrange(len(data) + 1), random.choice((1, 1, 1, 2, 4, 16))
        kind = random.randrange(6)
        if kind == 0:
            data[at:at + 1] = bytes([random.randrange(256)])
        elif kind == 1:
            del data[at:at + n]
        elif kind == 2:
            data[at:at] = random.randbytes(n)
        elif kind == 3:
            data[at:at] = random.choice(PIECES)
        elif kind == 4:
            other = random.choice(seeds)
            begin = random.randrange(len(other) + 1)
            data[at:at] = other[begin:begin + random.randint(1, 64)]
        else:
            data[at:at] = data[at:at + n * 4] * random.randint(1, 4)
        data = data or bytearray(b"G")
    return bytes(data)


async def ask_mutants(server, n, seed, statuses):
    rnd = random.Random(seed)
    seeds = GOOD + [data for _, data in requests() if len(data) < 4000]

    async def one(_):
        got, closed = await answer_to(server, mutate(rnd, seeds), QUIET)
        status = status_of(got) if got else "closed" if closed else "waits for more"
        statuses[status] = statuses.get(status, 0) + 1

    await for_each(range(n), one)


def main():
    options = arguments(__doc__, mutants=(3000, 1000000))
    checks = Checks()
    wrong, statuses = [], {}
    with Server("--ctx", "2048", "--max-streams", "8", checks=checks) as server:
        with Canary(server) as canary:
            asyncio.run(ask_all(server, wrong))
            count = sum(1 for _ in requests())
            checks.check(count >= 500 and not wrong,
                         f"{count} hostile requests, {len(wrong)} not refused")
            for line in wrong[:40]:
                print("       ", line)
            asyncio.run(ask_mutants(server, options.mutants, options.seed, statuses))
            told = ", ".join(f"{statuses[s]} {s}" for s in sorted(statuses, key=str))
            bad = [s for s in statuses if not (isinstance(s, str) or is_refusal(s) or s == 200)]
            checks.check(server.alive() and not bad, f"{options.mutants} mutants: {told}")
        canary.check(checks, 3)
        checks.check(server.chat(max_tokens=2)[0] == 200, "the server answers afterwards")
    checks.end()


if __name__ == "__main__":
    main()
