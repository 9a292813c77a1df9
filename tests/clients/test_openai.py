"""The `openai` package against `tenon serve`."""

import asyncio
import json
import typing

import openai
import pydantic
from common import ASK, QUESTION, URL, check, main, readme_says, run_alone

client = openai.OpenAI(base_url=f"{URL}/v1", api_key="sk-any", max_retries=0)
MODEL = "deepseek-chat"
ADD = {"type": "function", "function": {
    "name": "add", "description": "Adds two numbers.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"},
                                                    "b": {"type": "integer"}},
                   "required": ["a", "b"], "additionalProperties": False}}}


@check
def the_example_of_readme():
    assert "62" in readme_says("openai")


@check
def models_are_listed():
    names = [m.id for m in client.models.list()]
    assert names and client.models.retrieve(names[0]).id == names[0]


@check
def an_answer_is_that_of_run():
    got = client.chat.completions.create(model="deepseek-reasoner", messages=ASK, seed=3,
                                         temperature=1.1)
    want = run_alone(ASK, "--seed", "3", "--temp", "1.1", "--thinking")
    message = got.choices[0].message
    assert (message.content, message.reasoning_content) == (want["content"], want["reasoning"])
    assert got.choices[0].finish_reason == want["finish_reason"]
    assert got.usage.total_tokens == got.usage.prompt_tokens + got.usage.completion_tokens
    assert got.usage.completion_tokens_details.reasoning_tokens > 0


@check
def a_stream_says_the_same():
    fields = {"model": MODEL, "messages": ASK, "seed": 4}
    want = client.chat.completions.create(**fields)
    said, usage, finish = "", None, None
    for chunk in client.chat.completions.create(stream=True,
                                                stream_options={"include_usage": True}, **fields):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            said += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert said == want.choices[0].message.content and usage == want.usage
    assert finish == want.choices[0].finish_reason


@check
def many_at_once_get_their_own():
    async def ask(c, i):
        got = await c.chat.completions.create(
            model="deepseek-reasoner", temperature=0, messages=[{"role": "user", "content": f"What is {i} + 5?"}])
        return got.choices[0].message.content

    async def ask_all():
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="sk-any") as c:
            return await asyncio.gather(*(ask(c, i) for i in range(12)))

    for i, text in enumerate(asyncio.run(ask_all())):
        assert str(i + 5) in text, (i, text)


@check
def choices_and_log_probabilities():
    got = client.chat.completions.create(model=MODEL, messages=ASK, n=3, seed=1, temperature=1.5,
                                         max_tokens=12, logprobs=True, top_logprobs=2)
    assert [c.index for c in got.choices] == [0, 1, 2]
    for choice in got.choices:
        assert all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in choice.logprobs.content)


@check
def errors_are_the_right_classes():
    for error, fields in ((openai.NotFoundError, {"model": "gpt-4"}),
                          (openai.UnprocessableEntityError, {"temperature": 9}),
                          (openai.BadRequestError, {"messages": [{"role": "user", "content": [
                              {"type": "image_url", "image_url": {"url": "x"}}]}]})):
        try:
            client.chat.completions.create(**{"model": MODEL, "messages": ASK, **fields})
            raise AssertionError(fields)
        except error as e:
            assert e.body["message"] and e.request_id, e.body


@check
def tool_results_go_back():
    messages = [*ASK, {"role": "assistant", "content": "", "tool_calls": [
        {"id": "call_1", "type": "function",
         "function": {"name": "add", "arguments": json.dumps({"a": 27, "b": 35})}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "62"}]
    got = client.chat.completions.create(model=MODEL, messages=messages, tools=[ADD],
                                         max_tokens=40)
    assert got.choices[0].finish_reason in ("stop", "length", "tool_calls")


@check
def a_required_tool_is_called():
    for model in (MODEL, "deepseek-reasoner"):
        for choice in ("required", {"type": "function", "function": {"name": "add"}}):
            got = client.chat.completions.create(model=model, messages=ASK, tools=[ADD],
                                                 tool_choice=choice, parallel_tool_calls=False,
                                                 temperature=0)
            call = got.choices[0].message.tool_calls[0]
            found = json.loads(call.function.arguments)
            assert call.function.name == "add" and got.choices[0].finish_reason == "tool_calls"
            assert set(found) == {"a", "b"} and all(type(v) is int for v in found.values()), found


class Sum(pydantic.BaseModel):
    """Bounded: a small model asked for what it never saw might go on for ever."""

    a: int = pydantic.Field(ge=0, le=99)
    b: int = pydantic.Field(ge=0, le=99)
    things: list[typing.Literal["apples", "pears"]] = pydantic.Field(max_length=3)


@check
def an_answer_has_the_schema_of_a_class():
    for seed in range(4):
        got = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Sum,
                                            seed=seed, temperature=1)
        assert isinstance(got.choices[0].message.parsed, Sum), got


@check
def raw_completions():
    got = client.completions.create(model=MODEL, prompt=["1+1=", "2+2="], max_tokens=5,
                                    temperature=0, n=2)
    assert [c.index for c in got.choices] == [0, 1, 2, 3]
    assert got.choices[0].text == got.choices[1].text
    got = client.completions.create(model=MODEL, prompt="1+1=", max_tokens=0, echo=True,
                                    logprobs=1)
    found = got.choices[0].logprobs
    assert "".join(found.tokens[1:]) == got.choices[0].text == "1+1="  # the first begins the text
    assert found.token_logprobs[0] is None and all(p <= 0 for p in found.token_logprobs[1:])
    assert list(found.text_offset) == sorted(found.text_offset)


@check
def responses_and_their_events():
    fields = {"model": MODEL, "input": QUESTION, "temperature": 0}
    want = client.responses.create(**fields)
    chat = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0)
    assert want.status == "completed" and want.output_text == chat.choices[0].message.content
    assert want.usage.input_tokens == chat.usage.prompt_tokens
    with client.responses.stream(**fields) as stream:
        numbers = [event.sequence_number for event in stream]
        got = stream.get_final_response()
    assert numbers == list(range(len(numbers))) and got.output_text == want.output_text


@check
def responses_with_instructions_and_history():
    got = client.responses.create(model=MODEL, instructions="Answer in one line.", input=[
        {"role": "user", "content": "What is 2 + 3?"},
        {"role": "assistant", "content": "The answer is 5."},
        {"role": "user", "content": QUESTION}], temperature=0, max_output_tokens=30)
    assert got.status in ("completed", "incomplete")
    assert got.output[-1].content[0].text == got.output_text


main()
