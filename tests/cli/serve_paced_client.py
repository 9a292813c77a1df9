"""Asks a `tenon serve --padding paced`: every piece of a stream has one size, their number is that of a class,
and the clients read what they would read without it.

    serve_paced_client.py TENON MODEL
"""

import json
import signal
import socket
import struct

from served import QUESTION, Server, check, main, run_request, wait_for

CELL, LEAST = 512, 16
TEXT = "Tom has 27 apples and buys 35 more.\n"
PACED = ("--padding", "paced", "--padding-tick", "5", "--ctx", "2048", "--max-streams", "8")
ADD = {"type": "function", "function": {"name": "add", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}, "required": ["a"]}}}


def chat(**fields):
    return {"model": "deepseek-chat", "messages": [{"role": "user", "content": QUESTION}],
            "seed": 3, "max_tokens": 60, **fields}


def is_class(n):
    unit = LEAST
    while n >= 8 * unit:
        unit *= 2
    return n > 0 and n % unit == 0


def split(data):
    """The chunks of an answer, as they are on the wire."""
    head, _, rest = data.partition(b"\r\n\r\n")
    assert b" 200 OK" in head and b"chunked" in head, data
    found = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if not int(size, 16):
            assert rest == b"\r\n", rest
            return found
        found.append(rest[:int(size, 16)])
        rest = rest[int(size, 16) + 2:]


def chunks_of(server, path, body):
    text = json.dumps(body)
    with socket.create_connection((server.host, server.port), timeout=120) as s:
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                  f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
        data = b""
        while piece := s.recv(1 << 16):
            data += piece
    return split(data)


def paced(server, path, body):
    """The objects of a paced stream's events, which is one of cells."""
    found = chunks_of(server, path, {**body, "stream": True})
    assert {len(chunk) for chunk in found} == {CELL}, [len(chunk) for chunk in found]
    assert is_class(len(found)), len(found)
    text = b"".join(found).decode()
    assert text.endswith("\n\n")
    got = []
    for part in text[:-2].split("\n\n"):
        if part.startswith(":"):
            continue
        name, _, data = part.rpartition("data: ")
        assert not name or name.startswith("event: "), part
        got.append(data if data == "[DONE]" else json.loads(data))
    for one in got:
        if one != "[DONE]":
            assert set(one.pop("padding")) <= {"."}, one
    last = text[:-2].rpartition("\n\n")[2]
    assert not last.startswith(":"), "the last cell brings the last event"
    return got


def whole(server, path, body):
    """A whole answer, whose length is one of a class."""
    answer, data = server.ask("POST", path, body)
    assert answer.status == 200, data
    assert len(data) % CELL == 0 and is_class(len(data) // CELL), len(data)
    assert data.rstrip(b" ").endswith(b"}") and data.count(b"}\x20") == 1, data
    return json.loads(data)


@check
def a_chat_says_what_run_says(server):
    for fields in ({}, {"n": 3, "temperature": 1.4}, {"model": "deepseek-reasoner"},
                   {"logprobs": True, "top_logprobs": 20, "max_tokens": 6},
                   {"messages": [{"role": "user", "content": "\" \\ \n é 語 🙂 \" \\ " * 9}]}):
        body = chat(**fields)
        want = run_request(body)
        assert whole(server, "/chat/completions", body)["choices"] == want
        got = paced(server, "/chat/completions", {**body, "stream_options": {"include_usage": True}})
        assert got.pop() == "[DONE]" and got.pop()["usage"]["completion_tokens"] > 0
        for i, choice in enumerate(want):
            mine = [c["choices"][0] for c in got if c["choices"][0]["index"] == i]
            for name in ("content", "reasoning_content"):
                said = "".join(c["delta"].get(name) or "" for c in mine)
                assert said == (choice["message"].get(name) or ""), (said, choice)
            assert [c["finish_reason"] for c in mine if c["finish_reason"]] == \
                [choice["finish_reason"]]
            picks = [p for c in mine for p in ((c["logprobs"] or {}).get("content") or [])]
            assert picks == ((choice["logprobs"] or {}).get("content") or []), picks


@check
def calls_come_whole(server):
    body = chat(tools=[ADD], tool_choice="required", temperature=1, max_tokens=200)
    want, = run_request(body)
    got = paced(server, "/chat/completions", body)
    calls = [d for c in got[:-1] for d in c["choices"][0]["delta"].get("tool_calls") or []]
    for i, call in enumerate(want["message"]["tool_calls"]):
        mine = [c["function"] for c in calls if c["index"] == i]
        assert mine[0]["name"] == call["function"]["name"], mine
        assert "".join(f.get("arguments", "") for f in mine) == call["function"]["arguments"]


@check
def raw_text_says_the_same_in_a_stream(server):
    for fields in ({}, {"echo": True}, {"n": 2, "logprobs": 3, "max_tokens": 9}):
        body = {"model": "nano", "prompt": TEXT, "seed": 4, "max_tokens": 40, **fields}
        want = whole(server, "/v1/completions", body)["choices"]
        got = paced(server, "/v1/completions", body)
        assert got.pop() == "[DONE]"
        for i, choice in enumerate(want):
            mine = [c["choices"][0] for c in got if c["choices"][0]["index"] == i]
            assert "".join(c["text"] for c in mine) == choice["text"]
            tokens = [t for c in mine for t in (c["logprobs"] or {}).get("tokens", [])]
            assert tokens == (choice["logprobs"] or {}).get("tokens", [])


@check
def the_shape_of_llama_server_says_the_same(server):
    for path, body in (("/completion", {"prompt": TEXT}),
                       ("/infill", {"input_prefix": TEXT, "input_suffix": "."})):
        body = {**body, "seed": 4, "n_predict": 40}
        want = whole(server, path, body)
        got = paced(server, path, body)
        assert "".join(c["content"] for c in got) == want["content"]
        assert [c["stop"] for c in got] == [False] * (len(got) - 1) + [True]


@check
def messages_say_the_same(server):
    body = {"model": "claude", "max_tokens": 60, "seed": 3,
            "messages": [{"role": "user", "content": QUESTION}]}
    want = whole(server, "/v1/messages", body)
    got = paced(server, "/v1/messages", body)
    assert (got[0]["type"], got[-2]["type"], got[-1]["type"]) == \
        ("message_start", "message_delta", "message_stop")
    for kind, name in ("thinking_delta", "thinking"), ("text_delta", "text"):
        said = "".join(e["delta"][name] for e in got
                       if e["type"] == "content_block_delta" and e["delta"]["type"] == kind)
        assert said == "".join(b.get(name, "") for b in want["content"]), (said, want)


@check
def responses_say_the_same(server):
    body = {"model": "nano", "input": QUESTION, "max_output_tokens": 60, "seed": 3}
    want = whole(server, "/v1/responses", body)
    got = paced(server, "/v1/responses", body)
    assert [e["sequence_number"] for e in got] == list(range(len(got)))
    assert got[-1]["type"] == "response." + want["status"]
    assert [i.get("content") for i in got[-1]["response"]["output"]] == \
        [i.get("content") for i in want["output"]]


@check
def a_stream_of_responses_that_would_repeat_too_much_is_refused(server):
    for field, value, status in (("prompt_cache_key", "x" * (80 << 10), 413),
                                 ("metadata", {"a": "x" * 250000}, 400)):
        body = {"model": "nano", "input": QUESTION, "max_output_tokens": 1, "stream": True, field: value}
        answer, data = server.ask("POST", "/v1/responses", body)
        assert answer.status == status and json.loads(data)["error"]["param"] == field, data


@check
def a_refusal_comes_at_once_and_is_no_stream(server):
    answer, data = server.ask("POST", "/chat/completions", chat(temperature=9, stream=True))
    assert answer.status == 422 and "temperature" in data.decode(), data


@check
def clients_that_leave_are_forgotten(server):
    """In the middle, and when all has been said but the last event waits for its class."""
    def under_way():
        text = server.ask("GET", "/metrics")[1].decode()
        return [float(line.split()[-1]) for line in text.splitlines()
                if line.startswith("tenon:requests_under_way")] != [0.0]
    for tokens, wanted in (1000, b"data: "), (1, b'"length"'):
        s, head = server.begin_stream(max_tokens=tokens)
        while wanted not in head:
            head += s.recv(1 << 16)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
        wait_for(lambda: not under_way())
    answer, data = server.ask("POST", "/chat/completions", chat(stream=True))
    assert answer.status == 200 and data.endswith(b"data: [DONE]\n\n")


def a_stream_ends_whole_when_the_server_stops():
    with Server(*PACED) as server:
        s, data = server.begin_stream(max_tokens=300)
        server.process.send_signal(signal.SIGTERM)
        while piece := s.recv(1 << 16):
            data += piece
        s.close()
        server.process.wait(timeout=60)
    found = split(data)
    assert {len(chunk) for chunk in found} == {CELL}, found
    assert found[-1].endswith(b"\n\ndata: [DONE]\n\n"), found[-1]


def answers_that_only_wait_for_ticks_hold_nothing_up():
    """As many as may be under way wait for minutes: others are let in, what is more does not wait, and when
    the server stops all are sent whole."""
    most = 1 + 2 + 64

    def drawn():
        text = server.ask("GET", "/metrics")[1].decode()
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith("vllm:generation_tokens_total"))

    with Server("--padding", "paced", "--padding-tick", "10000", "--ctx", "2048", "--max-streams", "1",
                "--max-queue", "2") as server:
        streams = []
        for n in range(most):
            text = json.dumps(chat(max_tokens=1, stream=n > 0))
            s = socket.create_connection((server.host, server.port), timeout=60)
            s.sendall(f"POST /chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                      f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
            streams.append(s)
            wait_for(lambda: drawn() == n + 1)
        answer, data = server.ask("POST", "/tokenize", {"content": "x"})
        assert answer.status == 200, data
        more = chunks_of(server, "/chat/completions", chat(max_tokens=1, stream=True))
        server.process.send_signal(signal.SIGTERM)
        answers = []
        for s in streams:
            data = b""
            while piece := s.recv(1 << 16):
                data += piece
            s.close()
            answers.append(data)
    head, _, body = answers.pop(0).partition(b"\r\n\r\n")
    assert b" 200 OK" in head and json.loads(body.strip())["choices"], body
    for chunks in [more, *map(split, answers)]:
        assert {len(chunk) for chunk in chunks} == {CELL}, chunks
        assert chunks[-1].endswith(b"\n\ndata: [DONE]\n\n"), chunks[-1]


def nothing_comes_behind_the_last_event():
    """Though a sign of life would be due while it waits for its class, as there was no output."""
    body = {"model": "claude", "max_tokens": 20, "seed": 3, "thinking": {"type": "disabled"},
            "messages": [{"role": "user", "content": QUESTION}]}
    with Server("--padding", "paced", "--padding-tick", "450") as server:
        said = whole(server, "/v1/messages", body)["content"][0]["text"]
        got = paced(server, "/v1/messages", {**body, "stop_sequences": [said[0]]})
    assert [e["type"] for e in got] == ["message_start", "ping", "message_delta", "message_stop"], got


if __name__ == "__main__":
    main(*PACED, alone=(a_stream_ends_whole_when_the_server_stops,
                         answers_that_only_wait_for_ticks_hold_nothing_up,
                         nothing_comes_behind_the_last_event))
