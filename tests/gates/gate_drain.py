#!/usr/bin/env python3
"""Gate 17: SIGTERM under load lets every answer that has begun end whole.

Servers are ended at random moments while clients ask, one after another. A request is answered
whole, with the bytes of `tenon run`, or refused with 503, or finds the connection closed before any
answer; the server exits with 0.
"""

import asyncio
import random
import signal
import time

from gate import (Checks, Connection, Server, arguments, chat_bytes, read_stream, run_alone,
                  status_of)

CLIENTS = 8
CASES = [("What is 27 + 35?", 1, 60), ("What is 8 * 7?", 2, 150), ("Sort: 9, 4, 7", 3, 20),
         ("How many minutes are 3 hours?", 4, 90)]


def content(answer):
    """The body of a chunked answer, frames removed; None when it ends inside."""
    _, _, left = answer.partition(b"\r\n\r\n")
    body = b""
    while left:
        size, end, left = left.partition(b"\r\n")
        if not end or len(left) < int(size, 16) + 2:
            return None
        if int(size, 16) == 0:
            return body
        body += left[:int(size, 16)]
        left = left[int(size, 16) + 2:]
    return None


def judge(answer, want):
    """whole, refused, none, or what is wrong."""
    status = status_of(answer)
    if status is None:
        return "none"
    if status == 503:
        return "refused"
    body = content(answer) if status == 200 else None
    if body is None:
        return f"cut: {answer[-80:]}"
    got = read_stream(body)
    return "whole" if got[3] and got[:2] == want else f"changed: {got}"


async def client(server, i, wants, outcomes, sent, heard):
    """Asks until nobody answers. sent: the signal has been, heard: for long enough to be obeyed."""
    while True:
        words, seed, tokens = CASES[i % len(CASES)]
        begun_late = heard.is_set()
        try:
            c = await Connection.open(server)
            await c.send(chat_bytes(messages=[{"role": "user", "content": words}], seed=seed,
                                    temperature=1, max_tokens=tokens, stream=True,
                                    thinking={"type": "enabled"}).replace(
                                        b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            answer, _ = await c.read_all(60)
            c.close()
        except OSError:
            outcomes.append("none" if sent.is_set() else "no connection")
            return
        outcome = judge(answer, wants[i % len(CASES)])
        if begun_late and outcome == "whole":
            outcome = "taken after the signal"
        outcomes.append("none too early" if outcome == "none" and not sent.is_set() else outcome)
        i += 1


async def one_life(server, wants, wait, outcomes):
    sent, heard = asyncio.Event(), asyncio.Event()
    clients = [asyncio.ensure_future(client(server, i, wants, outcomes, sent, heard))
               for i in range(CLIENTS)]
    await asyncio.sleep(wait)
    sent.set()
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.3)
    heard.set()
    await asyncio.gather(*clients)


def main():
    options = arguments(__doc__, signals=(12, 100))
    checks = Checks()
    rnd = random.Random(options.seed)
    wants = [run_alone([{"role": "user", "content": words}], seed, 1, tokens, True)
             for words, seed, tokens in CASES]
    outcomes, ends, slowest = [], [], 0
    for _ in range(options.signals):
        with Server("--ctx", "2048", "--max-streams", "4", "--drain", "120") as server:
            asyncio.run(one_life(server, wants, 0.2 + 2 * rnd.random(), outcomes))
            begin = time.monotonic()
            ends.append(server.process.wait(60))
            slowest = max(slowest, time.monotonic() - begin)
    counts = {kind: outcomes.count(kind) for kind in ("whole", "refused", "none")}
    wrong = [o for o in outcomes if o not in counts]
    checks.check(counts["whole"] and not wrong, f"{options.signals} signals, {len(outcomes)} requests: "
                 f"{counts['whole']} whole, {counts['refused']} refused, {counts['none']} not taken, "
                 f"{len(wrong)} wrong")
    for outcome in wrong[:5]:
        print("       ", outcome)
    checks.check(not any(ends), f"{sum(e == 0 for e in ends)} of {len(ends)} ended with 0, the last "
                 f"{slowest:.2f} s after its last client")
    checks.end()


if __name__ == "__main__":
    main()
