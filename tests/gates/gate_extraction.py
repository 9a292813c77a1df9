#!/usr/bin/env python3
"""Gate 23: what a client can learn of the model's numbers.

A bias must not show in log-probabilities: with and without it they are identical, or the request is
refused. So a bias cannot be used to read the whole distribution, one token after another: an attack
that tries finds no more numbers than it was given. And no more than 20 of a position are given.
"""

import random

from gate import Canary, Checks, Server, arguments

POSITIONS = 12


def picks(server, **fields):
    """Status and, for each position, the token drawn and its listed log-probabilities."""
    status, answer = server.chat(logprobs=True, top_logprobs=20, temperature=0, max_tokens=POSITIONS,
                                 thinking={"type": "enabled"}, **fields)
    if status != 200:
        return status, answer["error"]["message"]
    content = answer["choices"][0]["logprobs"]
    listed = content["reasoning_content"] + content["content"]
    return status, [(t["token"], {x["token"]: x["logprob"] for x in t["top_logprobs"] + [t]})
                    for t in listed]


def same_beginning(plain, biased):
    """Positions up to the first token that the bias changed, that one included: so far the text before is the same,
    so the numbers must be."""
    for i, (a, b) in enumerate(zip(plain, biased)):
        if a[1] != b[1]:
            return f"position {i}: {a[1]} and {b[1]}"
        if a[0] != b[0]:
            break
    return None


def attack(server, rnd, tries):
    """Lifts one random token after another to the top; how many log-probabilities of the first position it sees
    beyond the 20 that every client is given."""
    _, plain = picks(server)
    seen = dict(plain[0][1])
    differing = refused = 0
    for _ in range(tries):
        status, got = picks(server, logit_bias={str(rnd.randrange(3, 4000)): 100})
        if status != 200:
            refused += 1
            continue
        differing += any(seen.get(token, value) != value for token, value in got[0][1].items())
        seen.update(got[0][1])
    return len(seen) - len(plain[0][1]), differing, refused


def main():
    options = arguments(__doc__, tries=(40, 1000))
    checks = Checks()
    rnd = random.Random(options.seed)
    wrong = []
    with Server("--ctx", "2048", "--max-streams", "4", checks=checks) as server:
        with Canary(server) as canary:
            _, plain = picks(server)
            for _ in range(options.tries // 4):
                bias = {str(rnd.randrange(3, 4000)): rnd.choice((-100, -1, 0.5, 5, 100))
                        for _ in range(rnd.randint(1, 50))}
                status, biased = picks(server, logit_bias=bias)
                wrong.append(same_beginning(plain, biased) if status == 200
                             else None if 400 <= status < 500 else status)
            more, differing, refused = attack(server, rnd, options.tries)
        canary.check(checks)
        bad = [w for w in wrong if w]
        checks.check(len(plain) == POSITIONS and not bad, f"{len(wrong)} biases: log-probabilities "
                     f"of {len(bad)} differ or fail")
        for line in bad[:5]:
            print("       ", line)
        checks.check(more == 0 and not differing, f"{options.tries} lifted tokens: {more} numbers more than given, "
                     f"{differing} changed, {refused} refused")
        status, _ = server.chat(logprobs=True, top_logprobs=21)
        checks.check(400 <= status < 500, f"21 of a position: {status}")
        checks.check(server.chat(max_tokens=2)[1]["choices"][0]["logprobs"] is None, "none unless asked for")
    checks.end()


if __name__ == "__main__":
    main()
