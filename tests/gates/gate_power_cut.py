#!/usr/bin/env python3
"""Gate 9: whatever a power cut leaves of a cache directory, no bad entry is accepted.

What a cache does to its directory is written down, then states that a disk may hold after a power
cut at each moment are made of it (disk_states.py) and opened: most by a small model, some by a whole
server. In a part of them the disk has lied, and has not synced what it said it had.
"""

import os
import random
import re
import shutil
import subprocess
import tempfile
from collections import Counter

from disk import DRIVER, SCRATCH, ask, body, figure, read_log, run_request, shim, strangers
from disk_states import KINDS, Disk
from gate import Checks, Server, arguments

TALKS = 4  # that whole servers hear
BATCH = 40  # states on the disk at once
LYING = 0.35  # of all states


class Recording:
    """What was done to the folder of a cache."""

    def __init__(self, folder):
        self.cache = os.path.join(folder, "cache")
        self.log, self.data = os.path.join(folder, "log"), os.path.join(folder, "data")
        self.env = shim(self.cache, log=self.log, data=self.data)

    def end(self):
        self.calls = read_log(self.log)
        with open(self.data, "rb") as file:
            self.bytes = file.read()

    def state(self, folder, rnd):
        """One that a cut may leave: what is known of it."""
        kind = rnd.choice(list(KINDS))
        cut = rnd.randrange(1, len(self.calls) + 1)
        # Mostly at what changes something.
        while self.calls[cut - 1].name not in ("write", "fsync", "rename", "unlink") and rnd.random() < 0.8:
            cut = rnd.randrange(1, len(self.calls) + 1)
        lies = rnd.random() < LYING
        disk = Disk(self.cache, self.bytes, max(0, cut - rnd.randrange(1, 60)) if lies else None)
        for call in self.calls[:cut]:
            disk.do(call)
        disk.leave(folder, kind, rnd)
        return State(folder, f"{kind}{', lying' if lies else ''}, after {cut} of {len(self.calls)} calls",
                     disk, lies)

    def whole(self):
        """All of it, without a cut."""
        disk = Disk(self.cache, self.bytes)
        for call in self.calls:
            disk.do(call)
        return disk


class State:
    def __init__(self, folder, words, disk, lies):
        self.folder, self.words, self.lies = folder, words, lies
        self.safe = set(disk.safe(".prefix"))
        secret = os.path.join(folder, "secret")
        self.has_secret = not os.path.exists(secret) or os.path.getsize(secret) == 32


class Findings:
    """What the checks are about. disk: what a cache wrote."""

    def __init__(self, disk=None):
        self.written = disk.written if disk else {}
        self.counts = Counter()
        self.faults = [f"the next entry began before {name} was safe" for name in disk.late] if disk else []

    def blame(self, state, words):
        self.faults.append(f"{state.words}: {words}")

    def opened(self, state, files, bad, hits):
        self.counts.update(states=1, hits=hits, bad=bad, kept=files)
        self.counts["lying"] += state.lies
        if bad and not state.lies:
            self.blame(state, f"{bad} bad entries, though the disk told the truth")

    def refused(self, state, words):
        self.counts.update(states=1, refused=1, lying=state.lies)
        if not state.lies or state.has_secret:
            self.blame(state, f"refused: {words}")

    def look(self, state):
        """At what is there after everything was looked up: whole entries, and nothing else."""
        unknown = 0
        for name in os.listdir(state.folder):
            with open(os.path.join(state.folder, name), "rb") as file:
                content = file.read()
            if name.endswith(".prefix") and name not in self.written:
                unknown += 1
            elif name.endswith(".prefix") and content not in self.written[name]:
                self.blame(state, f"{name} stays, and was never written")
        if strangers(state.folder):
            self.blame(state, f"{strangers(state.folder)} stay")
        gone = [name for name in state.safe if not os.path.exists(os.path.join(state.folder, name))]
        if gone and not state.lies:
            self.blame(state, f"{len(gone)} synced entries are gone")
        return unknown

    def check(self, checks, words):
        c = self.counts
        checks.check(c["hits"] and 0 < c["lying"] < c["states"] and not self.faults,
                     f"{c['states']} states {words}, {c['lying']} of a disk that lies: {c['hits']} hits, "
                     f"{c['bad']} bad entries refused, {c['refused']} directories refused, {len(self.faults)} wrong")
        for fault in self.faults[:5]:
            print("       ", fault)


def by_driver(states, findings):
    """Opens each with the small model; what it did not come to has failed."""
    told = subprocess.run([DRIVER, "check"], input="".join(s.folder + "\n" for s in states),
                          capture_output=True, text=True)
    lines = told.stdout.splitlines()
    for state, line in zip(states, lines):
        if line.startswith("refused"):
            findings.refused(state, line)
            continue
        n = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}
        findings.opened(state, n["files"], n["bad"], n["hits"])
        if n["wrong"] or n["foreign"] or n["off"]:
            findings.blame(state, line)
        if findings.look(state) > 1:  # the one that is stored at the end
            findings.blame(state, "entries that were never written")
    if told.returncode or len(lines) != len(states):
        findings.blame(states[min(len(lines), len(states) - 1)],
                       f"status {told.returncode}: {told.stderr[-300:]}")


def record_driver(folder, rnd):
    recording = Recording(folder)
    subprocess.run([DRIVER, "live", recording.cache, "2", str(rnd.randrange(1 << 30))], check=True,
                   env={**os.environ, **recording.env}, capture_output=True)
    recording.end()
    return recording


def small_states(n, rnd, checks):
    faults, totals, kinds = [], Findings(), Counter()
    while n > 0:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            recording = record_driver(folder, rnd)
            findings = Findings(recording.whole())
            for _ in range(5):  # of one recording
                states = [recording.state(os.path.join(folder, f"state{i}"), rnd)
                          for i in range(min(n, BATCH))]
                n -= len(states)
                kinds.update(state.words.split(",")[0] for state in states)
                if states:
                    by_driver(states, findings)
                for state in states:
                    shutil.rmtree(state.folder)
            totals.counts.update(findings.counts)
            faults += findings.faults
    totals.faults = faults
    totals.check(checks, "opened by a small model")
    checks.check(totals.counts["bad"], "some of these had bad entries")
    print("        " + ", ".join(f"{name} {count}" for name, count in sorted(kinds.items())), flush=True)


def record_server(folder):
    recording = Recording(folder)
    for life in range(2):
        with Server(*flags(recording.cache), env=recording.env) as server:
            for i in range(TALKS - 1 + life):
                ask(server, body(i))
    recording.end()
    return recording


def flags(cache):
    return "--ctx", "2048", "--max-streams", "2", "--cache-dir", cache, "--cache-disk", "64M"


def server_states(n, rnd, checks):
    wants = [run_request(body(i)) for i in range(TALKS)]
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        recording = record_server(folder)
        findings = Findings(recording.whole())
        for i in range(n):
            state = recording.state(os.path.join(folder, f"state{i}"), rnd)
            try:
                with Server(*flags(state.folder)) as server:
                    files = len([f for f in os.listdir(state.folder) if f.endswith(".prefix")])
                    for talk, want in enumerate(wants):
                        status, got, _ = ask(server, body(talk))
                        if status != 200 or got != want:
                            findings.blame(state, f"status {status}: {got} instead of {want}")
                    findings.opened(state, files, int(figure(server, "prefix_cache_disk_bad_total")),
                                    int(figure(server, "prefix_cache_disk_loaded_total")))
                if server.process.returncode:
                    findings.blame(state, f"ended with {server.process.returncode}")
                if strangers(state.folder):
                    findings.blame(state, f"{strangers(state.folder)} stay")
            except Server.Refused as refused:
                findings.refused(state, refused.args)
            shutil.rmtree(state.folder)
        findings.check(checks, "opened by a server")


def main():
    options = arguments(__doc__, states=(200, 2500), servers=(10, 150))
    checks = Checks()
    rnd = random.Random(options.seed)
    small_states(options.states, rnd, checks)
    server_states(options.servers, rnd, checks)
    checks.end()


if __name__ == "__main__":
    main()
