"""The `anthropic` package against `tenon serve`."""

import anthropic
from common import ASK, URL, check, main, readme_says, run_alone

client = anthropic.Anthropic(base_url=f"{URL}/anthropic", api_key="sk-any", max_retries=0)
MODEL = "deepseek-chat"
COLD = {"temperature": 0}  # the package has no parameter for it
OFF, ON = {"type": "disabled"}, {"type": "enabled", "budget_tokens": 1024}
ADD = {"name": "add", "description": "Adds two numbers.", "input_schema": {
    "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"]}}


@check
def the_example_of_readme():
    assert "62" in readme_says("anthropic")


@check
def an_answer_is_that_of_run():
    got = client.messages.create(model=MODEL, max_tokens=200, messages=ASK, extra_body=COLD,
                                 thinking=OFF)
    want = run_alone(ASK, "--temp", "0", "--chat")
    assert [b.text for b in got.content] == [want["content"]] and got.stop_reason == "end_turn"


@check
def thinking_is_a_block():
    got = client.messages.create(model=MODEL, max_tokens=2000, messages=ASK, extra_body=COLD,
                                 thinking=ON)
    want = run_alone(ASK, "--temp", "0", "--thinking")
    assert [b.type for b in got.content] == ["thinking", "text"]
    assert got.content[0].thinking == want["reasoning"] and got.content[0].signature
    assert got.content[1].text == want["content"]


@check
def a_stream_says_the_same():
    fields = {"model": MODEL, "max_tokens": 2000, "messages": ASK, "extra_body": COLD,
              "thinking": ON}
    want = client.messages.create(**fields)
    with client.messages.stream(**fields) as stream:
        said = "".join(stream.text_stream)
        got = stream.get_final_message()
    assert said == want.content[-1].text == got.content[-1].text
    assert got.content[0].thinking == want.content[0].thinking
    assert got.usage.output_tokens == want.usage.output_tokens


@check
def thinking_and_tool_results_go_back():
    messages = [*ASK, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "27+35", "signature": "any"},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 27, "b": 35}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "62"}]}]
    got = client.messages.create(model=MODEL, max_tokens=40, messages=messages, tools=[ADD])
    assert got.stop_reason in ("end_turn", "max_tokens", "tool_use")


@check
def a_tool_that_must_be_called():
    for thinking in (OFF, ON):
        for choice in ({"type": "any"}, {"type": "tool", "name": "add"}):
            got = client.messages.create(
                model=MODEL, max_tokens=2000, messages=ASK, tools=[ADD], extra_body=COLD,
                tool_choice={**choice, "disable_parallel_tool_use": True}, thinking=thinking)
            call = got.content[-1]
            assert call.type == "tool_use" and call.name == "add", got
            assert all(type(call.input[k]) is int for k in "ab"), call.input
            assert got.stop_reason == "tool_use"


@check
def tokens_are_counted():
    count = client.messages.count_tokens(model=MODEL, messages=ASK, thinking=OFF)
    got = client.messages.create(model=MODEL, max_tokens=1, messages=ASK, thinking=OFF)
    usage = got.usage
    assert count.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)


@check
def a_stop_sequence_is_named():
    said = run_alone(ASK, "--temp", "0", "--chat")["content"]
    stop = said[1:3]
    got = client.messages.create(model=MODEL, max_tokens=100, messages=ASK, extra_body=COLD,
                                 thinking=OFF, stop_sequences=["zzz", stop])
    assert (got.stop_reason, got.stop_sequence) == ("stop_sequence", stop), got
    assert [b.text for b in got.content] == [said[:said.index(stop)]]


@check
def errors_are_the_right_classes():
    for error, fields in ((anthropic.NotFoundError, {"model": "no-such"}),
                          (anthropic.BadRequestError, {"extra_body": {"temperature": 9}}),
                          (anthropic.BadRequestError, {"messages": []})):
        try:
            client.messages.create(**{"model": MODEL, "max_tokens": 5, "messages": ASK, **fields})
            raise AssertionError(fields)
        except error as e:
            assert e.body["type"] == "error" and e.body["error"]["message"], e.body


main()
