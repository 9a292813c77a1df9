"""Answers and messages: what is asked, what comes, what is done with it."""

import json
import threading
import time

from harness import IDLE, QUESTION, ask, conversations, last, set_field, test
from servers import answer_of, chunk

# ---- an answer ----

@test
def an_answer_is_that_of_the_api(w):
    page = w.open()
    set_field(page, seed="7", temperature="1.1", max_tokens="1500")
    ask(page, QUESTION)
    body = {"model": "nano", "messages": [{"role": "user", "content": QUESTION}], "seed": 7,
            "temperature": 1.1, "max_tokens": 1500, "thinking": {"type": "enabled"}}
    message = json.loads(w.tenon.ask("POST", "/chat/completions", body)[1])["choices"][0]["message"]
    assert message["content"] and message["reasoning_content"], message
    nodes = conversations(page)[0]["nodes"].values()
    answer = next(n for n in nodes if n["role"] == "assistant")
    assert answer["content"] == message["content"], (answer, message)
    assert answer["reasoning"] == message["reasoning_content"], (answer, message)
    assert " ".join(page.text(".text").split()) == " ".join(message["content"].split())
    assert page.do("document.querySelector('.thought').textContent") == message["reasoning_content"]
    assert page.text(".facts").startswith(f"{answer['usage']['completion_tokens']} tokens")


@test
def the_answer_grows_as_it_comes(w):
    """The second half is sent once the first is seen; the cut goes through a character."""
    seen = threading.Event()

    def script(body, reply):
        reply.begin()
        reply.raw(b": keep-alive\n\n")
        first = json.dumps(chunk({"role": "assistant", "content": "first h"})).encode()
        text = json.dumps(chunk({"content": "alf \u00e9"}), ensure_ascii=False).encode()
        cut = text.index("\u00e9".encode()) + 1
        reply.raw(b"data: " + first + b"\n\ndata: " + text[:cut])
        assert seen.wait(120)
        reply.raw(text[cut:] + b"\r\n\r\ndata: [DONE]\n\n")

    w.scripted.script = script
    page = w.open(w.scripted.url)
    page.click("#prompt")
    page.type("go")
    page.key("Enter")
    page.wait("document.querySelector('.text').innerText === 'first h'")
    assert page.do("document.querySelector('.assistant').getAttribute('aria-busy')") == "true"
    assert page.do("!document.querySelector('#stop').hidden && document.querySelector('#send').hidden")
    assert page.text("#live") == "Thinking", "single tokens are not read out"
    seen.set()
    page.wait(IDLE + "1")
    assert page.text(".text") == "first half \u00e9"
    assert page.text("#live") == "Answer: first half \u00e9"


@test
def thinking_is_folded(w):
    page = w.open()
    set_field(page, seed="1")
    ask(page, QUESTION)
    assert page.do("document.querySelector('.thinking').open") is False
    assert page.text(".thinking summary").startswith("Thought for")
    page.click(".thinking summary")
    page.wait("document.querySelector('.thinking').open")
    assert page.text(".thought").strip()
    page.click("#thinking")
    assert page.do("document.querySelector('#thinking').getAttribute('aria-pressed')") == "false"
    ask(page, QUESTION, 2)
    assert page.bodies[-1]["thinking"] == {"type": "disabled"}, page.bodies[-1]
    assert page.do("[...document.querySelectorAll('.thinking')].pop().hidden")


@test
def thinking_is_shown_live_if_wanted(w):
    seen = threading.Event()

    def script(body, reply):
        reply.begin()
        reply.send(chunk({"content": None, "reasoning_content": "so I think"}))
        assert seen.wait(120)
        reply.send(chunk({"content": "done"}))
        reply.raw(b"data: [DONE]\n\n")

    w.scripted.script = script
    page = w.open(w.scripted.url)
    page.click("#open-settings")
    page.click("[name=open_thinking]")
    page.key("Escape")
    page.click("#prompt")
    page.type("go")
    page.key("Enter")
    page.wait("document.querySelector('.thinking[open] .thought')?.innerText === 'so I think'")
    assert page.text(".thinking summary") == "Thinking"
    seen.set()
    page.wait(IDLE + "1")
    assert page.do("document.querySelector('.thinking').open"), "it stays as it is"


@test
def stop_ends_the_work_of_the_server(w):
    """The browser lets the request through without an end of its own."""
    page = w.open(rewrite=lambda body: {**body, "ignore_eos": True})
    before = w.tenon.status()
    for how in ("key", "button"):
        page.click("#prompt")
        page.type("count")
        page.key("Enter")
        page.wait("!document.querySelector('#stop').hidden && "
                  "[...document.querySelectorAll('.thought, .text')].pop().textContent.length > 20")
        assert w.tenon.status()["running"] == 1
        if how == "key":
            page.key("Escape")
        else:
            page.click("#stop")
        page.wait("document.querySelector('#stop').hidden")
        end = time.monotonic() + 60
        while w.tenon.status()["running"]:
            assert time.monotonic() < end, "the server goes on"
        assert "stopped" in last(page, ".facts")
        assert page.do("document.activeElement.id") == "prompt"
    now = w.tenon.status()
    assert now["tokens"] - before["tokens"] < 30000, "it was drawn to the end"
    assert now["reserved_bytes"] == 0, now


@test
def an_answer_goes_on_while_another_conversation_is_shown(w):
    go = threading.Event()

    def script(body, reply):
        if body["messages"][-1]["content"] != "slow":
            return reply.whole(answer_of("quick"))
        reply.begin()
        assert go.wait(120)
        reply.send(*answer_of("slowly"))
        reply.raw(b"data: [DONE]\n\n")

    w.scripted.script = script
    page = w.open(w.scripted.url)
    page.click("#prompt")
    page.type("slow")
    page.key("Enter")
    page.click("#new-chat")
    ask(page, "fast")
    assert page.text(".text") == "quick"
    assert page.do("document.querySelectorAll('.pulse').length") == 1
    go.set()
    page.wait("!document.querySelector('.pulse')")
    assert page.text(".text") == "quick"
    page.click("#conversations .open", 1 if page.texts(".open-title")[0] == "fast" else 0)
    page.wait("document.querySelector('.text')?.innerText === 'slowly'")


# ---- messages ----

@test
def a_message_is_edited_and_both_versions_stay(w):
    w.scripted.script = lambda body, reply: reply.whole(
        answer_of(f"You said {body['messages'][-1]['content']}"))
    page = w.open(w.scripted.url)
    ask(page, "one")
    ask(page, "two", 2)
    page.click(".user .icon-button[aria-label='Edit message']")
    page.wait("document.activeElement.matches('.edit-box')")
    page.key("Escape")
    page.wait("!document.querySelector('.edit-box')")
    assert page.do("document.activeElement.getAttribute('aria-label')") == "Edit message"
    page.click("#prompt")
    page.key("ArrowUp")
    page.fill(".edit-box", "two and")
    page.click("#prompt")
    page.key("ArrowUp")
    assert page.do("document.activeElement.value") == "two and", "an edit that has begun goes on"
    assert page.do("document.querySelectorAll('.edit-box').length") == 1
    page.key("Escape")
    page.wait("!document.querySelector('.edit-box')")
    page.click(".user .icon-button[aria-label='Edit message']")
    page.fill(".edit-box", "uno")
    page.key("Enter")
    page.wait(IDLE + "1 && document.querySelectorAll('.message').length === 2")
    assert page.texts(".bubble") == ["uno"] and page.texts(".text") == ["You said uno"]
    assert [m["content"] for m in w.scripted.bodies[-1]["messages"]] == ["uno"]
    assert page.text(".versions span") == "2 / 2"
    page.click("[aria-label='Earlier version']")
    page.wait("document.querySelectorAll('.message').length === 4")
    assert page.do("document.activeElement.getAttribute('aria-label')") == "Later version"
    assert page.text("#live") == "Version 1 of 2"
    assert page.texts(".bubble") == ["one", "two"]
    assert page.texts(".text") == ["You said one", "You said two"]


@test
def an_answer_is_drawn_again(w):
    count = iter(range(100))
    w.scripted.script = lambda body, reply: reply.whole(answer_of(f"answer {next(count)}"))
    page = w.open(w.scripted.url)
    ask(page, "one")
    page.click("[aria-label='Answer again']")
    page.wait("document.querySelector('.text')?.innerText === 'answer 1' && " + IDLE + "1")
    assert w.scripted.bodies[-1]["messages"] == [{"role": "user", "content": "one"}]
    page.click("[aria-label='Earlier version']")
    page.wait("document.querySelector('.text').innerText === 'answer 0'")
    ask(page, "next", 2)
    assert [m["content"] for m in w.scripted.bodies[-1]["messages"]] == ["one", "answer 0", "next"]


@test
def text_is_copied(w):
    w.scripted.says("Say:\n\n```sh\nls -l\n```\n")
    page = w.open(w.scripted.url)
    w.browser.call("Browser.grantPermissions", browserContextId=page.context,
                   permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    ask(page, "how?")
    for selector, wanted in (("[aria-label='Copy code']", "ls -l"),
                             ("[aria-label='Copy answer']", "Say:\n\n```sh\nls -l\n```\n"),
                             ("[aria-label='Copy message']", "how?")):
        page.click(selector)
        page.wait(f"navigator.clipboard.readText().then((t) => t === {json.dumps(wanted)})")


@test
def tool_calls_are_shown_and_their_results_sent(w):
    arguments = '{"city": "Ulm", "days": [1, 2]}'

    def script(body, reply):
        if body["messages"][-1]["role"] == "tool":
            return reply.whole(answer_of("It is warm."))
        call = {"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": ""}}
        parts = [chunk({"content": None, "reasoning_content": "look it up"}),
                 chunk({"tool_calls": [call]})]
        parts += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": c}}]})
                  for c in arguments]
        return reply.whole([*parts, chunk({"content": ""}, "tool_calls")])

    w.scripted.script = script
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    page = w.open(w.scripted.url)
    set_field(page, tools=json.dumps(tools))
    ask(page, "weather?")
    assert w.scripted.bodies[-1]["tools"] == tools
    assert page.text(".call-name") == "weather"
    assert page.text(".call pre") == json.dumps(json.loads(arguments), indent=2)
    assert page.do("document.querySelector('.calls > .plain').disabled")
    page.fill("[aria-label='Result of weather']", "31 degrees")
    page.click(".calls > .plain")
    page.wait(IDLE + "2")
    assert last(page, ".text") == "It is warm."
    sent = w.scripted.bodies[-1]["messages"]
    assert sent[1] == {"role": "assistant", "content": "", "reasoning_content": "look it up",
                       "tool_calls": [{"id": "call_1", "type": "function", "function": {
                           "name": "weather", "arguments": arguments}}]}, sent
    assert sent[2] == {"role": "tool", "tool_call_id": "call_1", "content": "31 degrees"}, sent
    assert page.text(".call .result") == "31 degrees"
    page.reload()
    page.wait("document.querySelector('.call .result')?.innerText === '31 degrees'")
