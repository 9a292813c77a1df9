"""Markdown, and that the model's text stays text."""

import json

from harness import SAMPLE, ask, test

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
