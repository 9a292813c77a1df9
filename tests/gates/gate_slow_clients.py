#!/usr/bin/env python3
"""Gate 14: slow clients are cut on time, and others are not affected.

Clients that send a head a byte at a time, bodies a byte at a time, or do not read what they asked
for. Meanwhile a canary.
"""

import asyncio
import socket
import time

from gate import Canary, Checks, Connection, Server, arguments, chat_bytes, quantile

HEADER = 10       # seconds for a head, and between looks at a body
SLACK = 8         # what a busy machine may add
STEP = 2          # seconds between two bytes
HEAD = b"POST /chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
BODY = b"POST /chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


async def drip(server, first, times):
    """Sends first, then a byte from time to time, until the server closes."""
    c = await Connection.open(server)
    begin = time.monotonic()
    await c.send(first)
    ended = asyncio.ensure_future(c.read_all(120))
    while not ended.done():
        try:
            await c.send(b"a")
        except OSError:
            break
        await asyncio.wait([ended], timeout=STEP)
    got, closed = await ended
    c.close()
    times.append((time.monotonic() - begin, closed, got[:12]))


async def refuse_to_read(server, times):
    """Asks for more than any buffer holds, and reads nothing until all others are done."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.setblocking(False)
    await asyncio.get_running_loop().sock_connect(s, (server.host, server.port))
    c = await Connection.open(server, sock=s)
    await c.send(chat_bytes(stream=True, ignore_eos=True, logprobs=True, top_logprobs=20,
                            max_tokens=100000))
    c.writer.transport.pause_reading()
    times.append(c)


async def drips(server, n, heads, bodies):
    await asyncio.gather(*(drip(server, HEAD, heads) for _ in range(n)),
                         *(drip(server, BODY, bodies) for _ in range(n)))


async def readers(server, n, cut):
    """They share few places, so later ones are refused or wait; none may hold its place for long."""
    clients = []
    await asyncio.gather(*(refuse_to_read(server, clients) for _ in range(n)))
    begin = time.monotonic()
    while server.said().count("does not read") < n and time.monotonic() - begin < 300 + 3 * n:
        await asyncio.sleep(0.2)
    cut.append(server.said().count("does not read"))
    for c in clients:
        c.close()


def main():
    options = arguments(__doc__, drips=(300, 2000), readers=(8, 1000))
    checks = Checks()
    heads, bodies, cut = [], [], []
    n = options.readers
    with Server("--ctx", "131072", "--max-streams", str(min(n, 64) + 2), "--max-queue", "2000",
                "--max-connections", str(2 * options.drips + n + 64), checks=checks) as server:
        with Canary(server) as canary:
            asyncio.run(drips(server, options.drips, heads, bodies))
        canary.check(checks, 3)
        for name, times in (("heads", heads), ("bodies", bodies)):
            late = [t for t in times if not t[1] or t[0] > HEADER + SLACK or t[0] < HEADER - 1]
            checks.check(len(times) == options.drips and not late,
                         f"{len(times)} slow {name}: cut after {quantile([t[0] for t in times], 0.5):.1f} s, "
                         f"at most {max(t[0] for t in times):.1f} s; {len(late)} not on time")
            checks.check(all(t[2][9:12] == b"408" for t in times), f"slow {name} are told 408")
        with Canary(server) as canary:
            asyncio.run(readers(server, n, cut))
        canary.check(checks, 1)
        checks.check(cut[0] >= n, f"{n} that do not read: {cut[0]} cut")
        begin = time.monotonic()
        status, _ = server.chat(max_tokens=3)
        checks.check(status == 200, f"another is answered then, after {time.monotonic() - begin:.2f} s")
    checks.end()


if __name__ == "__main__":
    main()
