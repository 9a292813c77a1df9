"""Asks a running `tenon serve` the same beginnings again: what of them comes from the prefix cache, and that
answers are those without. Only the standard library.

    cache_client.py TENON MODEL
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

TENON, MODEL = sys.argv[1:3]
SYSTEM = "You add and subtract. You say the number and nothing else. " * 12


class Server:
    def __init__(self, *options):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [TENON, "serve", MODEL, "--port", "0", "--ctx", "8192", "--max-streams", "4", *options],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://(.*):(\d+)$", line.strip())
        assert found, (line, self.said())
        self.host, self.port = found[1], int(found[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=300)
        assert self.process.returncode == 0, (self.process.returncode, self.said())

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def post(self, path, body, key=None):
        c = http.client.HTTPConnection(self.host, self.port, timeout=600)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        c.request("POST", path, json.dumps(body), headers)
        answer = c.getresponse()
        data = json.loads(answer.read())
        c.close()
        assert answer.status == 200, data
        return data

    def ask(self, messages, key=None, **fields):
        """What the message says, and how many tokens of the prompt were there already."""
        body = {"model": "deepseek-chat", "messages": messages, "temperature": 1, "seed": 3,
                "max_tokens": 24, **fields}
        data = self.post("/chat/completions", body, key)
        usage = data["usage"]
        hit = usage["prompt_cache_hit_tokens"]
        assert usage["prompt_tokens"] == hit + usage["prompt_cache_miss_tokens"], usage
        assert usage["prompt_tokens_details"]["cached_tokens"] == hit, usage
        return data["choices"][0]["message"], hit, usage["prompt_tokens"]


def talk(question, system=SYSTEM):
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def the_second_request_is_a_hit(server):
    cold, hit, n = server.ask(talk("1 + 2?"))
    assert hit == 0
    warm, hit, _ = server.ask(talk("1 + 2?"))
    assert hit == n - 1 and warm == cold, (hit, n)


def the_other_endpoints_share_it(server):
    """What chat left there is a hit for the same prompt in another dialect; raw text has its own."""
    _, _, n = server.ask(talk("3 + 4?"))
    got = server.post("/v1/messages", {"model": "claude", "max_tokens": 4, "system": SYSTEM,
                                       "thinking": {"type": "disabled"},
                                       "messages": [{"role": "user", "content": "3 + 4?"}]})
    assert got["usage"]["cache_read_input_tokens"] == n - 1, (got, n)
    assert got["usage"]["input_tokens"] == 1
    got = server.post("/responses", {"model": "deepseek-chat", "max_output_tokens": 4, "input": "3 + 4?",
                                     "instructions": SYSTEM})
    assert got["usage"]["input_tokens_details"]["cached_tokens"] == n - 1, (got, n)
    raw = {"model": "deepseek-chat", "prompt": SYSTEM, "max_tokens": 4, "temperature": 0}
    cold = server.post("/completions", raw)
    assert cold["usage"]["prompt_cache_hit_tokens"] == 0
    other = server.post("/completions", {**raw, "user": "another"})
    assert other["usage"]["prompt_cache_hit_tokens"] == 0
    warm = server.post("/completions", raw)
    assert warm["usage"]["prompt_cache_miss_tokens"] == 1
    assert warm["choices"] == cold["choices"] == other["choices"]
    told = server.post("/completions", {**raw, "echo": True, "logprobs": 0, "max_tokens": 0})
    assert told["usage"]["prompt_cache_hit_tokens"] == 0  # each of its tokens is to be told of


def another_question_shares_the_system_text(server):
    alone, _, _ = server.ask(talk("40 - 7?"), cache_prompt=False)
    server.ask(talk("1 + 2?"))
    first, hit, n = server.ask(talk("40 - 7?"))
    assert 0 < hit < n - 1, (hit, n)
    assert first == alone


def turns_go_on_where_they_ended(server):
    for thinking in ("disabled", "enabled"):
        messages, fields = talk(f"5 + 5? ({thinking})"), {"thinking": {"type": thinking}}
        before = 0
        for question in ("And 3 more?", "And 9 less?", "Twice that?"):
            message, hit, n = server.ask(messages, **fields)
            assert message == server.ask(messages, cache_prompt=False, **fields)[0]
            assert hit >= before, (hit, before)
            before = n - 1
            messages += [{"role": "assistant", "content": message["content"]},
                         {"role": "user", "content": question}]
        assert server.ask(messages, **fields)[1] >= before


def a_long_prompt_is_kept_in_parts(server):
    text = "".join(f"Line {i} of the report says {i * 7}. " for i in range(150))
    server.ask(talk(text + "Sum?", "short"))
    _, hit, n = server.ask(talk(text + "Largest?", "short"))
    assert hit % 512 == 0 and n - 600 < hit < n, (hit, n)


def users_and_salts_share_nothing(server):
    question = talk("6 + 6?")
    for one, other in (({"user_id": "a"}, {"user_id": "b"}), ({"cache_salt": "a"}, {"cache_salt": "b"}),
                       ({"user": "c"}, {}), ({"user": "d"}, {"user": "d", "cache_salt": "d"})):
        server.ask(question, **one)
        assert server.ask(question, **one)[1] > 0
        hit = server.ask(question, **other)[1]
        if other:
            assert hit == 0, (one, other, hit)


def cache_prompt_false_leaves_nothing(server):
    question = talk("What is 70 + 8?", "Without a trace. " * 20)
    for _ in range(2):
        assert server.ask(question, cache_prompt=False)[1] == 0
    assert server.ask(question)[1] == 0
    assert server.ask(question)[1] > 0


def choices_share_the_prompt(server):
    question = talk("8 + 8?", "Choices. " * 30)
    first = server.ask(question, n=3)
    again = server.ask(question, n=3)
    assert first[1] == 0 and again[1] == again[2] - 1, (first, again)
    assert first[0] == again[0]


def a_restart_finds_it_again():
    question = talk("17 + 4?")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "cache")
        options = ("--cache-dir", path, "--cache-disk", "64M")
        with Server(*options) as server:
            cold, hit, n = server.ask(question)
            assert hit == 0
        with Server(*options) as server:
            assert server.ask(question, user="other")[1] == 0
            warm, hit, _ = server.ask(question)
            assert hit == n - 1 and warm == cold, (hit, n)
            failed = subprocess.run([TENON, "serve", MODEL, "--port", "0", *options],
                                    capture_output=True, text=True)
            assert failed.returncode == 1 and "another process" in failed.stderr, failed
            assert len([f for f in os.listdir(path) if f.endswith(".prefix")]) >= 2
        for name in os.listdir(path):
            assert os.stat(os.path.join(path, name)).st_mode & 0o777 == 0o600, name
            if name.endswith(".prefix"):
                with open(os.path.join(path, name), "r+b") as file:
                    file.seek(3000)
                    file.write(b"!" * 50)
        with Server(*options) as server:
            again, hit, _ = server.ask(question)
            assert hit == 0 and again == cold, hit
            assert "bad entry" in server.said()
            assert server.ask(question)[1] == n - 1


def a_key_finds_it_again_at_another_place_of_the_file():
    question = talk("30 - 4?")
    with tempfile.TemporaryDirectory() as folder:
        keys = os.path.join(folder, "keys")
        options = ("--cache-dir", os.path.join(folder, "cache"), "--cache-disk", "64M", "--keys", keys)

        def change(*arguments):
            return subprocess.run([TENON, "key", *arguments, "-f", keys], capture_output=True,
                                  text=True, check=True).stdout.strip()

        change("new", "ann")
        bob = change("new", "bob")
        with Server(*options) as server:
            cold, hit, n = server.ask(question, bob)
            assert hit == 0, hit
        change("remove", "ann")
        carol = change("new", "carol")
        with Server(*options) as server:
            assert server.ask(question, carol)[1] == 0
            warm, hit, _ = server.ask(question, bob)
            assert hit == n - 1 and warm == cold, (hit, n)


def without_a_cache_nothing_is_kept():
    with Server("--cache-memory", "0") as server:
        for _ in range(2):
            assert server.ask(talk("2 + 2?"))[1] == 0


def main():
    failed = 0

    def run(function, *arguments):
        nonlocal failed
        try:
            function(*arguments)
            print(f"ok: {function.__name__.replace('_', ' ')}")
        except Exception as error:  # noqa: BLE001
            failed += 1
            print(f"FAILED: {function.__name__}: {error!r}")

    with Server("--cache-every", "512") as server:
        for function in (the_second_request_is_a_hit, the_other_endpoints_share_it,
                         another_question_shares_the_system_text,
                         turns_go_on_where_they_ended, a_long_prompt_is_kept_in_parts,
                         users_and_salts_share_nothing, cache_prompt_false_leaves_nothing,
                         choices_share_the_prompt):
            run(function, server)
    run(a_restart_finds_it_again)
    run(a_key_finds_it_again_at_another_place_of_the_file)
    run(without_a_cache_nothing_is_kept)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
