"""Asks a running `tenon serve` what its clients ask. Only the standard library.

    serve_client.py TENON MODEL
"""

import http.client
import json
import signal
import subprocess
import tempfile
import threading
import time

from served import (MODEL, QUESTION, TENON, Server, check, events, ids_of, main, run_alone,
                    run_request)


@check
def an_answer_is_that_of_run(server):
    for thinking in (True, False):
        for seed in (1, 2, 3):
            fields = {"thinking": {"type": "enabled" if thinking else "disabled"}, "seed": seed,
                      "temperature": 1.2, "max_tokens": 60}
            _, got = server.chat(**fields)
            want = run_alone([{"role": "user", "content": QUESTION}], "--seed", str(seed),
                             "--temp", "1.2", "-n", "60", "--thinking" if thinking else "--chat")
            message = got["choices"][0]["message"]
            assert message["content"] == want["content"], (got, want)
            assert message.get("reasoning_content", "") == want["reasoning"], (got, want)
            assert got["choices"][0]["finish_reason"] == want["finish_reason"], (got, want)


def without_ids(choices):
    for choice in choices:
        for call in choice["message"].get("tool_calls", []):
            del call["id"]
    return choices


@check
def a_body_gets_what_run_gives_for_it(server):
    add = {"type": "function", "function": {"name": "add", "parameters": {
        "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}}
    word = {"type": "json_schema", "json_schema": {"name": "w", "schema": {
        "type": "object", "properties": {"w": {"enum": ["x", "yy"]}}, "required": ["w"]}}}
    for fields in ({}, {"n": 3, "temperature": 1.4}, {"thinking": {"type": "disabled"}},
                   {"stop": ["6"], "top_p": 0.9}, {"logprobs": True, "top_logprobs": 2},
                   {"response_format": word, "temperature": 2},
                   {"min_tokens": 70, "temperature": 1}, {"stop_token_ids": ids_of(" is"), "n": 2},
                   {"stop_token_ids": ids_of(" is") + ids_of(" the"), "min_tokens": 9, "ignore_eos": True,
                    "logprobs": True},
                   {"tools": [add], "tool_choice": "required", "temperature": 1}):
        body = {"model": "deepseek-reasoner", "seed": 11, "max_tokens": 80,
                "messages": [{"role": "user", "content": QUESTION}], **fields}
        answer, data = server.ask("POST", "/chat/completions", body)
        assert answer.status == 200, data
        got = json.loads(data)["choices"]
        assert without_ids(got) == without_ids(run_request(body)), (fields, got)


@check
def a_stop_token_ends_and_is_no_text(server):
    fields = {"temperature": 0, "max_tokens": 60, "logprobs": True}
    plain = server.chat(**fields)[1]["choices"][0]
    tokens = [p["token"] for p in plain["logprobs"]["content"]]
    at = next(i for i, t in enumerate(tokens) if i > 1 and len(ids_of(t)) == 1 and t not in tokens[:i])
    stop = ids_of(tokens[at])
    ended = server.chat(stop_token_ids=stop, **fields)[1]
    choice = ended["choices"][0]
    assert choice["finish_reason"] == "stop" and choice["message"]["content"] == "".join(tokens[:at])
    assert [p["token"] for p in choice["logprobs"]["content"]] == tokens[:at]
    assert ended["usage"]["completion_tokens"] == at + 1
    later = server.chat(stop_token_ids=stop, min_tokens=at + 2, **fields)[1]
    assert later["usage"]["completion_tokens"] >= at + 2, later
    said = [p["token"] for p in later["choices"][0]["logprobs"]["content"]]
    assert tokens[at] not in said[:at + 2] and said[:at] == tokens[:at], said
    for wrong in {"stop_token_ids": [999999]}, {"min_tokens": 61}, {"min_tokens": 2, "stop": "x"}:
        answer, body = server.chat(**{**fields, **wrong})
        assert answer.status == 400 and list(wrong)[0] in body["error"]["message"], body


@check
def a_stream_says_the_same(server):
    for thinking in ("enabled", "disabled"):
        fields = {"thinking": {"type": thinking}, "seed": 5, "temperature": 1}
        _, whole = server.chat(**fields)
        answer, text = server.chat(stream=True, stream_options={"include_usage": True}, **fields)
        assert answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        chunks = events(text)
        assert len({(c["id"], c["created"], c["model"]) for c in chunks}) == 1
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
        assert all(c["usage"] is None for c in chunks[:-1])
        deltas = [c["choices"][0]["delta"] for c in chunks[:-1]]
        said = "".join(d.get("content") or "" for d in deltas)
        thought = "".join(d.get("reasoning_content") or "" for d in deltas)
        message = whole["choices"][0]["message"]
        assert (said, thought) == (message["content"], message.get("reasoning_content", ""))
        finishes = [c["choices"][0]["finish_reason"] for c in chunks[:-1]]
        assert finishes[-1] == whole["choices"][0]["finish_reason"] and not any(finishes[:-1])


@check
def every_alias_answers(server):
    for base in ("", "/v1", "/beta", "/beta/v1"):
        answer, got = server.chat(f"{base}/chat/completions", max_tokens=1)
        assert answer.status == 200 and got["choices"][0]["finish_reason"] == "length", got
        assert server.ask("GET", f"{base}/models")[0].status == 200


@check
def choices_are_those_of_run(server):
    _, got = server.chat(n=3, seed=9, temperature=2, max_tokens=20)
    assert [c["index"] for c in got["choices"]] == [0, 1, 2]
    assert len({c["message"]["content"] for c in got["choices"]}) > 1
    _, text = server.chat(n=3, seed=9, temperature=2, max_tokens=20, stream=True)
    for i, choice in enumerate(got["choices"]):
        said = "".join(c["choices"][0]["delta"].get("content") or "" for c in events(text)
                       if c["choices"][0]["index"] == i)
        thought = "".join(c["choices"][0]["delta"].get("reasoning_content") or ""
                          for c in events(text) if c["choices"][0]["index"] == i)
        assert said == choice["message"]["content"]
        assert thought == choice["message"].get("reasoning_content", "")


@check
def logprobs_of_a_stream_are_the_same(server):
    fields = {"logprobs": True, "top_logprobs": 2, "thinking": {"type": "enabled"}}
    want = server.chat(**fields)[1]["choices"][0]["logprobs"]
    got = {"content": [], "reasoning_content": []}
    for chunk in events(server.chat(stream=True, **fields)[1]):
        for name, picks in (chunk["choices"][0]["logprobs"] or {}).items():
            got[name] += picks
    assert got == want, (got, want)


@check
def usage_adds_up(server):
    _, got = server.chat(thinking={"type": "enabled"})
    u = got["usage"]
    assert u["prompt_tokens"] == u["prompt_cache_hit_tokens"] + u["prompt_cache_miss_tokens"]
    assert u["total_tokens"] == u["prompt_tokens"] + u["completion_tokens"]
    assert 0 < u["completion_tokens_details"]["reasoning_tokens"] < u["completion_tokens"]


@check
def logprobs_are_of_the_tokens_said(server):
    _, got = server.chat(logprobs=True, top_logprobs=3, thinking={"type": "enabled"})
    found = got["choices"][0]["logprobs"]
    said = b"".join(bytes(t["bytes"]) for t in found["content"]).decode()
    assert said == got["choices"][0]["message"]["content"]
    assert all(len(t["top_logprobs"]) == 3 and t["logprob"] <= 0 for t in found["content"])
    assert all(t["top_logprobs"][0]["token"] == t["token"] for t in found["content"])  # greedy


@check
def many_at_once_get_what_they_get_alone(server):
    numbers = [(a, b) for a in range(10, 14) for b in range(20, 26)]
    asked = [[{"role": "user", "content": f"What is {a} + {b}?"}] for a, b in numbers]
    want = [server.chat(messages=m, seed=7, temperature=1)[1]["choices"][0]["message"]
            for m in asked]
    got = [None] * len(asked)

    def one(i):
        got[i] = server.chat(messages=asked[i], seed=7, temperature=1)[1]["choices"][0]["message"]

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(asked))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == want


@check
def bad_requests_are_refused(server):
    for body, status, words in (
            ("{", 400, "body"), ('{"a":1,"a":2}', 400, "body"), ("[]", 400, ""),
            ({"messages": []}, 422, "messages"), ({"temperature": 9}, 422, "temperature"),
            ({"model": "gpt-4"}, 404, "gpt-4"), ({"max_tokens": 0}, 422, "max_tokens"),
            ({"logit_bias": {"999999": 1}}, 400, "999999"),
            ({"logprobs": True, "max_tokens": 5000}, 400, "stream"),
            ({"response_format": {"type": "xml"}}, 400, "response_format")):
        if isinstance(body, dict):
            body = {"model": "deepseek-chat", "messages": [{"role": "user", "content": "hi"}],
                    **body}
        answer, data = server.ask("POST", "/v1/chat/completions",
                                  body if isinstance(body, str) else json.dumps(body))
        error = json.loads(data)["error"]
        assert answer.status == status, (body, answer.status, error)
        assert words in error["message"], (body, error)
        assert error["type"] == "invalid_request_error" and answer.getheader("x-request-id")


@check
def a_prompt_beyond_the_context_is_refused(server):
    words = "What is 1 + 1? " * 4000
    answer, got = server.chat(messages=[{"role": "user", "content": words}])
    assert answer.status == 400, got
    assert got["error"]["code"] == "context_length_exceeded", got
    assert "maximum context length is 2048 tokens" in got["error"]["message"], got
    answer, got = server.chat(messages=[{"role": "user", "content": words}], max_tokens=2147483647)
    assert answer.status == 400 and "requested 2147" in got["error"]["message"], got


@check
def other_paths(server):
    assert json.loads(server.ask("GET", "/health")[1]) == {"status": "ok"}
    assert server.ask("GET", "/nothing")[0].status == 404
    assert server.ask("GET", "/chat/completions")[0].status == 405
    models = json.loads(server.ask("GET", "/v1/models")[1])
    name = models["data"][0]["id"]
    assert json.loads(server.ask("GET", f"/v1/models/{name}")[1])["id"] == name
    assert server.ask("GET", "/v1/models/other")[0].status == 404
    assert json.loads(server.ask("GET", "/user/balance")[1])["is_available"] is True
    answer, _ = server.ask("HEAD", "/health")
    assert answer.status == 200


@check
def foreign_host_names_are_refused(server):
    assert server.ask("GET", "/health", host="evil.example")[0].status == 403
    assert server.ask("GET", "/health", host="localhost:80")[0].status == 200


def one_place():
    """A client that goes gives its place to another, long before its million tokens are drawn; while it
    is there the other is refused."""
    with Server("--ctx", "1000000", "--max-streams", "1", "--max-queue", "0") as server:
        s, _ = server.begin_stream()
        answer, got = server.chat(max_tokens=3)
        assert answer.status == 429 and int(answer.getheader("retry-after")) > 0, got
        s.close()
        for _ in range(600):
            answer, got = server.chat(max_tokens=3)
            if answer.status == 200:
                break
            time.sleep(0.1)
        assert answer.status == 200, got


def a_client_that_does_not_read_is_given_up():
    with Server("--ctx", "1000000", "--max-streams", "1", "--max-queue", "0") as server:
        s, _ = server.begin_stream(logprobs=True, top_logprobs=20)
        for _ in range(1200):
            if "does not read" in server.said():
                break
            time.sleep(0.1)
        assert "does not read" in server.said()
        for _ in range(600):
            answer, got = server.chat(max_tokens=3)
            if answer.status == 200:
                break
            time.sleep(0.1)
        assert answer.status == 200, got
        s.close()


def keys():
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("sk-0123456789\n")
        file.flush()
        with Server("--api-key-file", file.name) as server:
            assert server.ask("GET", "/models")[0].status == 401
            assert server.ask("GET", "/models", authorization="Bearer sk-012345678")[0].status == 401
            assert server.ask("GET", "/models", authorization="Bearer sk-0123456789")[0].status == 200
            assert server.ask("GET", "/models", x_api_key="sk-0123456789")[0].status == 200
            assert server.ask("GET", "/health")[0].status == 200
    failed = subprocess.run([TENON, "serve", MODEL, "--effort", "hgih", "--port", "0"],
                            capture_output=True, text=True)
    assert failed.returncode == 1 and "hgih" in failed.stderr, failed
    failed = subprocess.run([TENON, "serve", MODEL, "--host", "0.0.0.0", "--port", "0"],
                            capture_output=True, text=True)
    assert failed.returncode == 1 and "key" in failed.stderr, failed


def without_names(value):
    """Without what each answer has of its own."""
    if isinstance(value, list):
        return [without_names(v) for v in value]
    if isinstance(value, dict):
        return {k: without_names(v) for k, v in value.items()
                if k not in ("id", "item_id", "created", "created_at", "signature")}
    return value


def padding_hides_sizes():
    """Every event of every dialect is a multiple of 256 bytes, and says what it says without."""
    asked = ({"path": "/chat/completions"}, {"path": "/v1/messages", "max_tokens": 60},
             {"path": "/responses", "input": QUESTION}, {"path": "/completions", "prompt": "1+1="})
    with Server("--padding", "bucket") as padded, Server() as plain:
        for fields in asked:
            body = {"model": "deepseek-chat", "stream": True, "temperature": 0,
                    "messages": [{"role": "user", "content": QUESTION}], **fields}
            said = []
            for server in (padded, plain):
                text = server.ask("POST", body["path"], body)[1].decode()
                parts = [p for p in text.split("\n\n") if "data: {" in p]
                if server is padded:
                    sizes = {len(p.encode()) + 2 for p in parts}
                    assert parts and all(size % 256 == 0 for size in sizes), sizes
                data = [json.loads(p[p.index("data: ") + 6:]) for p in parts]
                assert len(data) > 5 and all(set(d.pop("padding", ".")) <= {"."} for d in data)
                said.append(without_names(data))
            assert said[0] == said[1], (fields, said)
    failed = subprocess.run([TENON, "serve", MODEL, "--padding", "much"], capture_output=True)
    assert failed.returncode != 0


def drain():
    """SIGTERM lets an answer under way end, and takes no other."""
    with Server("--ctx", "8192", "--drain", "3600") as server:
        kept = http.client.HTTPConnection(server.host, server.port, timeout=120)
        kept.request("GET", "/health")
        assert kept.getresponse().read()
        s, got = server.begin_stream(max_tokens=4000)
        server.process.send_signal(signal.SIGTERM)
        while piece := s.recv(1 << 16):
            got += piece
        assert b'"finish_reason":"length"' in got and b"data: [DONE]" in got, got[-500:]
        assert server.process.wait(timeout=60) == 0
        try:
            kept.request("GET", "/health")
            raise AssertionError(kept.getresponse().status)
        except (ConnectionError, http.client.HTTPException, OSError):
            pass


def a_second_signal_ends_it_at_once():
    with Server("--ctx", "1000000") as server:
        s, _ = server.begin_stream()
        server.process.send_signal(signal.SIGTERM)
        while "stopping, 1 answers under way" not in server.said():
            time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0
        while s.recv(1 << 16):
            pass


if __name__ == "__main__":
    main("--ctx", "2048", "--max-streams", "4",
         alone=(keys, padding_hides_sizes, one_place, a_client_that_does_not_read_is_given_up, drain,
                a_second_signal_ends_it_at_once))
