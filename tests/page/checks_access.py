"""Keyboard, screen readers, and the status."""

import threading

from harness import IDLE, QUESTION, test
from checks_looks import show_everything

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
