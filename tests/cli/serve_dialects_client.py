"""Asks a running `tenon serve` as clients of Anthropic's API and of OpenAI's Responses do, and compares with the
chat API's answers. Only the standard library.

    serve_dialects_client.py TENON MODEL
"""

import json
import socket
import tempfile
import threading

from served import QUESTION, Server, check, main

USER = {"role": "user", "content": QUESTION}


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
    assert got["stop_reason"] == {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[finish], got
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
        assert messages(server, path, max_tokens=1)["stop_reason"] == "max_tokens"


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
    off = {"thinking": {"type": "disabled"}}
    text = messages(server, **off)["content"][-1]["text"]
    stop = text[1:3]
    got = messages(server, stop_sequences=["never", stop, stop[1:] + "never"], **off)
    assert (got["stop_reason"], got["stop_sequence"]) == ("stop_sequence", stop), (got, text)
    assert got["content"][-1] == {"type": "text", "text": text[:text.index(stop)]}, (got, text)


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
    for body in ({}, {"model": "claude-x", "messages": [USER], "max_tokens": 1}):
        for stream in (False, True):
            answer, _ = server.ask("POST", "/v1/messages", {"stream": stream, **body})
            ids = answer.getheader("request-id"), answer.getheader("x-request-id")
            assert ids[0] and ids[0] == ids[1], (answer.status, ids)
    answer, data = server.ask("GET", "/anthropic/v1/nothing")
    assert (answer.status, json.loads(data)["error"]["type"]) == (404, "not_found_error"), data
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        answer, data = server.ask("POST", path, "{")
        assert answer.status == 400 and json.loads(data)["type"] == "error", data


# ---- OpenAI's responses ----


def responses(server, path="/v1/responses", status=200, **fields):
    body = {"model": "nano", "input": QUESTION, "temperature": 0, **fields}
    answer, data = server.ask("POST", path, body)
    assert answer.status == status, (answer.status, data)
    return data.decode() if body.get("stream") and status == 200 else json.loads(data)


def texts_of(value):
    """All strings in it, one behind the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict)):
        return "\n".join(texts_of(v) for v in (value.values() if isinstance(value, dict) else value))
    return ""


def read_responses_stream(text):
    """The response of the last event; every rule of the events' order is checked."""
    events = parse_sse(text)
    assert [d["sequence_number"] for _, d in events] == list(range(len(events)))
    names = [name for name, _ in events]
    assert names[:2] == ["response.created", "response.in_progress"], names[:2]
    assert names[-1] in ("response.completed", "response.incomplete"), names[-1]
    assert sum(n in ("response.completed", "response.incomplete", "response.failed")
               for n in names) == 1
    last = events[-1][1]["response"]
    for _, data in events[:2]:
        assert data["response"] == {**last, "status": "in_progress", "output": [], "usage": None,
                                    "incomplete_details": None}, data
    items, item, part, said = [], None, None, ""
    for name, data in events[2:-1]:
        assert data["output_index"] == len(items), (name, data)
        kind = name.removeprefix("response.")
        if kind == "output_item.added":
            assert item is None and data["item"]["status"] == "in_progress", data
            item, said = data["item"], ""
            continue
        assert item is not None, name
        if kind == "output_item.done":
            assert part is None and data["item"]["id"] == item["id"], data
            assert data["item"]["type"] == item["type"] and said in texts_of(data["item"]), (data, said)
            items.append(data["item"])
            item = None
            continue
        assert data["item_id"] == item["id"], (data, item)
        family, _, step = kind.rpartition(".")
        assert family in {"message": ("content_part", "output_text"),
                          "reasoning": ("reasoning_text", "reasoning_summary_part",
                                        "reasoning_summary_text")}[item["type"]], (name, item)
        index = "summary_index" if "summary" in family else "content_index"
        assert data[index] == 0, data
        if family.endswith("_part"):
            assert (part is None) == (step == "added"), data
            assert data["part"]["text"] == said, data
            part = True if step == "added" else None
        elif step == "delta":
            assert part or family == "reasoning_text", name
            said += data["delta"]
        else:
            assert step == "done" and data["text"] == said, (data, said)
    assert item is None and items == last["output"], (items, last)
    return last


def without_item_ids(response):
    output = [{**item, "id": None} for item in response["output"]]
    return {**response, "id": None, "created_at": None, "output": output}


def assert_same_response(got, want):
    message, finish, usage = want
    thinking = "".join(p["text"] for item in got["output"] if item["type"] == "reasoning"
                       for p in item["content"])
    text = "".join(p["text"] for item in got["output"] if item["type"] == "message"
                   for p in item["content"])
    assert thinking == message.get("reasoning_content", ""), (got, message)
    assert text == message["content"], (got, message)
    assert got["status"] == ("incomplete" if finish == "length" else "completed"), got
    assert got["usage"] == {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": usage["prompt_cache_hit_tokens"]},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": usage["completion_tokens_details"],
        "total_tokens": usage["total_tokens"]}, (got, usage)


@check
def responses_say_what_chat_says(server):
    for effort in ("high", "none"):
        for seed in (1, 2):
            got = responses(server, reasoning={"effort": effort}, seed=seed, temperature=1.2,
                            max_output_tokens=60)
            want = chat(server, [USER], reasoning_effort=effort, seed=seed, temperature=1.2,
                        max_tokens=60)
            assert_same_response(got, want)
            assert got["object"] == "response" and got["id"].startswith("resp_"), got
            assert got["max_output_tokens"] == 60 and got["store"] is False, got


@check
def a_stream_of_responses_says_the_same(server):
    usage = responses(server)["usage"]
    reasoning = usage["output_tokens_details"]["reasoning_tokens"]
    assert 7 < reasoning < usage["output_tokens"] - 3, usage
    for fields in ({}, {"reasoning": {"effort": "none"}}, {"max_output_tokens": 7},
                   {"max_output_tokens": reasoning + 2}, {"reasoning": {"summary": "auto"}},
                   {"include": ["reasoning.encrypted_content"]}, {"seed": 3, "temperature": 1.3}):
        whole = responses(server, **fields)
        assert whole["output"], whole
        got = read_responses_stream(responses(server, stream=True, **fields))
        assert without_item_ids(got) == without_item_ids(whole), (got, whole)
        if "max_output_tokens" in fields:
            assert got["incomplete_details"] == {"reason": "max_output_tokens"}, got
            assert got["output"][-1]["status"] == "incomplete", got


@check
def every_alias_takes_responses(server):
    for base in ("", "/v1", "/beta", "/beta/v1"):
        got = responses(server, f"{base}/responses", max_output_tokens=3)
        assert got["status"] == "incomplete", got


@check
def a_history_of_items_is_one_of_messages(server):
    tools = [{"type": "function", "name": "add", "description": "Adds.",
              "parameters": {"type": "object"}, "strict": False}]
    items = [
        {"type": "message", "role": "developer", "content": "Briefly."},
        {"role": "user", "content": [{"type": "input_text", "text": "What is 2 + 3?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [],
         "content": [{"type": "reasoning_text", "text": "I add."}]},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
         "content": [{"type": "output_text", "text": "So:", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add",
         "arguments": '{"a": 2, "b": 3}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "5"},
        {"role": "user", "content": "And 4 + 5?"}]
    plain = [
        {"role": "system", "content": "Add.\n\nBriefly."},
        {"role": "user", "content": "What is 2 + 3?"},
        {"role": "assistant", "content": "So:", "reasoning_content": "I add.", "tool_calls": [
            {"id": "call_1", "type": "function",
             "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "5"},
        {"role": "user", "content": "And 4 + 5?"}]
    functions = [{"type": "function", "function": {
        "name": "add", "description": "Adds.", "parameters": {"type": "object"},
        "strict": False}}]
    got = responses(server, input=items, instructions="Add.", tools=tools, max_output_tokens=40)
    assert_same_response(got, chat(server, plain, tools=functions, max_tokens=40, model="nano"))
    assert got["tools"] == tools


@check
def an_answer_is_taken_back_as_input(server):
    """With its reasoning as text, as a summary, and opaque: the prompts are the same."""
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]  # keeps reasoning
    counts = set()
    for fields in ({}, {"reasoning": {"summary": "auto"}},
                   {"include": ["reasoning.encrypted_content"]}):
        output = responses(server, tools=tools, **fields)["output"]
        assert output[0]["type"] == "reasoning", output
        if "include" in fields:
            output[0] = {**output[0], "content": [], "summary": []}
        again = [{"role": "user", "content": QUESTION}, *output,
                 {"role": "user", "content": "And 8 + 7?"}]
        counts.add(responses(server, input=again, tools=tools, max_output_tokens=1)
                   ["usage"]["input_tokens"])
    assert len(counts) == 1, counts


@check
def refusals_of_responses_have_openais_shape(server):
    for fields, status, param, code in (
            ({"previous_response_id": "resp_1"}, 400, "previous_response_id", None),
            ({"conversation": "c"}, 400, "conversation", None),
            ({"background": True}, 400, "background", None),
            ({"temperature": 9}, 422, "temperature", None),
            ({"model": "gpt-5"}, 404, "model", "model_not_found"),
            ({"input": [{"role": "assistant", "content": "x"}]}, 400, "input[0]", None),
            ({"input": "What is 1 + 1? " * 4000}, 400, "messages", "context_length_exceeded")):
        for stream in (False, True):
            error = responses(server, status=status, stream=stream, **fields)["error"]
            assert error["param"] == param, error
            assert error["code"] == (code or "invalid_request_error"), error
    answer, _ = server.ask("GET", "/v1/responses")
    assert answer.status == 405


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


def read_all(s):
    while s.recv(1 << 16):
        pass


def waiting_streams_are_kept_alive():
    """A message gets pings; a response its first events and then comments."""
    with Server("--ctx", "1000000", "--max-streams", "1", "--cache-memory", "0") as server:
        running, _ = server.begin_stream()
        reader = threading.Thread(target=read_all, args=(running,))
        reader.start()
        body = json.dumps({"model": "deepseek-chat", "stream": True, "max_output_tokens": 1,
                           "input": QUESTION})
        other, other_got = server.begin_stream(path="/v1/responses", body=body)
        body = json.dumps({"model": "claude-x", "stream": True, "max_tokens": 1,
                           "messages": [USER]})
        s, got = server.begin_stream(path="/v1/messages", body=body)
        while got.count(b"event: ping") < 2:
            piece = s.recv(4096)
            assert piece, got
            got += piece
        assert got.count(b"event: message_start") == 1, got
        running.shutdown(socket.SHUT_RDWR)
        reader.join()
        running.close()
        while piece := s.recv(4096):
            got += piece
            if b"message_stop" in got:
                break
        assert got.index(b"message_start") < got.index(b"event: ping") < \
            got.index(b"content_block_start") < got.index(b"message_stop"), got
        assert got.count(b"event: message_start") == 1, got
        s.close()
        while b"response.incomplete" not in other_got:
            piece = other.recv(4096)
            assert piece, other_got
            other_got += piece
        assert other_got.index(b"event: response.in_progress") < other_got.index(
            b": keep-alive") < other_got.index(b"event: response.output_item.added"), other_got
        assert other_got.count(b"event: response.created") == 1, other_got
        other.close()


if __name__ == "__main__":
    main("--ctx", "2048", "--max-streams", "4", "--cache-memory", "0", "--served-model-name", "nano",
         alone=(keys_of_anthropic, waiting_streams_are_kept_alive))
