"""Asks a running `tenon serve` for answers of a form.

    serve_format_client.py TENON MODEL
"""

import json
import re

from served import check, events, main

SCHEMA = {"type": "object", "properties": {
    "sum": {"type": "integer", "minimum": 0, "maximum": 999},
    "unit": {"enum": ["apples", "pears"]},
    "notes": {"type": "array", "items": {"type": "string", "maxLength": 8}, "maxItems": 2}},
    "required": ["sum", "unit"], "additionalProperties": False}
ADD = {"type": "function", "function": {"name": "add", "strict": True, "parameters": {
    "type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99},
                                     "note": {"type": "string", "maxLength": 12}},
    "required": ["a", "note"], "additionalProperties": False}}}
NOW = {"type": "function", "function": {"name": "now"}}


def content(server, **fields):
    answer, body = server.chat(max_tokens=200, **fields)
    assert answer.status == 200, body
    return [c["message"]["content"] for c in body["choices"]]


def check_record(text):
    value = json.loads(text)
    assert 0 <= value["sum"] <= 999 and value["unit"] in ("apples", "pears"), value
    assert set(value) <= {"sum", "unit", "notes"}, value


def schema_format(schema):
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}


@check
def a_schema_holds_for_every_choice(server):
    for text in content(server, response_format=schema_format(SCHEMA), n=4, temperature=2, seed=1):
        check_record(text)


@check
def a_schema_holds_behind_the_reasoning(server):
    answer, body = server.chat(model="deepseek-reasoner", response_format=schema_format(SCHEMA),
                               max_tokens=600)
    message = body["choices"][0]["message"]
    assert message["reasoning_content"] and body["choices"][0]["finish_reason"] == "stop", body
    check_record(message["content"])


@check
def a_stream_has_the_form_too(server):
    _, text = server.chat(response_format=schema_format(SCHEMA), stream=True, max_tokens=200)
    parts = [e["choices"][0]["delta"].get("content") or "" for e in events(text)]
    check_record("".join(parts))


@check
def regex_choice_and_grammar_hold(server):
    for fields, pattern in (
            ({"guided_regex": "[a-f]{3}-[0-9]{2}"}, "[a-f]{3}-[0-9]{2}"),
            ({"guided_choice": ["left", "right"]}, "left|right"),
            ({"structured_outputs": {"choice": ["left", "right"]}}, "left|right"),
            ({"grammar": 'root ::= "<" [0-9]{1,9} ">"'}, "<[0-9]{1,9}>")):
        for text in content(server, temperature=1, seed=5, **fields):
            assert re.fullmatch(pattern, text), (fields, text)


def calls_of(server, **fields):
    answer, body = server.chat(max_tokens=600, **fields)
    assert answer.status == 200, body
    choice = body["choices"][0]
    assert choice["finish_reason"] == "tool_calls" and not choice["message"]["content"], body
    calls = choice["message"]["tool_calls"]
    for call in calls:
        arguments = json.loads(call["function"]["arguments"])
        if call["function"]["name"] == "add":
            assert 0 <= arguments["a"] <= 99 and len(arguments["note"]) <= 12, body
            assert len(arguments) == 2, body
        else:
            assert call["function"]["name"] == "now" and arguments == {}, body
    return calls


@check
def a_required_call_comes(server):
    for model in "deepseek-chat", "deepseek-reasoner":
        assert calls_of(server, model=model, tools=[ADD, NOW], tool_choice="required",
                        parallel_tool_calls=False)
    call, = calls_of(server, tools=[ADD, NOW], parallel_tool_calls=False,
                     tool_choice={"type": "function", "function": {"name": "add"}})
    assert call["function"]["name"] == "add"


@check
def what_cannot_be_done_is_400_and_named(server):
    for fields, words in (
            ({"response_format": schema_format({"not": {}})}, '"not" at #'),
            ({"guided_regex": "("}, "guided_regex"),
            ({"grammar": "root ::= x"}, '"x" is not defined'),
            ({"tools": [{"type": "function", "function": {
                "name": "f", "strict": True, "parameters": {"minProperties": 1}}}]},
             "minProperties")):
        answer, body = server.chat(**fields)
        assert answer.status == 400 and words in body["error"]["message"], body


if __name__ == "__main__":
    main("--ctx", "2048", "--max-streams", "4")
