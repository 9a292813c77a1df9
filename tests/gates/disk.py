"""What the gates of the disk share: the shim between a program and its files, what it wrote down, requests and
what `tenon run --request` says to them, a directory without what does not belong there."""

import json
import os
import re
import subprocess
import tempfile

from gate import MODEL, TENON

BUILD = os.environ.get("BUILD", "build")
SHIM = os.path.join(BUILD, "tests/gates/disk_shim.so")
DRIVER = os.path.join(BUILD, "tests/gates/disk_driver")
# Thousands of directories: not on a real disk where there is another place.
SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None


def shim(*files, log, data=None, fault=None):
    """The environment in which a program has the shim before these files."""
    env = {"LD_PRELOAD": os.path.abspath(SHIM), "GATE_FILES": ":".join(files), "GATE_LOG": log,
           "ASAN_OPTIONS": "verify_asan_link_order=0"}
    if data:
        env["GATE_DATA"] = data
    if fault:
        env["GATE_FAULT"] = fault
    return env


class Call:
    """A line of the shim's log."""

    def __init__(self, line):
        self.name, fd, result, arg, can, fault, self.path, *more = line.split(" ")
        self.fd, self.result, self.arg = int(fd), int(result), int(arg)
        self.can = can.split("+") if can != "-" else []
        self.fault = fault if fault != "-" else None
        self.to = more[0] if more else None


def read_log(path):
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [Call(line.rstrip("\n")) for line in file]


def body(i, tokens=3):
    """A request of which the beginning is like that of no other one."""
    return {"model": "deepseek-chat", "temperature": 1, "seed": i, "max_tokens": tokens,
            "messages": [{"role": "system", "content": f"{i} is the number of this talk. You add and say the sum."},
                         {"role": "user", "content": f"What is {i} + {3 * i + 2}?"}]}


def judged(answer):
    """Of an answer, what must not change."""
    return answer["choices"], answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]


def run_request(request):
    """What `tenon run --request` says to the same body."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(request, file)
        file.flush()
        return judged(json.loads(subprocess.run([TENON, "run", MODEL, "--request", file.name],
                                                capture_output=True, text=True, check=True).stdout))


def ask(server, request, key=None):
    """Status, what must not change, tokens from the cache. Fails where there is no answer."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    status, _, data = server.ask("POST", "/chat/completions", request, **headers)
    if status != 200:
        return status, data, 0
    answer = json.loads(data)
    return status, judged(answer), answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def figure(server, name):
    """One of /metrics."""
    _, _, data = server.ask("GET", "/metrics")
    return float(re.search(rf"^tenon:{name}(?:{{[^}}]*}})? (\S+)$", data.decode(), re.M)[1])


def strangers(folder):
    """What is in a cache directory and is neither an entry nor the cache's own."""
    return [name for name in os.listdir(folder)
            if not re.fullmatch(r"lock|secret|[0-9a-f]{64}\.prefix", name)]


def make_keys(path, *names):
    """A file of keys: the keys by name."""
    return {name: subprocess.run([TENON, "key", "new", name, "-f", path], capture_output=True, text=True,
                                 check=True).stdout.strip() for name in names}
