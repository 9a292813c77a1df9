"""What the clients of `tenon serve` here share: a server, requests, checks and how they are told. Only the
standard library.

    CLIENT.py TENON MODEL
"""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

TENON, MODEL = sys.argv[1:3]
CHECKS = []
QUESTION = "Tom has 27 apples and buys 35 more. How many apples does Tom have now?"


def check(function):
    """One of the checks that main() runs."""
    CHECKS.append(function)
    return function


def wait_for(condition, seconds=60):
    """Until the condition holds; fails when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


class Server:
    def __init__(self, *options, model=(MODEL,)):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [TENON, "serve", *model, "--port", "0", *options], stdout=subprocess.PIPE,
            stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"https?://(.*):(\d+)$", line.strip())
        assert found, (line, self.said())
        self.host, self.port = found[1], int(found[2])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """Ends it. What it ended with is told unless something else went wrong already."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is None:
            assert self.process.returncode == 0, (self.process.returncode, self.said())

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def begin_stream(self, path="/chat/completions", body=None, key="none", **fields):
        """A socket on which a stream has begun."""
        body = body or json.dumps({"model": "deepseek-chat", "stream": True, "ignore_eos": True,
                                   "messages": [{"role": "user", "content": QUESTION}], **fields})
        s = socket.create_connection((self.host, self.port))
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
                  f"Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        head = b""
        while b"data: " not in head:
            got = s.recv(4096)
            assert got, head
            head += got
        return s, head

    def ask(self, method, path, body=None, **headers):
        c = http.client.HTTPConnection(self.host, self.port, timeout=120)
        text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        c.request(method, path, text, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = c.getresponse()
        data = answer.read()
        c.close()
        return answer, data

    def chat(self, path="/chat/completions", **fields):
        body = {"model": "deepseek-chat", "messages": [{"role": "user", "content": QUESTION}],
                "temperature": 0, **fields}
        answer, data = self.ask("POST", path, body)
        if body.get("stream"):
            return answer, data.decode()
        return answer, json.loads(data)


def events(text):
    """The data of each event; comments are left out. The last is [DONE]."""
    parts = [part for part in text.split("\n\n") if part and not part.startswith(":")]
    assert all(part.startswith("data: ") for part in parts), text
    assert parts[-1] == "data: [DONE]", text
    return [json.loads(part[6:]) for part in parts[:-1]]


def run_alone(messages, *options):
    """What `tenon run` says to the same messages."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(messages, file)
        file.flush()
        out = subprocess.run([TENON, "run", MODEL, "--messages", file.name, "--json", *options],
                             capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def run_request(body):
    """The choices of `tenon run --request` for the body."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(body, file)
        file.flush()
        out = subprocess.run([TENON, "run", MODEL, "--request", file.name, "--ctx", "2048"],
                             capture_output=True, text=True, check=True).stdout
    return json.loads(out)["choices"]


def ids_of(text):
    """Without BOS; added tokens in the text become their ids."""
    out = subprocess.run([TENON, "tokenize", MODEL], input=json.dumps({"text": text}) + "\n",
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out)["ids"]


def run(function, *arguments):
    """0, or 1 when it failed; a line for it."""
    try:
        function(*arguments)
        print(f"ok: {function.__name__.replace('_', ' ')}", flush=True)
        return 0
    except Exception as error:  # noqa: BLE001
        print(f"FAILED: {function.__name__}: {error!r}"[:2000].replace("\n", " "), flush=True)
        return 1


def main(*options, alone=()):
    """The checks, with one server of these options unless there are none; then those that begin their own."""
    failed = 0
    if options:
        def the_server_ends_well():
            nonlocal failed
            with Server(*options) as server:
                failed += sum(run(function, server) for function in CHECKS)
        failed += run(the_server_ends_well)
    else:
        failed += sum(run(function) for function in CHECKS)
    failed += sum(run(function) for function in alone)
    sys.exit(failed > 0)
