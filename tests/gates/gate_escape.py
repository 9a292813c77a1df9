#!/usr/bin/env python3
"""Gate 24: strings of control tokens in any field of a user's are text, and nothing else.

Each of the vocabulary's control tokens stands, by its text, in each field that comes into the
prompt, between two letters. A control token there would count as one token, like the digit that
stood there before; its text counts as more.
"""

import concurrent.futures
import copy
import json
import random

from gate import MODEL, Canary, Checks, Server, arguments

SLOT = "{SLOT}"
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {
    "type": "object", "properties": {"p": {"type": "string"}}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"p": "v"}'}}


def tool(**function):
    return {"messages": [USER], "tools": [{**TOOL, "function": {**TOOL["function"], **function}}]}


def call(arguments):
    return [USER, {"role": "assistant", "content": "", "tool_calls": [
        {**CALL, "function": {"name": "f", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": "c", "content": "r"}]


FIELDS = {
    "user": {"messages": [{"role": "user", "content": SLOT}]},
    "part": {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"},
                                                       {"type": "text", "text": SLOT}]}]},
    "system": {"messages": [{"role": "system", "content": SLOT}, USER]},
    "developer": {"messages": [{"role": "developer", "content": SLOT}, USER]},
    "name": {"messages": [{**USER, "name": SLOT}]},
    "assistant": {"messages": [USER, {"role": "assistant", "content": SLOT}, USER]},
    "reasoning": {"messages": [USER, {"role": "assistant", "content": "x", "tool_calls": [CALL],
                                      "reasoning_content": SLOT},
                               {"role": "tool", "tool_call_id": "c", "content": "r"}],
                  "tools": [TOOL], "thinking": {"type": "enabled"}},
    "prefix": {"messages": [USER, {"role": "assistant", "content": SLOT, "prefix": True}]},
    "reasoning prefix": {"messages": [USER, {"role": "assistant", "content": "x", "prefix": True,
                                             "reasoning_content": SLOT}],
                         "thinking": {"type": "enabled"}},
    "tool result": {"messages": call('{"p": "v"}')[:2] + [
        {"role": "tool", "tool_call_id": "c", "content": SLOT}]},
    "argument": {"messages": call('{"p": "{SLOT}"}')},
    "argument's name": {"messages": call('{"{SLOT}": "v"}')},
    "argument, nested": {"messages": call('{"p": {"q": ["{SLOT}"]}}')},
    "tool description": tool(description=SLOT),
    "parameter": tool(parameters={"type": "object", "properties": {SLOT: {"type": "string"}}}),
    "enum": tool(parameters={"type": "object", "properties": {
        "p": {"type": "string", "enum": [SLOT]}}}),
    "kwargs": {"messages": [USER], "chat_template_kwargs": {"x": SLOT}},
    "user_id": {"messages": [USER], "user": SLOT, "user_id": SLOT},
}


def filled(value, text):
    """The value with the slot filled, in keys and in strings of JSON too."""
    if isinstance(value, str):
        return value.replace(SLOT, text)
    if isinstance(value, list):
        return [filled(v, text) for v in value]
    if isinstance(value, dict):
        return {filled(k, text): filled(v, text) for k, v in value.items()}
    return copy.copy(value)


def control_strings():
    with open(f"{MODEL}/tokenizer.json") as file:
        return [t["content"] for t in json.load(file)["added_tokens"]]


def tokens(server, name, text):
    """Of the prompt with text in this field."""
    status, answer = server.chat(max_tokens=1, **filled(FIELDS[name], text))
    assert status == 200, (name, text, answer)
    return answer["usage"]["prompt_tokens"]


def main():
    options = arguments(__doc__, samples=(60, 0))
    checks = Checks()
    strings = control_strings()
    with Server("--ctx", "4096", "--max-streams", "8", checks=checks) as server:
        one = {name: tokens(server, name, "a1b") for name in FIELDS}
        shown = [name for name in FIELDS if tokens(server, name, "a1234b") == one[name] + 3]
        unseen = [name for name in FIELDS if name not in shown]
        checks.check(len(shown) >= 15 and set(unseen) <= {"name", "kwargs", "user_id"},
                     f"{len(shown)} fields come into the prompt; not: {', '.join(unseen)}")
        pairs = [(name, s) for name in shown for s in strings]
        if options.samples:
            vital = [(name, s) for name in shown for s in
                     ("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "</think>", "｜DSML｜")]
            pairs = vital + random.Random(options.seed).sample(pairs, options.samples)
        with Canary(server) as canary, concurrent.futures.ThreadPoolExecutor(6) as pool:
            counts = list(pool.map(lambda p: tokens(server, p[0], f"a{p[1]}b"), pairs))
        canary.check(checks)
        live = [p for p, n in zip(pairs, counts) if n <= one[p[0]]]
        checks.check(not live, f"{len(pairs)} control strings in {len(shown)} fields, {len(live)} not inert")
        for pair in live[:20]:
            print("       ", pair)
    checks.end()


if __name__ == "__main__":
    main()
