#!/usr/bin/env python3
"""Gate 15: ten times the load that the server can bear takes little of what it does.

Three rounds alternate: as many requests as fit and wait (the peak), then ten times as many as it then
answered, at random moments. `tenon bench serve` asks and counts; medians of the rounds. A good answer begins
within twice the longest wait at the peak. The prefix cache has a budget that the first peak fills.
"""

import json
import statistics
import subprocess

from gate import Canary, Checks, Others, Server, TENON, arguments

STREAMS, QUEUE, FACTOR = 8, 8, 10
SHARE, REFUSAL_MS, MORE_MEMORY = 0.9, 50, 64 << 20
REQUEST = ("--prompt", "16", "--answer", "32")


def load(server, seed, *options):
    out = subprocess.run([TENON, "bench", "serve", server.url, "--json", "--seed", str(seed),
                          *REQUEST, *options], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def main():
    options = arguments(__doc__, seconds=(8, 200))
    checks = Checks()
    shares, refusals, losses, told, tried = [], [], 0, 0, 0
    memory = []
    seconds = ("--seconds", str(options.seconds))
    with Server("--ctx", "2048", "--max-streams", str(STREAMS), "--max-queue", str(QUEUE),
                "--max-connections", "8192", "--cache-memory", "16M", checks=checks) as server:
        load(server, options.seed, "--seconds", "2", "--concurrency", str(STREAMS))
        canary = Canary(server)
        with canary, Others(server) as others:
            for i in range(3):
                peak = load(server, options.seed + i, *seconds, "--concurrency",
                            str(STREAMS + QUEUE - 1))
                memory.append(server.rss())
                limit = 2 * peak["ttft_ms"]["max"]
                rate = FACTOR * peak["requests_per_s"]
                over = load(server, options.seed + i, *seconds, "--rate", f"{rate:.2f}",
                            "--goodput-ttft", f"{limit:.0f}")
                memory.append(server.rss())
                shares.append(over["goodput_per_s"] / peak["requests_per_s"])
                counts = over["outcomes"]
                refused = over["statuses"].get("429", 0) + over["statuses"].get("503", 0)
                losses += sum(n for kind, n in counts.items() if kind not in ("whole", "refused"))
                losses += counts["refused"] - refused
                told += over["retry_after"] - refused
                tried += over["requests"]
                refusals.append(over["refusal_ms"]["p99"])
                print(f"        peak {peak['requests_per_s']:.1f}/s, offered {rate:.0f}/s: good "
                      f"{over['goodput_per_s']:.1f}/s, whole {counts['whole']}, refused {refused}, "
                      f"refusal p50 {over['refusal_ms']['p50']:.1f}, p99 "
                      f"{over['refusal_ms']['p99']:.1f} ms", flush=True)
        canary.check(checks)
        share, refusal = statistics.median(shares), statistics.median(refusals)
        others.judge(checks, share >= SHARE, f"goodput at {FACTOR} times the load: {100 * share:.0f} % of the peak")
        others.judge(checks, refusal <= REFUSAL_MS, f"refusals within {refusal:.1f} ms (p99)")
        checks.check(told == 0, "every refusal says when to come again")
        checks.check(losses == 0, f"{tried} requests: {losses} lost")
        checks.check(max(memory) <= memory[0] + MORE_MEMORY,
                     f"memory: {memory[0] >> 20} MiB at the first peak, {max(memory) >> 20} at most")
    checks.end()


if __name__ == "__main__":
    main()
