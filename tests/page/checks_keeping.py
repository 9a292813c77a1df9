"""Conversations that are kept, and settings."""

import json
import pathlib
import tempfile
import threading
import time

from harness import IDLE, KEY, QUESTION, ask, conversations, set_field, test
from servers import answer_of, chunk

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
