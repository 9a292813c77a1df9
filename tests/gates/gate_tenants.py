#!/usr/bin/env python3
"""Gate 11: the time to the first token does not tell a tenant what another one sent.

Tenant A sends a text; then B sends that one and one that nobody sent, in an order drawn anew each time, and then
its own text again. Were A's of use to B, its times would tell: their ranks (AUC) or their distribution
(Kolmogorov-Smirnov) would differ. Those of its own text must, which shows that a difference would be
seen. The same for forms of answers, which are compiled and kept.

Since the order is random, noise of the machine falls on both sides alike and cannot make a difference: the
comparison is judged however busy the machine is. It can only hide one, so the control is judged when it is quiet.
"""

import http.client
import json
import math
import os
import random
import statistics
import subprocess
import tempfile
import time

from gate import TENON, Checks, Others, Server, arguments

P_LEAST, AUC_MOST, AUC_CONTROL = 0.01, 0.55, 0.9
SIGMAS = 2.33  # one in a hundred is further out on one side
WORDS = "apple seven sum of the and then Tom Ann buys sells 14 27 35 minus plus left each when gives".split()


# --- statistics ---

def auc(a, b):
    """The chance that one of b is above one of a; ties count half."""
    order = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    total, i = 0.0, 0
    while i < len(order):
        j = i
        while j < len(order) and order[j][0] == order[i][0]:
            j += 1
        total += (i + j + 1) / 2 * sum(side for _, side in order[i:j])
        i = j
    return (total - len(b) * (len(b) + 1) / 2) / (len(a) * len(b))


def auc_error(n, m):
    """Its standard error where both are the same."""
    return math.sqrt((n + m + 1) / (12 * n * m))


def ks(a, b):
    """The chance of distributions that differ at least so much, where both are the same (asymptotic)."""
    order = sorted([(x, 1 / len(a)) for x in a] + [(x, -1 / len(b)) for x in b])
    gap, most = 0.0, 0.0
    for i, (x, step) in enumerate(order):
        gap += step
        if i + 1 == len(order) or order[i + 1][0] != x:
            most = max(most, abs(gap))
    root = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    z = (root + 0.12 + 0.11 / root) * most
    if z < 0.2:
        return 1.0
    return max(0.0, min(1.0, 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * z * z) for k in range(1, 101))))


def check_statistics(checks):
    """That these tell what is the same from what is not."""
    rnd = random.Random(7)
    same = [[rnd.gauss(0, 1) for _ in range(500)] for _ in range(2)]
    other = [rnd.gauss(0.5, 1) for _ in range(500)]  # AUC 0.638
    checks.check(auc([1, 2], [3, 4]) == 1 and auc([1, 1], [1, 1]) == 0.5 and auc([1, 3], [2, 4]) == 0.75
                 and abs(auc(same[0], other) - 0.638) < 0.05 and abs(auc(*same) - 0.5) < 0.05
                 and ks(*same) > P_LEAST and ks(same[0], other) < 1e-6,
                 f"of made numbers: AUC {auc(*same):.3f} and {auc(same[0], other):.3f}, "
                 f"p {ks(*same):.2f} and {ks(same[0], other):.1e}")


# --- probes ---

class Tenant:
    def __init__(self, server, key):
        self.server = server
        self.headers = {"Authorization": f"Bearer {key}"}

    def probe(self, body):
        """Milliseconds to an answer of one token, and how many tokens of the prompt were there."""
        text = json.dumps({"model": "deepseek-chat", "max_tokens": 1, "temperature": 0,
                           "thinking": {"type": "disabled"}, **body})
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=600)
        connection.connect()
        begin = time.monotonic()
        connection.request("POST", "/chat/completions", text, self.headers)
        answer = connection.getresponse()
        data = answer.read()
        end = time.monotonic()
        connection.close()
        assert answer.status == 200, data
        return (end - begin) * 1e3, json.loads(data)["usage"]["prompt_cache_hit_tokens"]


def a_text(rnd):
    words = " ".join(rnd.choice(WORDS) for _ in range(100))
    return {"messages": [{"role": "user", "content": words}]}


def a_form(rnd):
    """One that takes some milliseconds to compile, of an answer to a question that is too short for the prefix
    cache."""
    names = [f"{rnd.randrange(1 << 60):x}" for _ in range(50)]
    return {"messages": [{"role": "user", "content": "?"}], "guided_json": {
        "type": "object", "required": names, "properties": {
            name: {"type": "string", "maxLength": rnd.randint(1800, 2600)} for name in names}}}


class Times:
    def __init__(self):
        self.sent, self.fresh, self.again, self.found = [], [], [], 0

    def round(self, rnd, alice, bob, make):
        sent, fresh = make(rnd), make(rnd)
        alice.probe(sent)
        both = [(sent, self.sent), (fresh, self.fresh)]
        rnd.shuffle(both)
        for body, times in both:
            ms, found = bob.probe(body)
            times.append(ms)
            self.found += found
        self.again.append(bob.probe(sent)[0])

    def tell(self, name):
        """Whether there is no difference, and a line."""
        n = len(self.sent)
        value, p = auc(self.sent, self.fresh), ks(self.sent, self.fresh)
        most = max(AUC_MOST, 0.5 + SIGMAS * auc_error(n, n))
        good = p >= P_LEAST and max(value, 1 - value) <= most
        return good, (f"{name}: {2 * n} probes of another tenant's, AUC {value:.3f} (at most {most:.3f}), p {p:.3f}; "
                      f"medians {statistics.median(self.sent):.1f} ms sent, {statistics.median(self.fresh):.1f} not, "
                      f"{statistics.median(self.again):.1f} its own")


def measure(checks, server, rnd, tenants, name, make, rounds):
    """A difference counts when a second set of probes, all new, shows one, too."""
    found = 0
    for _ in range(2):
        times = Times()
        with Others(server) as others:
            for _ in range(rounds):
                times.round(rnd, *tenants, make)
        good, line = times.tell(name)
        found += times.found
        if good:
            break
        print(f"        once more: {line}", flush=True)
    checks.check(good, line)
    checks.check(found == 0, f"{name}: {found} tokens of the prompts came from the cache")
    value = auc(times.again, times.fresh)
    words = f"{name}: AUC {value:.3f} of its own, sent before, and others"
    if value >= AUC_CONTROL:
        checks.check(True, words)
    else:
        others.judge(checks, False, words)


def main():
    options = arguments(__doc__, probes=(150, 1000))
    checks = Checks()
    check_statistics(checks)
    rnd = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "keys")
        keys = [subprocess.run([TENON, "key", "new", name, "-f", file], capture_output=True, text=True,
                               check=True).stdout.strip() for name in ("alice", "bob")]
        with Server("--ctx", "2048", "--max-streams", "4", "--cache-memory", "64M", "--keys", file,
                    checks=checks) as server:
            tenants = [Tenant(server, key) for key in keys]
            for tenant in tenants:  # so that no first request is among the times
                tenant.probe(a_text(rnd))
                tenant.probe(a_form(rnd))
            rounds = (options.probes + 1) // 2
            measure(checks, server, rnd, tenants, "prefixes", a_text, rounds)
            measure(checks, server, rnd, tenants, "forms", a_form, rounds)
    checks.end()


if __name__ == "__main__":
    main()
