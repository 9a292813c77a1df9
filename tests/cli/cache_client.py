"""Asks a running `tenon serve` the same beginnings again: what of them comes from the prefix cache, and that
answers are those without. Only the standard library.

    cache_client.py TENON MODEL
"""

import json
import os
import subprocess
import tempfile

from served import MODEL, TENON, Server, check, main

SYSTEM = "You add and subtract. You say the number and nothing else. " * 12


SHAPE = ("--ctx", "8192", "--max-streams", "4")


def post(server, path, body, key=None):
    answer, data = server.ask("POST", path, body, authorization=f"Bearer {key}")
    assert answer.status == 200, data
    return json.loads(data)


def say(server, messages, key=None, **fields):
    """What the message says, and how many tokens of the prompt were there already."""
    body = {"model": "deepseek-chat", "messages": messages, "temperature": 1, "seed": 3, "max_tokens": 24, **fields}
    data = post(server, "/chat/completions", body, key)
    usage = data["usage"]
    hit = usage["prompt_cache_hit_tokens"]
    assert usage["prompt_tokens"] == hit + usage["prompt_cache_miss_tokens"], usage
    assert usage["prompt_tokens_details"]["cached_tokens"] == hit, usage
    return data["choices"][0]["message"], hit, usage["prompt_tokens"]


def talk(question, system=SYSTEM):
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


@check
def the_second_request_is_a_hit(server):
    cold, hit, n = say(server, talk("1 + 2?"))
    assert hit == 0
    warm, hit, _ = say(server, talk("1 + 2?"))
    assert hit == n - 1 and warm == cold, (hit, n)


@check
def the_other_endpoints_share_it(server):
    """What chat left there is a hit for the same prompt in another dialect; raw text has its own."""
    _, _, n = say(server, talk("3 + 4?"))
    got = post(server, "/v1/messages", {"model": "claude", "max_tokens": 4, "system": SYSTEM,
                                       "thinking": {"type": "disabled"},
                                       "messages": [{"role": "user", "content": "3 + 4?"}]})
    assert got["usage"]["cache_read_input_tokens"] == n - 1, (got, n)
    assert got["usage"]["input_tokens"] == 1
    got = post(server, "/responses", {"model": "deepseek-chat", "max_output_tokens": 4, "input": "3 + 4?",
                                     "instructions": SYSTEM})
    assert got["usage"]["input_tokens_details"]["cached_tokens"] == n - 1, (got, n)
    raw = {"model": "deepseek-chat", "prompt": SYSTEM, "max_tokens": 4, "temperature": 0}
    cold = post(server, "/completions", raw)
    assert cold["usage"]["prompt_cache_hit_tokens"] == 0
    other = post(server, "/completions", {**raw, "user": "another"})
    assert other["usage"]["prompt_cache_hit_tokens"] == 0
    warm = post(server, "/completions", raw)
    assert warm["usage"]["prompt_cache_miss_tokens"] == 1
    assert warm["choices"] == cold["choices"] == other["choices"]
    told = post(server, "/completions", {**raw, "echo": True, "logprobs": 0, "max_tokens": 0})
    assert told["usage"]["prompt_cache_hit_tokens"] == 0  # each of its tokens is to be told of


@check
def another_question_shares_the_system_text(server):
    alone, _, _ = say(server, talk("40 - 7?"), cache_prompt=False)
    say(server, talk("1 + 2?"))
    first, hit, n = say(server, talk("40 - 7?"))
    assert 0 < hit < n - 1, (hit, n)
    assert first == alone


@check
def turns_go_on_where_they_ended(server):
    for thinking in ("disabled", "enabled"):
        messages, fields = talk(f"5 + 5? ({thinking})"), {"thinking": {"type": thinking}}
        before = 0
        for question in ("And 3 more?", "And 9 less?", "Twice that?"):
            message, hit, n = say(server, messages, **fields)
            assert message == say(server, messages, cache_prompt=False, **fields)[0]
            assert hit >= before, (hit, before)
            before = n - 1
            messages += [{"role": "assistant", "content": message["content"]},
                         {"role": "user", "content": question}]
        assert say(server, messages, **fields)[1] >= before


@check
def a_long_prompt_is_kept_in_parts(server):
    text = "".join(f"Line {i} of the report says {i * 7}. " for i in range(150))
    say(server, talk(text + "Sum?", "short"))
    _, hit, n = say(server, talk(text + "Largest?", "short"))
    assert hit % 512 == 0 and n - 600 < hit < n, (hit, n)


@check
def users_and_salts_share_nothing(server):
    question = talk("6 + 6?", "You add, and that is all. " * 30)
    for one, other in (({"user_id": "a"}, {"user_id": "b"}), ({"cache_salt": "a"}, {"cache_salt": "b"}),
                       ({"user": "c"}, {}), ({"user": "d"}, {"user": "d", "cache_salt": "d"})):
        say(server, question, **one)
        assert say(server, question, **one)[1] > 0
        hit = say(server, question, **other)[1]
        assert hit == 0, (one, other, hit)


@check
def cache_prompt_false_leaves_nothing(server):
    question = talk("What is 70 + 8?", "Without a trace. " * 20)
    for _ in range(2):
        assert say(server, question, cache_prompt=False)[1] == 0
    assert say(server, question)[1] == 0
    assert say(server, question)[1] > 0


@check
def choices_share_the_prompt(server):
    question = talk("8 + 8?", "Choices. " * 30)
    first = say(server, question, n=3)
    again = say(server, question, n=3)
    assert first[1] == 0 and again[1] == again[2] - 1, (first, again)
    assert first[0] == again[0]


def a_restart_finds_it_again():
    question = talk("17 + 4?")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "cache")
        options = ("--cache-dir", path, "--cache-disk", "64M")
        with Server(*SHAPE, *options) as server:
            cold, hit, n = say(server, question)
            assert hit == 0
        with Server(*SHAPE, *options) as server:
            assert say(server, question, user="other")[1] == 0
            warm, hit, _ = say(server, question)
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
        with Server(*SHAPE, *options) as server:
            again, hit, _ = say(server, question)
            assert hit == 0 and again == cold, hit
            assert "bad entry" in server.said()
            assert say(server, question)[1] == n - 1


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
        with Server(*SHAPE, *options) as server:
            cold, hit, n = say(server, question, bob)
            assert hit == 0, hit
        change("remove", "ann")
        carol = change("new", "carol")
        with Server(*SHAPE, *options) as server:
            assert say(server, question, carol)[1] == 0
            warm, hit, _ = say(server, question, bob)
            assert hit == n - 1 and warm == cold, (hit, n)


def without_a_cache_nothing_is_kept():
    with Server(*SHAPE, "--cache-memory", "0") as server:
        for _ in range(2):
            assert say(server, talk("2 + 2?"))[1] == 0


if __name__ == "__main__":
    main(*SHAPE, "--cache-every", "512",
         alone=(a_restart_finds_it_again, a_key_finds_it_again_at_another_place_of_the_file,
                without_a_cache_nothing_is_kept))
