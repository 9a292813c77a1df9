"""How it looks: colours, sizes, scrolling, pictures."""

import threading

from harness import IDLE, PICTURES, QUESTION, SAMPLE, ask, test
from servers import chunk

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
