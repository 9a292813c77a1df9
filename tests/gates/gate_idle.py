#!/usr/bin/env python3
"""Gate 13: thousands of idle connections cost little, and take nothing from those who work.

Connections that have had one answer and stay open, each asked again before the server would close
it. Memory for each, processor time of a canary's streams, and /health beside them.
"""

import asyncio
import statistics
import time

from gate import Canary, Checks, Connection, Others, Server, arguments, quantile

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
MEMORY = 16 << 10  # bytes for a connection
LOSS = 1.1         # processor time of the canary's streams with them over that without
HEALTH_MS = 100
AGAIN = 40         # seconds between two requests of a connection; the server closes after 60


async def ask(c):
    await c.send(HEALTH)
    got, _ = await c.read_all(30, one_reply=True)
    return got.startswith(b"HTTP/1.1 200")


async def open_all(server, n):
    """In groups: the queue of connections that are not accepted yet has an end."""
    clients = []
    for i in range(0, n, 200):
        some = await asyncio.gather(*(Connection.open(server) for _ in range(min(200, n - i))))
        await asyncio.gather(*(ask(c) for c in some))
        clients += some
    return clients


async def keep(clients, seconds):
    """Seconds of idleness; how many are still there at the end."""
    end = time.monotonic() + seconds
    alive = len(clients)
    while time.monotonic() < end:
        await asyncio.sleep(min(AGAIN, max(0, end - time.monotonic())))
        alive = sum(await asyncio.gather(*(ask(c) for c in clients)))
    return alive


def cost(server, canary, n):
    """Processor time of the server for one of the canary's streams."""
    begin = server.cpu()
    for i in range(n):
        canary.ask(i)
    return (server.cpu() - begin) / n


def health(server, n):
    times = []
    for _ in range(n):
        begin = time.monotonic()
        server.ask("GET", "/health")
        times.append(1e3 * (time.monotonic() - begin))
    return quantile(times, 0.99)


async def with_idle(server, canary, options, found):
    clients = await open_all(server, options.connections)
    found["memory"].append((server.rss() - found["rss"]) / options.connections)
    loop = asyncio.get_running_loop()
    kept = asyncio.ensure_future(keep(clients, options.seconds))
    found["with"].append(await loop.run_in_executor(None, cost, server, canary, options.streams))
    found["health"].append(await loop.run_in_executor(None, health, server, 100))
    found["alive"].append(await kept)
    for c in clients:
        c.close()


def main():
    options = arguments(__doc__, connections=(2000, 10000), seconds=(15, 600), streams=(30, 60))
    checks = Checks()
    found = {"with": [], "without": [], "health": [], "memory": [], "alive": []}
    with Server("--ctx", "2048", "--max-streams", "4", "--threads", "1",
                "--max-connections", str(options.connections + 100), checks=checks) as server:
        canary = Canary(server, 40)
        cost(server, canary, 3)
        fds, found["rss"] = server.fds(), server.rss()
        with Others(server) as others:
            for _ in range(2):
                found["without"].append(cost(server, canary, options.streams))
                asyncio.run(with_idle(server, canary, options, found))
                time.sleep(2)  # the closed ones are gone
        canary.check(checks, 4 * options.streams)
        checks.check(min(found["alive"]) == options.connections,
                     f"{options.connections} idle connections, {min(found['alive'])} still there after {options.seconds} s")
        checks.check(max(found["memory"]) <= MEMORY, f"{max(found['memory']):.0f} bytes for each")
        loss = statistics.mean(found["with"]) / statistics.mean(found["without"])
        checks.check(loss <= LOSS, f"the canary's streams take {loss:.3f} of the processor time that "
                     "they take alone")
        others.judge(checks, max(found["health"]) <= HEALTH_MS,
                     f"/health within {max(found['health']):.1f} ms (p99)")
        checks.check(server.fds() <= fds, f"{server.fds()} files afterwards, {fds} before")
    checks.end()


if __name__ == "__main__":
    main()
