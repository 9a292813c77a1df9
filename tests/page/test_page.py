"""The chat page in a real browser, on a real `tenon serve` and on one that answers as a test says.

    test_page.py TENON MODEL [PART-OF-A-NAME ...]

Prints a line per test and "N passed, N failed". Pictures go to build/page/.
"""

import json
import pathlib
import sys
import tempfile
import threading
import time
import traceback

from browser import Browser
from servers import Scripted, Tenon, answer_of, chunk

PROGRAM, MODEL = sys.argv[1:3]
PICTURES = pathlib.Path("build/page")
QUESTION = "Tom has 27 apples and buys 35 more. How many apples does Tom have now?"
KEY = "a-key-of-the-test"
IDLE = "document.querySelector('#stop').hidden && document.querySelectorAll('.assistant').length >= "
TESTS = []

SAMPLE = """Both need one line.

## Sorting in C

The standard library has `qsort`, which takes a *comparison* and sorts **in place**:

```c
static int by_size(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    return (x->size > y->size) - (x->size < y->size);
}
```

1. It is not stable.
2. Its worst case is not promised:
   - glibc merges while memory lasts
   - others use introsort

| algorithm | time | stable |
|---|---:|:--:|
| merge sort | n log n | yes |
| heap sort | n log n | no |

> Measure before choosing. See [the manual](https://example.org/qsort).
"""


def test(function):
    TESTS.append(function)
    return function


class World:
    """What the tests share. A page that is opened here must end without errors of its own, and must have
    asked nobody but its server."""

    def __init__(self, tenon, keyed, scripted, browser):
        self.tenon, self.keyed, self.scripted, self.browser = tenon, keyed, scripted, browser
        self.pages = []

    def open(self, url=None, **options):
        url = url or self.tenon.url
        page = self.browser.open(url, **options)
        self.pages.append((page, url.split("#")[0]))
        return page

    def finish(self, check):
        for page, url in reversed(self.pages):
            if check:
                page.do("1")  # what is on its way arrives
                foreign = [u for u in page.urls if not u.startswith((url, f"blob:{url}"))]
                assert not foreign, foreign
                assert not page.errors, page.errors
            page.close()
        self.pages = []


def ask(page, text, answers=1):
    page.click("#prompt")
    page.type(text)
    page.key("Enter")
    page.wait(IDLE + str(answers))


def conversations(page):
    return page.do("""new Promise((resolve) => {
        const request = indexedDB.open("tenon", 1);
        request.onsuccess = () => {
            const all = request.result.transaction("conversations").objectStore("conversations").getAll();
            all.onsuccess = () => { request.result.close(); resolve(all.result); };
        };
    })""")


def set_field(page, **fields):
    page.do("document.querySelector('#open-settings').click()")
    for name, value in fields.items():
        page.fill(f"#settings [name={name}]", value)
    page.key("Escape")
    page.wait("!document.querySelector('#settings').open")


def last(page, selector):
    return page.do(f"[...document.querySelectorAll({json.dumps(selector)})].pop()?.innerText")


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


# ---- conversations ----

@test
def conversations_outlive_the_page(w):
    page = w.open()
    set_field(page, seed="3")
    ask(page, QUESTION)
    said = page.text(".text")
    page.click("#new-chat")
    assert page.do("!document.querySelector('#empty').hidden")
    ask(page, "What is 2 + 2?")
    page.click("#conversations .open", 1)
    page.wait("document.querySelector('.bubble')?.innerText.startsWith('Tom')")
    page.reload()
    page.wait(f"document.querySelector('.text')?.innerText === {json.dumps(said)}")
    assert page.do("document.querySelectorAll('#conversations li').length") == 2
    assert page.do("document.querySelector('[aria-current=page] .open-title').innerText").startswith("Tom")
    page.do("history.back()")
    page.wait("document.querySelector('.bubble')?.innerText.startsWith('What')")


@test
def a_conversation_is_renamed_and_deleted(w):
    w.scripted.says("yes")
    page = w.open(w.scripted.url)
    ask(page, "a question")
    page.hover("#conversations li")
    page.click("[aria-label='Rename a question']")
    page.fill(".rename", "My name for it")
    page.key("Enter")
    page.wait("document.querySelector('#title').innerText === 'My name for it'")
    ask(page, "more", 2)
    assert page.texts(".open-title") == ["My name for it"]
    page.hover("#conversations li")
    page.click("[aria-label='Delete My name for it']")
    page.wait("!document.querySelector('#conversations li') && !document.querySelector('.message')")
    assert conversations(page) == []
    page.click("#toast .link")
    page.wait("document.querySelectorAll('.message').length === 4")
    page.reload()
    page.wait("document.querySelector('.open-title')?.innerText === 'My name for it'")


@test
def a_conversation_deleted_while_it_is_answered_stays_deleted(w):
    def script(body, reply):
        reply.begin()
        while True:
            reply.send(chunk({"content": "on "}))
            time.sleep(0.01)

    w.scripted.script = script
    page = w.open(w.scripted.url)
    page.click("#prompt")
    page.type("go")
    page.key("Enter")
    page.wait("document.querySelector('.text')?.innerText.length > 20")
    page.hover("#conversations li")
    page.click("[aria-label='Delete go']")
    page.wait("!document.querySelector('#conversations li')")
    w.scripted.says("next")
    ask(page, "another")
    assert [c["title"] for c in conversations(page)] == ["another"]


@test
def an_edit_is_not_lost_when_an_answer_ends_elsewhere(w):
    go = threading.Event()

    def script(body, reply):
        if body["messages"][-1]["content"] == "slow":
            assert go.wait(120)
        reply.whole(answer_of("done"))

    w.scripted.script = script
    page = w.open(w.scripted.url)
    ask(page, "quick")
    page.click("#new-chat")
    page.type("slow")
    page.key("Enter")
    page.click("#conversations .open", 1)
    page.wait("document.querySelector('.bubble')?.innerText === 'quick'")
    page.click("[aria-label='Edit message']")
    page.type(" and more")
    go.set()
    page.wait("!document.querySelector('.pulse')")
    assert page.do("document.activeElement.value") == "quick and more"
    assert page.do("document.querySelector('.bubble').hidden")


@test
def two_tabs_show_the_same(w):
    w.scripted.says("yes")
    page = w.open(w.scripted.url)
    other = w.open(w.scripted.url, beside=page)
    ask(page, "from one")
    other.wait("document.querySelector('.open-title')?.innerText === 'from one'")
    other.click("#conversations .open")
    ask(page, "and more", 2)
    other.wait("document.querySelectorAll('.message').length === 4")
    page.hover("#conversations li")
    page.click("[aria-label='Delete from one']")
    other.wait("!document.querySelector('.message') && !document.querySelector('#conversations li')")


@test
def conversations_are_exported_and_imported(w):
    w.scripted.says("yes", "hm")
    page = w.open(w.scripted.url)
    ask(page, "first")
    page.click("#new-chat")
    ask(page, "second")
    with tempfile.TemporaryDirectory() as folder:
        w.browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder,
                       browserContextId=page.context)
        page.click("#open-settings")
        page.click("#export-all")
        path = pathlib.Path(folder) / "conversations.json"
        end = time.monotonic() + 120
        while not path.exists() or not path.read_text().endswith("}"):
            assert time.monotonic() < end, list(path.parent.iterdir())
            time.sleep(0.05)
        file = json.loads(path.read_text())
        assert file["format"] == "tenon-conversations" and len(file["conversations"]) == 2
        other = w.open(w.scripted.url)
        node = other.call("DOM.getDocument")["root"]["nodeId"]
        field = other.call("DOM.querySelector", nodeId=node, selector="#import-file")["nodeId"]
        other.call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])
        other.wait("document.querySelectorAll('#conversations li').length === 2")
        assert other.texts(".open-title") == ["second", "first"]
        other.click("#conversations .open", 1)
        other.wait("document.querySelector('.bubble')?.innerText === 'first'")
        assert other.do("document.querySelector('.thought').textContent") == "hm"
        for text in ("[]", "no", '{"format":"tenon-conversations","version":1,"conversations":[{}]}',
                     json.dumps({**file, "conversations": [{**file["conversations"][0], "head": "x"}]})):
            path.write_text(text)
            other.do("document.querySelector('#toast').hidden = true")
            other.call("DOM.setFileInputFiles", nodeId=field, files=[str(path)])
            other.wait("!document.querySelector('#toast').hidden")
            assert other.text("#toast").startswith("The file was not imported"), other.text("#toast")
        assert len(conversations(other)) == 2


@test
def at_most_200_are_kept(w):
    w.scripted.says("yes")
    page = w.open(w.scripted.url)
    page.do("""new Promise((resolve) => {
        const request = indexedDB.open("tenon", 1);
        request.onsuccess = () => {
            const all = request.result.transaction("conversations", "readwrite");
            for (let i = 0; i < 200; i++) all.objectStore("conversations").put({id: "c" + i, title: "t" + i,
                named: false, created: i, updated: i, head: null, nodes: {}});
            all.oncomplete = () => { request.result.close(); resolve(1); };
        };
    })""")
    page.reload()
    ask(page, "one more")
    page.wait("document.querySelectorAll('#conversations li').length === 200")
    ids = {c["id"] for c in conversations(page)}
    assert len(ids) == 200 and "c0" not in ids and "c1" in ids


# ---- settings ----

@test
def settings_are_in_the_request(w):
    w.scripted.says("yes")
    page = w.open(w.scripted.url)
    ask(page, "plain")
    plain = {"model": "nano", "messages": [{"role": "user", "content": "plain"}], "stream": True,
             "stream_options": {"include_usage": True}, "thinking": {"type": "enabled"}}
    assert w.scripted.bodies[-1] == plain, w.scripted.bodies[-1]
    set_field(page, temperature="0.25", top_p="0.9", max_tokens="33", seed="12",
              system="Be short.")
    page.do("""(() => { const e = document.querySelector('#effort'); e.value = 'max';
            e.dispatchEvent(new Event('input', {bubbles: true})); })()""")
    page.reload()  # they are kept
    page.click("#new-chat")
    ask(page, "set")
    wanted = {**plain, "temperature": 0.25, "top_p": 0.9, "max_tokens": 33, "seed": 12,
              "reasoning_effort": "max", "messages": [{"role": "system", "content": "Be short."},
                                                      {"role": "user", "content": "set"}]}
    assert w.scripted.bodies[-1] == wanted, w.scripted.bodies[-1]
    page.click("#open-settings")
    page.click("#reset")
    page.key("Escape")
    page.click("#new-chat")
    ask(page, "plain")
    assert w.scripted.bodies[-1] == plain, w.scripted.bodies[-1]


@test
def a_question_waits_for_the_list_of_models(w):
    go = threading.Event()
    w.scripted.says("yes")
    w.scripted.before = lambda path: path != "/models" or go.wait(120)
    page = w.open(w.scripted.url)
    page.click("#prompt")
    page.type("early")
    page.key("Enter")
    page.wait("document.querySelector('.wait')?.checkVisibility()")
    assert not w.scripted.bodies
    go.set()
    page.wait(IDLE + "1")
    assert w.scripted.bodies[-1]["model"] == "nano", w.scripted.bodies
    assert page.text(".text") == "yes"


@test
def a_wrong_setting_is_told_and_not_sent(w):
    w.scripted.says("yes")
    page = w.open(w.scripted.url)
    page.click("#open-settings")
    for name, wrong, right in (("temperature", "2.5", "2"), ("temperature", "warm", "1.5"),
                               ("top_p", "0", "1"), ("max_tokens", "1.5", "9"), ("seed", "-4", "4"),
                               ("tools", "{}", "")):
        field = f"#settings [name={name}]"
        page.fill(field, wrong)
        page.wait(f"document.querySelector('{field}').getAttribute('aria-invalid') === 'true'")
        assert page.text(".wrong").startswith("This must be"), name
        page.fill(field, right)
        page.wait("!document.querySelector('.wrong')")
    page.fill("#settings [name=temperature]", "9")
    page.key("Escape")
    ask(page, "go")
    body = w.scripted.bodies[-1]
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["seed"]) == (1.5, 1, 9, 4)
    assert "tools" not in body


@test
def a_key_is_asked_for(w):
    page = w.open(w.keyed.url)
    page.wait("!document.querySelector('#notice').hidden")
    assert page.text("#notice").startswith("This server wants a key."), page.text("#notice")
    ask(page, QUESTION)
    assert "did not accept the key" in page.text(".failure")
    page.click(".failure .plain")
    page.wait("document.activeElement.id === 'key'")
    page.fill("#key", "wrong-key")
    page.wait("document.querySelector('#notice').innerText.startsWith('The server did not accept')")
    page.fill("#key", KEY)
    page.wait("document.querySelector('#notice').hidden")
    page.key("Escape")
    page.click(".failure .plain", 1)
    page.wait("document.querySelector('.text')?.innerText && " + IDLE + "1")
    assert page.do("document.querySelectorAll('.message').length") == 2, "the failure is replaced"
    assert page.do("sessionStorage.getItem('tenon.key')") == KEY
    assert page.do("localStorage.getItem('tenon.key')") is None
    page.click("#open-settings")
    page.click("#remember-key")
    page.wait(f"localStorage.getItem('tenon.key') === '{KEY}' && !sessionStorage.getItem('tenon.key')")
    page.click("#remember-key")
    page.wait("localStorage.getItem('tenon.key') === null")
    page.key("Escape")
    page.click("#open-status")
    page.wait("document.querySelector('#totals').innerText.includes('nano')")
    assert all("401" in e for e in page.errors) and len(page.errors) >= 2, page.errors
    page.errors.clear()


# ---- failures ----

@test
def a_refusal_is_told_and_can_be_tried_again(w):
    page = w.open(w.scripted.url)
    for i, (status, message, told) in enumerate((
            (429, "256 requests wait", "The server is busy. Try again in a moment. (256 requests wait)"),
            (503, "", "The server cannot take this now. Try again in a moment."),
            (400, "That is too long <b>x</b>", "That is too long <b>x</b>"))):
        w.scripted.script = lambda body, reply, s=status, m=message: reply.refuse(s, m)
        page.click("#new-chat")
        ask(page, "go")
        assert page.text(".failure p") == told, page.text(".failure")
        assert page.do("document.querySelector('.failure').parentNode.getAttribute('role')") == "alert"
        w.scripted.says("now")
        page.click(".failure .plain")
        page.wait("document.querySelector('.text')?.innerText === 'now' && " + IDLE + "1")
        assert page.do("!document.querySelector('.failure, .versions')")
        page.wait(f"document.querySelectorAll('#conversations li').length === {i + 1}")
    assert len(page.errors) == 3 and all("status of" in e for e in page.errors), page.errors
    page.errors.clear()


@test
def an_answer_that_breaks_off_keeps_what_came(w):
    page = w.open(w.scripted.url)
    gone = threading.Event()

    def error_event(body, reply):
        reply.begin()
        reply.send(chunk({"content": "so far"}), {"error": {"message": "The engine failed"}})

    def broken(body, reply):
        reply.begin()
        reply.send(chunk({"content": "so far"}))

    def nonsense(body, reply):
        reply.begin()
        reply.send(chunk({"content": "so far"}))
        reply.raw(b"data: {nonsense\n\n")
        reply.wait_until_gone()
        gone.set()

    for script, told in ((error_event, "The engine failed"), (broken, "The answer broke off."),
                         (nonsense, "The server's answer is not readable.")):
        w.scripted.script = script
        page.click("#new-chat")
        ask(page, "go")
        assert page.text(".failure p") == told, page.text(".failure")
        assert page.text(".text") == "so far"
        w.scripted.says("whole")
        page.click(".failure .plain")
        page.wait("document.querySelector('.text')?.innerText === 'whole' && " + IDLE + "1")
        assert page.text(".versions span") == "2 / 2", "what came is not lost"
    assert gone.wait(120), "what cannot be read is not waited for"


@test
def a_server_that_is_gone_is_told(w):
    with Scripted(w.tenon) as gone:
        gone.says("yes")
        page = w.open(gone.url)
        ask(page, "go")
    page.click("#prompt")
    page.type("again")
    page.key("Enter")
    page.wait("document.querySelector('.failure')")
    assert page.text(".failure p") == "The server cannot be reached."
    page.click("#open-status")
    page.wait("document.querySelector('#status-lead').innerText === 'The server cannot be reached.'")
    assert page.errors and all("ERR_" in e for e in page.errors), page.errors
    page.errors.clear()


# ---- Markdown ----

@test
def text_of_the_model_stays_inert(w):
    evil = "\n\n".join((
        "<script>window.hit = 1</script>", "<img src=x onerror=window.hit=2>",
        "[a](javascript:window.hit=3)", "[b](data:text/html,<script>hit=4</script>)",
        "![pixel](https://evil.example/p.png)", "<iframe src=https://evil.example>",
        "[c](https://ok.example/\"onmouseover=\"hit=5)", "`<b onclick=hit=6>`", "**<svg onload=hit=7>**",
        "```html\"><script>hit=8</script>\n<script>hit=9</script>\n```", "# <style>*{display:none}</style>",
        "| <a href=javascript:hit=10>x</a> |\n|---|\n| </td><script>hit=11</script> |",
        "<javascript:hit=12>", "[d](vbscript:x) [e]( JaVaScRiPt:hit=13 ) [f](&#106;avascript:hit=14)"))
    w.scripted.says(evil, "<script>hit=20</script><img src=x onerror=hit=21>")
    page = w.open(w.scripted.url)
    ask(page, "<img src=x onerror=window.hit=30>")
    page.click(".thinking summary")
    assert page.do("typeof window.hit") == "undefined"
    assert page.do("document.querySelectorAll('.message :is(script, img, iframe, style, object, embed, "
                   "form, input)').length") == 0
    assert page.do("[...document.querySelectorAll('.message *')].every((e) => "
                   "[...e.attributes].every((a) => !a.name.startsWith('on')))")
    assert page.text(".bubble") == "<img src=x onerror=window.hit=30>"
    links = page.do("[...document.querySelectorAll('.text a')].map((a) => [a.protocol, a.rel, a.target])")
    assert links and all(p == "https:" and "noopener" in r and t == "_blank" for p, r, t in links), links
    assert "<script>window.hit = 1</script>" in page.text(".text")
    assert "<style>*{display:none}</style>" in page.text(".text h3")
    page.reload()
    page.wait("document.querySelector('.text')")
    assert page.do("typeof window.hit") == "undefined"
    assert page.text("#title") == "<img src=x onerror=window.hit=30>"


@test
def the_policy_stops_what_is_not_the_pages(w):
    page = w.open()
    got = page.do("""(() => { try { document.body.innerHTML = "<b>x</b>"; return "set"; }
            catch (error) { return error.name; } })()""")
    assert got == "TypeError", got
    got = page.do("fetch('https://evil.example/').then(() => 'went', (e) => e.name)")
    assert got == "TypeError", got
    assert page.errors and all("Content Security Policy" in e or "violates" in e or "Trusted" in e
                               for e in page.errors), page.errors
    page.errors.clear()
    page.urls = [u for u in page.urls if "evil" not in u]


MARKDOWN = [
    ("# A\n### B #", "<h3>A</h3><h5>B</h5>"),
    ("a\nb", "<p>a<br>b</p>"),
    ("a\n\nb", "<p>a</p><p>b</p>"),
    ("**b** *i* __b__ _i_ ~~s~~ ***x***", "<p><strong>b</strong> <em>i</em> <strong>b</strong> "
     "<em>i</em> <del>s</del> <strong><em>x</em></strong></p>"),
    ("2 * 3 * 4 and snake_case_name", "<p>2 * 3 * 4 and snake_case_name</p>"),
    ("**open *and", "<p>**open *and</p>"),
    ("\\*not\\* `a * b` ``x ` y``", "<p>*not* <code>a * b</code> <code>x ` y</code></p>"),
    ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
    ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
    ("1. a\n\n   more\n2. b", '<ol start="1"><li><p>a</p><p>more</p></li><li><p>b</p></li></ol>'),
    ("1. a\n   - x\n   - y\n2. b",
     '<ol start="1"><li>a<ul><li>x</li><li>y</li></ul></li><li>b</li></ol>'),
    ("- a\n\ntext", "<ul><li>a</li></ul><p>text</p>"),
    ("- a\n1. b", '<ul><li>a</li></ul><ol start="1"><li>b</li></ol>'),
    ("> a\n> > b", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>"),
    ("a\n\n---\n\n***", "<p>a</p><hr><hr>"),
    ("$3 | 4\nno table", "<p>$3 | 4<br>no table</p>"),
    ("<b>x</b> &amp;", "<p>&lt;b&gt;x&lt;/b&gt; &amp;amp;</p>"),
    ("a  \nb\\\nc", "<p>a  <br>b<br>c</p>"),
    ("* * *\n*a*", "<hr><p><em>a</em></p>"),
]


@test
def markdown_becomes_elements(w):
    page = w.open()
    for text, wanted in MARKDOWN:
        got = page.do(f"""import("./page/markdown.js").then((m) => {{
            const e = document.createElement("div");
            new m.MarkdownView(e).update({json.dumps(text)});
            return e.innerHTML; }})""")
        assert got == wanted, (text, got)
    for text, wanted in (("[a](https://x.example/b_(c))", [["a", "https://x.example/b_(c)"]]),
                         ("see https://x.example/a_b?c=d.", [["https://x.example/a_b?c=d"] * 2]),
                         ("(https://x.example/)", [["https://x.example/"] * 2]),
                         ("<https://x.example/>", [["https://x.example/"] * 2]),
                         ("[**a** `b`](mailto:a@x.example)", [["a b", "mailto:a@x.example"]]),
                         ("![alt](https://x.example/p.png)", [["alt", "https://x.example/p.png"]]),
                         ("[a](/local) [b](ftp://x.example/)", [])):
        got = page.do(f"""import("./page/markdown.js").then((m) => {{
            const e = document.createElement("div");
            new m.MarkdownView(e).update({json.dumps(text)});
            return [...e.querySelectorAll("a")].map((a) => [a.textContent, a.href]); }})""")
        assert got == wanted, (text, got)
    w.scripted.says(SAMPLE)
    page = w.open(w.scripted.url)
    ask(page, "show")
    assert page.text(".code code") == SAMPLE.split("```")[1].removeprefix("c\n").rstrip("\n")
    assert page.text(".code-head span") == "c"
    assert page.do("[...document.querySelectorAll('.text td')].map((t) => getComputedStyle(t).textAlign)"
                   ) == ["left", "right", "center"] * 2


@test
def a_text_that_grows_ends_as_the_whole(w):
    """Drawn after every character, each block ends as it is drawn at once."""
    page = w.open()
    got = page.do(f"""import("./page/markdown.js").then((m) => {{
        const text = {json.dumps(SAMPLE)}, grown = document.createElement("div");
        const view = new m.MarkdownView(grown), whole = document.createElement("div");
        for (let i = 0; i <= text.length; i++) view.update(text.slice(0, i));
        new m.MarkdownView(whole).update(text);
        return grown.innerHTML === whole.innerHTML && grown.childNodes.length; }})""")
    assert got == 7, got


@test
def no_text_takes_long(w):
    """Each text would take hours if its time were quadratic in this length with the usual constants; all
    together must be done within the limit of one call."""
    page = w.open()
    n = 100000
    texts = ["[" * n, "*a " * (n // 3), "**a " * (n // 4), "`" * n, "` `` " * (n // 5), "> " * (n // 2),
             "- " * (n // 2), "_a_" * (n // 3), "[a](" * (n // 4), "![" * (n // 2), "<" * n,
             "# " + "# " * (n // 2) + "x", "| a\n" + "|" + " " * n + "x", "``" + " " * n, "a" + " " * n + "b",
             "http://" * (n // 7), "~~~" + " " * n, "1. " * (n // 3), "\n" * n, "- a\n" + "\n" * n + "- b",
             "a|b\n-|-\n" + "|" * n, "[" + "[a]" * (n // 3), "***a" * (n // 4), "\\" * n, "*" * n, "* " * (n // 2),
             "~" * n + "`", "`" * n + "x`"]
    for text in texts:
        done = page.do(f"""import("./page/markdown.js").then((m) => {{
            const start = performance.now();
            new m.MarkdownView(document.createElement("div")).update({json.dumps(text)});
            return performance.now() - start; }})""")
        assert done < 60000, (text[:20], done)


# ---- looks ----

def background(page):
    return page.do("getComputedStyle(document.body).backgroundColor")


@test
def light_and_dark(w):
    page = w.open()
    light = background(page)
    page.scheme(True)
    dark = background(page)
    assert light != dark, light
    page.click("#switch-theme")
    assert page.text("#theme-name") == "Theme: light" and background(page) == light
    page.reload()
    assert background(page) == light, "the choice stays"
    page.scheme(False)
    page.click("#switch-theme")
    assert page.text("#theme-name") == "Theme: dark" and background(page) == dark
    page.click("#switch-theme")
    assert page.text("#theme-name") == "Theme: system" and background(page) == light


CONTRAST = """(() => {
    const parse = (text) => {
        const n = text.match(/[\\d.]+/g).map(Number);
        return text.startsWith("color(") ? [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1]
            : [n[0], n[1], n[2], n[3] ?? 1];
    };
    const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
    const light = (c) => {
        const [r, g, b] = c.slice(0, 3).map((v) => v / 255).map((v) =>
            v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (e) => {
        const layers = [];
        for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
        return layers.reverse().reduce((b, a) => over(a, b), [255, 255, 255, 1]);
    };
    const bad = [];
    for (const e of document.querySelectorAll("body *")) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        const isIcon = e.matches("button > svg");
        if ((!own && !isIcon) || !e.checkVisibility({ visibilityProperty: true })) continue;
        if (e.closest(":disabled, .unseen, .symbols, noscript, .skip") || e.matches("option")) continue;
        const back = behind(e), front = over(parse(getComputedStyle(e).color), back);
        const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < (isIcon ? 3 : 4.5)) bad.push([e.outerHTML.slice(0, 80), ratio]);
    }
    return bad;
})()"""


def show_everything(w, **options):
    """A page with a conversation that has every part of one."""
    w.scripted.says(SAMPLE, "The user asks about sorting.\nI should show qsort and compare.")
    page = w.open(w.scripted.url, **options)
    ask(page, "How do I sort an array of structs in C, and which algorithm should I take?")
    page.do("document.querySelector('.thinking').open = true")
    return page


@test
def all_text_has_contrast(w):
    for dark in (False, True):
        page = show_everything(w, dark=dark)
        assert page.do(CONTRAST) == []
        page.do("document.querySelector('#open-settings').click()")
        page.fill("#settings [name=temperature]", "9")
        assert page.do(CONTRAST) == []
        page.key("Escape")
        page.click("#open-status")
        page.wait("document.querySelector('#totals').innerText.includes('nano')")
        assert page.do(CONTRAST) == []
        w.scripted.script = lambda body, reply: reply.refuse(400, "no")
        page.click("#new-chat")
        ask(page, "fail")
        assert page.do(CONTRAST) == []
        page.errors.clear()  # the refusal


@test
def a_phone_has_no_horizontal_scroll(w):
    page = show_everything(w, width=360, height=740, touch=True)
    wide = ("document.documentElement.scrollWidth > innerWidth || [...document.querySelectorAll("
            "'#scroller, .status, .drawer, .sidebar')].some((e) => e.scrollWidth > e.clientWidth)")
    assert not page.do(wide)
    w.scripted.says("x" * 3000 + "\n\n`" + "y" * 3000 + "`\n\n|" + "z" * 300 + "|b|\n|-|-|\n|" +
                    "https://example.org/" + "w" * 300 + "|c|")
    ask(page, "q" * 3000, 2)
    assert not page.do(wide)
    page.click("#open-sidebar")
    page.wait("document.querySelector('#sidebar').getBoundingClientRect().left === 0")
    assert page.do("document.querySelector('#main').inert")
    assert page.do("document.activeElement.id") == "close-sidebar"
    assert not page.do(wide)
    page.key("Escape")
    page.wait("!document.querySelector('#main').inert")
    page.click("#open-sidebar")
    page.wait("document.querySelector('#sidebar').getBoundingClientRect().left === 0")
    page.click("#open-settings")
    page.wait("document.querySelector('#settings').open")
    assert not page.do(wide)
    page.key("Escape")
    page.click("#open-status")
    page.wait("document.querySelector('#totals').innerText.includes('nano')")
    assert not page.do(wide)
    small = page.do("[...document.querySelectorAll('.bar button, .controls button')].filter((e) => "
                    "e.checkVisibility() && e.getBoundingClientRect().height < 24).length")
    assert small == 0, "targets are large enough for a finger"


@test
def it_stays_at_the_end_unless_scrolled_away(w):
    go = threading.Event()

    def script(body, reply):
        reply.begin()
        reply.send(chunk({"content": "line\n\n" * 100}))
        assert go.wait(120)
        reply.send(chunk({"content": "line\n\n" * 100}))
        reply.raw(b"data: [DONE]\n\n")

    w.scripted.script = script
    page = w.open(w.scripted.url)
    at_end = ("(() => { const s = document.querySelector('#scroller'); "
              "return s.scrollHeight > 2000 && s.scrollHeight - s.scrollTop - s.clientHeight < 40; })()")
    page.click("#prompt")
    page.type("go")
    page.key("Enter")
    page.wait(at_end)
    page.do("document.querySelector('#scroller').scrollTop = 100")
    page.wait("!document.querySelector('#latest').hidden")
    go.set()
    page.wait(IDLE + "1")
    assert page.do("document.querySelector('#scroller').scrollTop") == 100
    page.click("#latest")
    page.wait(at_end)


# ---- keyboard and screen reader ----

@test
def everything_by_keyboard(w):
    w.scripted.says("fine")
    page = w.open(w.scripted.url)
    assert page.do("document.activeElement.id") == "prompt"
    page.type("one")
    page.key("Enter", shift=True)
    page.type("two")
    assert page.do("document.querySelector('#prompt').value") == "one\ntwo"
    page.key("Enter")
    page.wait(IDLE + "1")
    assert page.do("document.activeElement.id") == "prompt"
    page.key("ArrowUp")
    page.wait("document.activeElement.matches('.edit-box')")
    page.type("!")
    page.key("Enter")
    page.wait(IDLE + "1 && document.querySelector('.bubble').innerText === 'one\\ntwo!'")
    page.key("n", alt=True)
    page.wait("document.querySelector('#title').innerText === 'New conversation'")
    page.type("three")
    page.key("Enter")
    page.wait(IDLE + "1")
    page.key("ArrowDown", alt=True)
    page.wait("document.querySelector('.bubble').innerText === 'one\\ntwo!'")
    page.key("ArrowUp", alt=True)
    page.wait("document.querySelector('.bubble').innerText === 'three'")
    page.key("t", alt=True)
    assert page.do("document.querySelector('#thinking').getAttribute('aria-pressed')") == "false"
    page.key("i", alt=True)
    page.wait("document.querySelector('#title').innerText === 'Status'")
    page.key("i", alt=True)
    page.wait("document.querySelector('#title').innerText === 'three'")
    for key, dialog in (("k", "settings"), ("h", "shortcuts")):
        page.key(key, alt=True)
        page.wait(f"document.querySelector('#{dialog}').open")
        page.key("Escape")
        page.wait(f"!document.querySelector('#{dialog}').open")
        assert page.do("document.activeElement.id") == "prompt", "focus goes back"


@test
def tab_reaches_everything_and_shows_where_it_is(w):
    page = show_everything(w)
    seen = []
    for _ in range(80):
        page.key("Tab")
        got = page.do("""(() => { const e = document.activeElement, s = getComputedStyle(e);
            return e === document.body ? null : [e.id || e.getAttribute("aria-label") || e.tagName,
                s.outlineStyle !== "none" || e.id === "prompt"]; })()""")
        if got is None:
            continue  # the browser's own
        if len(seen) > 3 and got[0] == seen[0]:
            break
        assert got[1], f"no outline at {got[0]}"
        seen.append(got[0])
    for name in ("skip", "new-chat", "open-status", "open-settings", "switch-theme", "SUMMARY",
                 "Edit message", "Copy message", "Copy code", "Code, c", "Table", "A", "Copy answer",
                 "Answer again", "prompt", "thinking", "model"):
        assert name in seen, (name, seen)
    page.do("document.querySelector('#skip').focus()")
    page.key("Enter")
    assert page.do("document.activeElement.id") == "prompt", "the skip link skips"


@test
def roles_and_names_are_there(w):
    page = show_everything(w)
    must_have = {"button", "link", "textbox", "checkbox", "combobox", "image", "dialog", "region",
                 "navigation", "article"}

    def check(*wanted):
        tree = page.tree()
        nameless = [(r, n) for r, n in tree if r in must_have and not n.strip()]
        assert not nameless, nameless
        missing = [x for x in wanted if x not in tree]
        assert not missing, (missing, tree)

    check(("main", ""), ("navigation", "Conversations"), ("button", "Send"), ("textbox", "Message"),
          ("combobox", "Model"), ("button", "New conversation"), ("button", "Settings"),
          ("article", "Answer"), ("article", "Your message"), ("heading", "Answer"),
          ("heading", "Sorting in C"), ("button", "Copy code"), ("button", "Answer again"),
          ("link", "the manual"), ("table", ""), ("link", "Skip to the message box"),
          ("complementary", "Conversations and settings"))
    levels = page.do("[...document.querySelectorAll('h1')].filter((h) => h.checkVisibility()).length")
    assert levels == 1
    ids = page.do("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids)), "ids are single"
    lost = page.do("""[...document.querySelectorAll("[for],[aria-labelledby],[aria-describedby],[aria-controls]")]
        .flatMap((e) => ["for", "aria-labelledby", "aria-describedby", "aria-controls"]
            .map((a) => e.getAttribute(a)).filter((id) => id && !document.getElementById(id)))""")
    assert lost == [], lost
    assert page.do("document.documentElement.lang") == "en"
    page.click("#open-settings")
    check(("dialog", "Settings"), ("textbox", "Key"), ("textbox", "Temperature"), ("textbox", "Seed"),
          ("checkbox", "Think before answering"), ("combobox", "Theme"), ("button", "Close settings"))
    page.key("Escape")
    page.click("#open-shortcuts")
    check(("dialog", "Shortcuts"))
    page.key("Escape")
    page.click("#open-status")
    page.wait("document.querySelector('#totals').innerText.includes('nano')")
    check(("region", "Tokens drawn"), ("image", "Memory, the last two minutes"),
          ("heading", "Status"))


# ---- status ----

@test
def the_status_is_drawn_live(w):
    page = w.open(w.tenon.url + "#/status")
    page.wait("document.querySelector('#totals').innerText.includes('nano')")
    points = "(document.querySelector('.tile .line').getAttribute('d') || '').split('L').length"
    page.wait(f"{points} >= 2")
    before = w.tenon.status()["tokens"]
    body = {"model": "nano", "messages": [{"role": "user", "content": QUESTION}], "ignore_eos": True,
            "max_tokens": 100}
    w.tenon.ask("POST", "/chat/completions", body)
    wanted = f"{before + 100:,} in all"
    page.wait(f"document.querySelector('.tile-note').innerText === '{wanted}'")
    heights = page.do("document.querySelector('.tile .line').getAttribute('d').slice(1).split('L')"
                      ".map((p) => Number(p.split(' ')[1]))")
    assert min(heights) < 10 and max(heights) > 50, heights
    page.do("location.hash = ''")
    page.wait("!document.querySelector('#chat-view').hidden")
    n = len(page.urls)
    page.wait("new Promise((resolve) => setTimeout(() => resolve(true), 2500))")
    assert len(page.urls) <= n + 1, "nothing is asked for while it is not shown"


@test
def the_status_is_asked_for_once_at_a_time(w):
    go, asked = threading.Event(), []

    def before(path):
        if path == "/status.json":
            asked.append(path)
            go.wait(120)

    w.scripted.before = before
    page = w.open(w.scripted.url + "#/status")
    page.wait("new Promise((resolve) => setTimeout(() => resolve(true), 3500))")
    n = len(asked)
    go.set()
    page.wait("document.querySelector('#totals').innerText.includes('nano')")
    assert n == 1, n


# ---- pictures ----

@test
def pictures(w):
    for name, options in (("desktop-light", {}), ("desktop-dark", {"dark": True}),
                          ("phone", {"width": 390, "height": 844, "touch": True})):
        page = show_everything(w, **options)
        page.do("document.querySelector('#scroller').scrollTop = 0")
        page.shot(PICTURES / f"{name}.png")
        page.do("document.querySelector('#open-settings').click()")
        page.shot(PICTURES / f"{name}-settings.png")
        page.key("Escape")
        page.do("location.hash = '#/status'")
        page.wait("document.querySelector('#totals').innerText.includes('nano')")
        for i in range(3):
            w.tenon.ask("POST", "/chat/completions", {
                "model": "nano", "max_tokens": 20 + 20 * i, "ignore_eos": True,
                "messages": [{"role": "user", "content": QUESTION}]})
        page.wait("document.querySelector('.tile .line').getAttribute('d')?.split('L').length >= 3")
        page.shot(PICTURES / f"{name}-status.png")
        page.do("history.back()")
        page.click("#new-chat" if "phone" not in name else "#new-chat-phone")
        page.shot(PICTURES / f"{name}-empty.png")
    assert len(list(PICTURES.glob("*.png"))) >= 12


def main():
    parts = sys.argv[3:]
    chosen = [t for t in TESTS if not parts or any(part in t.__name__ for part in parts)]
    failed = 0
    with Tenon(PROGRAM, MODEL) as tenon, Tenon(PROGRAM, MODEL, "--api-key", KEY) as keyed, \
            Browser() as browser:
        for function in chosen:
            with Scripted(tenon) as scripted:
                world = World(tenon, keyed, scripted, browser)
                start = time.monotonic()
                try:
                    function(world)
                    world.finish(True)
                    print(f"ok      {function.__name__.replace('_', ' '):60}"
                          f"{time.monotonic() - start:6.1f} s", flush=True)
                except Exception:  # noqa: BLE001
                    failed += 1
                    world.finish(False)
                    print(f"FAILED  {function.__name__}")
                    print("\n".join("        " + line for line in traceback.format_exc()
                                    .splitlines()[3:30]), flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
