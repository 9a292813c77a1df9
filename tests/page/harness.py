"""What the tests of the page share: the worlds they run in, and what they do in each.

A file of tests decorates them with @test; they run in the order of the files in test_page.py.
"""

import json
import pathlib
import sys
import time
import traceback

from browser import Browser
from servers import Scripted, Tenon

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


def main():
    """Runs the tests, or those whose names hold a part that is asked for; the exit status."""
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
