#!/usr/bin/env python3
"""Gate 16: clients that go away at random leave nothing behind.

Clients go at a random moment: in the head, in the body, while they wait, in the stream; with and
without a reset. Files and threads must be back where they were within a second. So must the memory
of answers: a request that needs all of it begins within a second.
"""

import asyncio
import http.client
import json
import random
import time

from gate import TENON, Canary, Checks, Connection, Server, arguments, chat_body, chat_bytes

# An answer as long as the context takes more than half of the memory for answers, so two never run at once.
SERVER = ("--ctx", "131072", "--memory", "100M", "--max-streams", "8", "--max-queue", "64")
SLACK = 1.0  # seconds; to the first text of a new answer, what that takes alone besides
STEPS = 2 if "thread" in TENON else 1  # ... twice with a sanitizer, whose steps are long


def requests(rnd):
    """A request, cut off at a random place or whole."""
    data = chat_bytes(stream=rnd.random() < 0.7, n=rnd.choice((1, 1, 1, 4)), ignore_eos=True,
                      max_tokens=rnd.choice((20, 400, 5000)), seed=rnd.randrange(1000),
                      temperature=1, logprobs=rnd.random() < 0.2)
    return data[:rnd.randrange(len(data))] if rnd.random() < 0.25 else data


async def come_and_go(server, rnd):
    try:
        c = await Connection.open(server)
        await c.send(requests(rnd))
        await c.read_all(rnd.choice((0, 0.001, 0.05, 0.3, 1)) * rnd.random())
    except OSError:
        return
    if rnd.random() < 0.5:
        c.close()
    else:
        c.writer.close()


async def storm(server, n, rnd):
    left = iter(range(n))

    async def some():
        for _ in left:
            await come_and_go(server, rnd)

    await asyncio.gather(*(some() for _ in range(12)))


def until(what, limit):
    """Seconds until what() is true; None when it is not in time."""
    begin = time.monotonic()
    while not what():
        if time.monotonic() - begin > limit:
            return None
        time.sleep(0.01)
    return time.monotonic() - begin


def begin_largest(server, timeout):
    """Asks for an answer that needs all memory: seconds until its first text, and the connection."""
    begin = time.monotonic()
    c = http.client.HTTPConnection(server.host, server.port, timeout=timeout)
    c.request("POST", "/chat/completions",
              json.dumps(chat_body(stream=True, ignore_eos=True, max_tokens=130000)))
    answer = c.getresponse()
    while answer.status == 200 and b'content":"' not in answer.readline():
        pass
    return time.monotonic() - begin, answer.status, c


def main():
    options = arguments(__doc__, clients=(150, 1000))
    checks = Checks()
    rnd = random.Random(options.seed)
    with Server(*SERVER, checks=checks) as server:
        server.chat(max_tokens=3)
        alone, status, c = begin_largest(server, 60)
        try:
            begin_largest(server, 2)
            waits = False
        except TimeoutError:
            waits = True
        c.close()
        checks.check(status == 200 and waits, "two of the largest answers do not run at once")
        server.chat(max_tokens=3)
        fds, threads = server.fds(), server.threads()
        rounds = 5
        slowest = [0.0, 0.0]
        with Canary(server) as canary:
            for _ in range(rounds - 1):
                asyncio.run(storm(server, options.clients // rounds, rnd))
        canary.check(checks, 1)
        for _ in range(rounds):
            asyncio.run(storm(server, options.clients // rounds // 2 + 1, rnd))
            seconds, status, c = begin_largest(server, 60)
            c.close()
            back = until(lambda: server.fds() <= fds and server.threads() <= threads, 10)
            slowest = [max(slowest[0], seconds), max(slowest[1], 99 if back is None else back)]
        checks.check(slowest[0] <= SLACK + STEPS * alone,
                     f"memory: the largest answer begins {slowest[0]:.2f} s after the last client left "
                     f"at most; alone {alone:.2f} s")
        checks.check(slowest[1] <= SLACK, f"{fds} files and {threads} threads again after {slowest[1]:.2f} s at most")
    checks.end()


if __name__ == "__main__":
    main()
