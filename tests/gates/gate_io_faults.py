#!/usr/bin/env python3
"""Gate 6: whatever call for a file fails, nothing crashes and no wrong byte is served.

The calls for the files of a cache, the audit log, the keys and the configuration are counted, then
each fails in a run of its own: with EIO, ENOSPC, EINTR, EMFILE, short, or short and then ENOSPC; once, or from then
on. A small model runs the cache alone, `tenon serve` everything, `tenon key` the keys. The short form
takes some of the calls at random.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
from collections import Counter

from disk import DRIVER, SCRATCH, ask, body, figure, make_keys, read_log, run_request, shim, strangers
from gate import TENON, Checks, Server, arguments

SAYS = {"EIO": "Input/output error", "ENOSPC": "No space left on device", "full": "No space left on device",
        "EMFILE": "Too many open files"}
# Of what nobody has to be told: nothing is lost by it.
QUIET = {"close", "futimens"}
TALKS = 3


def faults_of(calls, n, rnd):
    """Each fault that some call can have, as the shim wants it told; n: some of them, as many of each kind of call."""
    count, by_call = Counter(), {}
    for call in calls:
        for kind in call.can:
            count[kind] += 1
            faults = by_call.setdefault((kind, call.name), [])
            faults += [f"{kind}:{count[kind]}:{mode}" for mode in ("once", "on")]
    if n is None:
        return [fault for faults in by_call.values() for fault in faults]
    chosen = []
    while len(chosen) < n and any(by_call.values()):
        for faults in rnd.sample(list(by_call.values()), len(by_call)):
            if faults and len(chosen) < n:
                chosen.append(faults.pop(rnd.randrange(len(faults))))
    return chosen


class Findings:
    def __init__(self):
        self.counts, self.faults = Counter(), []

    def blame(self, fault, words):
        """Told at once: a full form takes hours."""
        self.faults.append(fault)
        print(f"        {fault}: {words}", flush=True)

    def struck(self, fault, calls, said):
        """What the fault has hit, and whether what was said tells of it."""
        hit = [call for call in calls if call.fault]
        self.counts["hit"] += len(hit)
        self.counts["unhit"] += not hit
        words = SAYS.get(fault.partition(":")[0])
        loud = [call for call in hit if call.result <= 0 and call.name not in QUIET
                and not is_miss(call)]
        if words and loud and words not in said:
            self.blame(fault, f"{loud[0].name} {os.path.basename(loud[0].path)} fails, nothing is said: {said[-300:]}")

    def check(self, checks, words):
        c = self.counts
        checks.check(c["hit"] and not self.faults, f"{words}: {c['runs']} runs, {c['hit']} calls failed, "
                     f"{c['refused']} did not begin, {c['hits']} hits, {len(self.faults)} wrong")


def is_miss(call):
    """An entry that cannot be opened for want of descriptors is a miss, and one that cannot be written stays in memory."""
    return call.fault == "EMFILE" and re.search(r"[0-9a-f]{64}\.(prefix|part)$", call.path)


# --- the cache alone ---


def run_driver(folder, name, fault=None):
    """Two lives of a cache, then a look without faults: what the shim saw, what it said, the lines, the status."""
    cache, log = os.path.join(folder, name), os.path.join(folder, name + ".log")
    told = subprocess.run([DRIVER, "live", cache, "2", "7"], capture_output=True, text=True, timeout=600,
                          env={**os.environ, **shim(cache, log=log, fault=fault)})
    return read_log(log), told.stdout + told.stderr, told.stdout.splitlines(), told.returncode


def look_after(folder, names, findings):
    """Without faults all of these can be opened, and have nothing bad."""
    told = subprocess.run([DRIVER, "check"], capture_output=True, text=True,
                          input="".join(os.path.join(folder, name) + "\n" for name in names))
    lines = told.stdout.splitlines()
    if told.returncode or len(lines) != len(names):
        findings.blame("afterwards", f"status {told.returncode}, {len(lines)} of {len(names)}: {told.stderr[-300:]}")
    for fault, line in zip(names, lines):
        findings.counts["kept"] += int(re.search(r"files=(\d+)|$", line)[1] or 0)
        if not re.search(r" wrong=0 foreign=0 bad=0 off=0$", line):
            findings.blame(fault, f"afterwards {line}")
        if strangers(os.path.join(folder, fault)):
            findings.blame(fault, f"{strangers(os.path.join(folder, fault))} stay")


def cache_alone(n, rnd, checks):
    findings = Findings()
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        calls, *_ = run_driver(folder, "none")
        faults = faults_of(calls, n, rnd)
        for begin in range(0, len(faults), 20):
            some = faults[begin:begin + 20]
            for fault in some:
                seen, said, lines, status = run_driver(folder, fault, fault)
                findings.counts["runs"] += 1
                findings.struck(fault, seen, said)
                if status or len(lines) != 2:
                    findings.blame(fault, f"status {status}: {said[-300:]}")
                for line in lines:
                    findings.counts["refused"] += line.startswith("refused: ")
                    findings.counts["hits"] += int(re.search(r"hits=(\d+)|$", line)[1] or 0)
                    if not re.match(r"refused: .|.* wrong=0 foreign=0 bad=0 ", line):
                        findings.blame(fault, line)
            some = [fault for fault in some if os.path.isdir(os.path.join(folder, fault))]
            look_after(folder, some, findings)
            for fault in some:
                shutil.rmtree(os.path.join(folder, fault))
    findings.check(checks, f"the cache alone, {len(calls)} calls")


# --- a server ---


class World:
    """The files of a server."""

    def __init__(self, folder):
        self.folder = folder
        self.path = {name: os.path.join(folder, name) for name in ("cache", "keys", "audit", "config", "log", "kept")}
        self.keys = make_keys(self.path["keys"], "ann", "bob")
        with open(self.path["config"], "w") as file:
            file.write(f"ctx = 2048\nmax-streams = 2\ncache-dir = {self.path['cache']}\ncache-disk = 2M\n"
                       f"keys = {self.path['keys']}\naudit-log = {self.path['audit']}\n")
        self.wants = [run_request(body(i)) for i in range(TALKS)]

    def clear(self, is_fresh):
        """A directory that is not there, or that has entries already."""
        for name in ("cache", "audit", "log"):
            path = self.path[name]
            shutil.rmtree(path, ignore_errors=True)
            if os.path.isfile(path):
                os.unlink(path)
        if not is_fresh:
            shutil.copytree(self.path["kept"], self.path["cache"])

    def begin(self, fault):
        watched = [self.path[name] for name in ("cache", "keys", "audit", "config")]
        return Server("--config", self.path["config"], env=shim(*watched, log=self.path["log"], fault=fault))


def live(world, fault, findings):
    """One life of a server: what it said."""
    n = hits = 0
    with world.begin(fault) as server:
        for hang_up in range(2):
            for i, name in enumerate(("ann", "bob", "ann")):
                status, got, cached = ask(server, body(i), world.keys[name])
                n += 1
                hits += cached > 0
                if status != 200 or got != world.wants[i]:
                    findings.blame(fault, f"status {status}: {got} instead of {world.wants[i]}")
            if not hang_up:
                server.process.send_signal(signal.SIGHUP)
        lost = figure(server, "audit_lost_total")
        hits_of_disk = figure(server, "prefix_cache_disk_loaded_total")
        bad = figure(server, "prefix_cache_disk_bad_total")
    said = server.said()
    findings.counts["hits"] += int(hits_of_disk)
    if server.process.returncode:
        findings.blame(fault, f"ended with {server.process.returncode}: {said[-300:]}")
    if bad:
        findings.blame(fault, f"{bad} bad entries")
    look_at_audit(world.path["audit"], n, lost, said, fault, findings)
    return said


def look_at_audit(path, n, lost, said, fault, findings):
    """A whole line for each request, or it says that some are lost."""
    with open(path) as file:
        text = file.read()
    try:
        lines = [json.loads(line) for line in text.splitlines()]
    except ValueError as error:
        findings.blame(fault, f"audit log: {error}: {text[-300:]}")
        return
    if (text and not text.endswith("\n")) or len(lines) > n or (len(lines) < n and "lines are lost" not in said):
        findings.blame(fault, f"audit log: {len(lines)} lines of {n}, {lost} lost")


def one_life(world, is_fresh, fault, findings):
    world.clear(is_fresh)
    try:
        said = live(world, fault, findings)
    except Server.Refused as refused:
        status, said = refused.args
        findings.counts["refused"] += 1
        if status != 1 or not said.strip():
            findings.blame(fault, f"it did not begin: status {status}: {said}")
    except OSError as error:
        findings.blame(fault, f"no answer: {error!r}")
        said = ""
    calls = read_log(world.path["log"])
    if fault:
        findings.counts["runs"] += 1
        findings.struck(fault, calls, said)
    return calls


def whole_server(n, rnd, checks):
    for is_fresh in (True, False):
        findings = Findings()
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            world = World(folder)
            one_life(world, True, None, findings)
            shutil.copytree(world.path["cache"], world.path["kept"])
            calls = one_life(world, is_fresh, None, findings)
            for fault in faults_of(calls, n and n // 2, rnd):
                one_life(world, is_fresh, fault, findings)
        findings.check(checks, f"a server on {'no' if is_fresh else 'a'} cache directory, {len(calls)} calls")


# --- tenon key ---


def run_key(folder, fault):
    """Adds a key to a file: what the shim saw, what it said, the status."""
    path, log = os.path.join(folder, "keys"), os.path.join(folder, "log")
    if os.path.exists(log):
        os.unlink(log)
    told = subprocess.run([TENON, "key", "new", "carol", "-f", path], capture_output=True, text=True,
                          env={**os.environ, **shim(folder, log=log, fault=fault)})
    return read_log(log), told.stderr, told.returncode


def keys_file(n, rnd, checks):
    """The file is the old one or the new one; what it says is what is so."""
    findings = Findings()
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder, tempfile.TemporaryDirectory(dir=SCRATCH) as kept:
        path, old = os.path.join(folder, "keys"), os.path.join(kept, "keys")
        make_keys(old, "ann", "bob")
        with open(old) as file:
            before = file.read()
        shutil.copy(old, path)
        calls, _, _ = run_key(folder, None)
        for fault in faults_of(calls, n, rnd):
            shutil.copy(old, path)
            seen, said, status = run_key(folder, fault)
            findings.counts["runs"] += 1
            findings.counts["refused"] += status == 1
            findings.struck(fault, seen, said)
            with open(path) as file:
                after = file.read()
            is_new = re.fullmatch(re.escape(before) + "carol [0-9a-f]{64}\n", after) is not None
            # Where only the folder could not be synced the new one is there already.
            fine = (0, 1) if is_new else (1,) if after == before else ()
            if status not in fine:
                findings.blame(fault, f"status {status}, {said}: {after}")
            stay = [name for name in os.listdir(folder) if name not in ("keys", "log")]
            if stay and not any(call.fault and call.name == "unlink" for call in seen):
                findings.blame(fault, f"{stay} stay")
            for name in stay:
                os.unlink(os.path.join(folder, name))
    findings.check(checks, f"tenon key, {len(calls)} calls")


def main():
    options = arguments(__doc__, cache=(40, -1), server=(20, -1), keys=(20, -1))
    checks = Checks()
    rnd = random.Random(options.seed)
    for part, n in ((cache_alone, options.cache), (whole_server, options.server), (keys_file, options.keys)):
        part(None if n < 0 else n, rnd, checks)
    checks.end()


if __name__ == "__main__":
    main()
