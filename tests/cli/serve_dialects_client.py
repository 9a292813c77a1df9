"""Asks a running `tenon serve` as clients of Anthropic's API do, and compares with the chat API's answers. Only
the standard library.

    serve_dialects_client.py TENON MODEL
"""

import json
import sys
import tempfile

from serve_client import QUESTION, Server

CHECKS = []
USER = {"role": "user", "content": QUESTION}


def check(function):
    CHECKS.append(function)
    return function


def parse_sse(text):
    """[(name, data)]; comments are left out. Nothing else may stand there, no [DONE] either."""
    assert text.endswith("\n\n"), text[-100:]
    parsed = []
    for part in text[:-2].split("\n\n"):
        if part.startswith(":"):
            continue
        name, data = part.split("\n")
        assert name.startswith("event: ") and data.startswith("data: "), part
        parsed.append((name[7:], json.loads(data[6:])))
        assert parsed[-1][1]["type"] == name[7:], part
    return parsed


def chat(server, messages, **fields):
    """The chat API's answer: its message, finish reason and usage."""
    answer, got = server.chat(messages=messages, **fields)
    assert answer.status == 200, got
    return got["choices"][0]["message"], got["choices"][0]["finish_reason"], got["usage"]


# ---- Anthropic's messages ----


def messages(server, path="/v1/messages", status=200, **fields):
    body = {"model": "claude-x", "messages": [USER], "temperature": 0, **fields}
    if "count" not in path:
        body.setdefault("max_tokens", 500)
    answer, data = server.ask("POST", path, body)
    assert answer.status == status, (answer.status, data)
    return data.decode() if body.get("stream") and status == 200 else json.loads(data)


def read_messages_stream(text):
    """The message that the events add up to; every rule of their order is checked."""
    events = parse_sse(text)
    assert [name for name, _ in events[:2]] == ["message_start", "ping"], events[:2]
    assert [name for name, _ in events[-2:]] == ["message_delta", "message_stop"], events[-2:]
    message = events[0][1]["message"]
    assert message["content"] == [] and message["stop_reason"] is None, message
    block, partial = None, ""
    for name, data in events[2:-2]:
        if name == "ping":
            continue
        if name == "content_block_start":
            assert block is None and data["index"] == len(message["content"]), data
            block, partial = data["content_block"], ""
            message["content"].append(block)
            continue
        assert block is not None and data["index"] == len(message["content"]) - 1, data
        if name == "content_block_stop":
            assert block["type"] != "thinking" or block["signature"], block
            if block["type"] == "tool_use":
                block["input"] = json.loads(partial)
            block = None
            continue
        assert name == "content_block_delta", name
        delta = data["delta"]
        kind, field = {"thinking_delta": ("thinking", "thinking"), "text_delta": ("text", "text"),
                       "signature_delta": ("thinking", "signature"),
                       "input_json_delta": ("tool_use", "partial_json")}[delta["type"]]
        assert block["type"] == kind, (block, delta)
        if field == "partial_json":
            partial += delta[field]
        else:
            block[field] += delta[field]
    assert block is None
    message.update(events[-2][1]["delta"])
    message["usage"] = events[-2][1]["usage"]
    return message


def without_ids(message):
    """A copy in which what differs from answer to answer has no value."""
    content = [{k: v for k, v in block.items() if k != "signature"} for block in message["content"]]
    return {**message, "id": None, "content": content}


def assert_same_message(got, want):
    message, finish, usage = want
    thinking = "".join(b["thinking"] for b in got["content"] if b["type"] == "thinking")
    text = "".join(b["text"] for b in got["content"] if b["type"] == "text")
    assert thinking == message.get("reasoning_content", ""), (got, message)
    assert text == message["content"], (got, message)
    assert got["stop_reason"] == {"stop": "end_turn", "length": "max_tokens"}[finish], got
    u = got["usage"]
    assert u["cache_read_input_tokens"] + u["input_tokens"] == usage["prompt_tokens"], (u, usage)
    assert u["output_tokens"] == usage["completion_tokens"], (u, usage)


@check
def messages_say_what_chat_says(server):
    for thinking in ("enabled", "disabled"):
        for seed in (1, 2):
            fields = {"thinking": {"type": thinking}, "seed": seed, "temperature": 1.2,
                      "max_tokens": 60}
            got = messages(server, **fields)
            assert_same_message(got, chat(server, [USER], **fields))
            assert got["type"] == "message" and got["role"] == "assistant", got
            assert got["id"].startswith("msg_") and got["stop_sequence"] is None, got
            assert all(b["signature"] for b in got["content"] if b["type"] == "thinking")


@check
def a_stream_of_messages_says_the_same(server):
    for fields in ({}, {"thinking": {"type": "disabled"}}, {"max_tokens": 7},
                   {"stop_sequences": ["6"]}, {"seed": 3, "temperature": 1.3}):
        whole = messages(server, **fields)
        assert whole["content"], whole
        got = read_messages_stream(messages(server, stream=True, **fields))
        assert without_ids(got) == without_ids(whole), (got, whole)


@check
def every_alias_takes_messages(server):
    for path in ("/v1/messages", "/anthropic/v1/messages", "/anthropic/v1/messages?beta=true"):
        assert messages(server, path, max_tokens=3)["stop_reason"] == "max_tokens"


@check
def a_history_of_blocks_is_one_of_messages(server):
    tools = [{"name": "add", "description": "Adds.", "input_schema": {"type": "object"}}]
    blocks = [
        {"role": "user", "content": [{"type": "text", "text": "What is 2 + 3?"}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I add.", "signature": "any"},
            {"type": "text", "text": "So:"},
            {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 2, "b": 3}}]},
        {"role": "user", "content": [
            {"type": "text", "text": "And 4 + 5?"},
            {"type": "tool_result", "tool_use_id": "toolu_1",
             "content": [{"type": "text", "text": "5"}]}]}]
    plain = [
        {"role": "system", "content": "Add.\nBriefly."},
        {"role": "user", "content": "What is 2 + 3?"},
        {"role": "assistant", "content": "So:", "reasoning_content": "I add.", "tool_calls": [
            {"id": "toolu_1", "type": "function",
             "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "5"},
        {"role": "user", "content": "And 4 + 5?"}]
    functions = [{"type": "function", "function": {
        "name": "add", "description": "Adds.", "parameters": {"type": "object"}}}]
    system = [{"type": "text", "text": "Add.", "cache_control": {"type": "ephemeral"}},
              {"type": "text", "text": "Briefly."}]
    got = messages(server, messages=blocks, system=system, tools=tools, max_tokens=40)
    assert_same_message(got, chat(server, plain, tools=functions, max_tokens=40, model="nano"))


@check
def the_last_words_of_the_assistant_go_on(server):
    start = {"role": "assistant", "content": "The answer"}
    got = messages(server, messages=[USER, start], thinking={"type": "disabled"})
    want = chat(server, [USER, {**start, "prefix": True}], thinking={"type": "disabled"})
    assert_same_message(got, want)


@check
def a_stop_sequence_is_named(server):
    got = messages(server, stop_sequences=["never", "answer", "swer"])
    assert (got["stop_reason"], got["stop_sequence"]) == ("stop_sequence", "answer"), got
    assert got["content"][-1] == {"type": "text", "text": "The "}, got


@check
def tokens_are_counted_as_they_are_used(server):
    for fields in ({}, {"system": "Be brief."}, {"thinking": {"type": "disabled"}},
                   {"tools": [{"name": "f", "input_schema": {}}]},
                   {"messages": [USER, {"role": "assistant", "content": "62"}, USER]}):
        usage = messages(server, max_tokens=1, **fields)["usage"]
        for base in ("/v1", "/anthropic/v1"):
            got = messages(server, f"{base}/messages/count_tokens", **fields)
            assert got == {"input_tokens": usage["input_tokens"] +
                           usage["cache_read_input_tokens"]}, (got, usage)
    long = {"role": "user", "content": "What is 1 + 1? " * 4000}
    got = messages(server, "/v1/messages/count_tokens", messages=[long])
    assert got["input_tokens"] > 10000, got


@check
def refusals_of_messages_have_their_shape(server):
    for fields, status, kind, words in (
            ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens"),
            ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens"),
            ({"temperature": 9}, 400, "invalid_request_error", "temperature"),
            ({"model": "gpt-4"}, 404, "not_found_error", "gpt-4"),
            ({"messages": [{"role": "user", "content": "What is 1 + 1? " * 4000}]}, 400,
             "invalid_request_error", "maximum context length is 2048 tokens"),
            ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, 400,
             "invalid_request_error", "messages[0].content[0].type")):
        for stream in (False, True):
            got = messages(server, status=status, stream=stream, **fields)
            assert got["type"] == "error" and got["request_id"], got
            assert got["error"]["type"] == kind and words in got["error"]["message"], got
    answer, data = server.ask("GET", "/anthropic/v1/nothing")
    assert (answer.status, json.loads(data)["error"]["type"]) == (404, "not_found_error"), data
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer, data = server.ask("POST", path, "{")
        assert answer.status == 400 and json.loads(data)["type"] == "error", data


# ---- other servers ----


def keys_of_anthropic():
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("sk-0123456789\n")
        file.flush()
        with Server("--api-key-file", file.name, "--any-model") as server:
            body = {"model": "some-model", "messages": [USER], "max_tokens": 1}
            answer, data = server.ask("POST", "/v1/messages", body, x_api_key="sk-012345678")
            assert answer.status == 401, data
            assert json.loads(data)["error"]["type"] == "authentication_error", data
            answer, data = server.ask("POST", "/v1/messages", body, x_api_key="sk-0123456789")
            assert answer.status == 200, data  # --any-model
            answer, data = server.ask("POST", "/chat/completions", body,
                                      authorization="Bearer sk-0123456789")
            assert answer.status == 200, data


def waiting_streams_are_kept_alive():
    with Server("--ctx", "1000000", "--max-streams", "1") as server:
        running, _ = server.begin_stream()
        body = json.dumps({"model": "claude-x", "stream": True, "max_tokens": 1,
                           "messages": [USER]})
        s, got = server.begin_stream(path="/v1/messages", body=body)
        while got.count(b"event: ping") < 2:
            piece = s.recv(4096)
            assert piece, got
            got += piece
        assert got.count(b"event: message_start") == 1, got
        running.close()
        while piece := s.recv(4096):
            got += piece
            if b"message_stop" in got:
                break
        assert got.index(b"message_start") < got.index(b"event: ping") < \
            got.index(b"content_block_start") < got.index(b"message_stop"), got
        assert got.count(b"event: message_start") == 1, got
        s.close()


def main():
    failed = 0

    def run(function, *args):
        try:
            function(*args)
            print(f"ok: {function.__name__.replace('_', ' ')}", flush=True)
            return 0
        except Exception as error:  # noqa: BLE001
            print(f"FAILED: {function.__name__}: {error!r}", flush=True)
            return 1

    with Server("--ctx", "2048", "--max-streams", "4", "--served-model-name", "nano") as server:
        for function in CHECKS:
            failed += run(function, server)
    for function in (keys_of_anthropic, waiting_streams_are_kept_alive):
        failed += run(function)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
