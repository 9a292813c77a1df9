"""A headless Chromium, driven over the DevTools protocol.

    with Browser() as browser:
        page = browser.open(url, width=1280, height=800, dark=False)
        page.click("#send")
        page.wait("document.title === 'x'")
        page.close()

Every page has a storage of its own. Waiting is for conditions, with a limit that only a failed test meets.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import websocket

LIMIT = 120  # seconds
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
KEYS = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "ArrowUp": (38, ""),
        "ArrowDown": (40, ""), "End": (35, ""), " ": (32, " ")}


class Browser:
    def __enter__(self):
        program = next(filter(None, map(shutil.which, NAMES)), None)
        assert program, "no Chromium: tools/deps page installs one"
        self.folder = tempfile.TemporaryDirectory()
        self.log = open(pathlib.Path(self.folder.name) / "log", "w+")
        self.process = subprocess.Popen(
            [program, "--headless", "--remote-debugging-port=0", "--no-sandbox", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-gpu",
             "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars",
             "--remote-allow-origins=*", "--font-render-hinting=none",
             f"--user-data-dir={self.folder.name}/profile", "about:blank"],
            stdout=self.log, stderr=self.log)
        address = self.find_address()
        self.socket = websocket.create_connection(address, timeout=LIMIT)
        self.last_id = 0
        self.pages = {}
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(timeout=20)
        except Exception:  # noqa: BLE001 - it has to go, however
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def find_address(self):
        port = pathlib.Path(self.folder.name) / "profile" / "DevToolsActivePort"
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            lines = port.read_text().split() if port.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        self.log.seek(0)
        raise AssertionError(f"the browser did not start: {self.log.read()[-2000:]}")

    def call(self, method, session=None, **params):
        self.last_id += 1
        wanted = self.last_id
        message = {"id": wanted, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        while True:
            got = json.loads(self.socket.recv())
            if got.get("id") == wanted:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error'].get('message')}")
                return got["result"]
            if "method" in got:
                page = self.pages.get(got.get("sessionId"))
                if page:
                    page.take(got["method"], got["params"])

    def open(self, url, **options):
        return Page(self, url, **options)


class Page:
    def __init__(self, browser, url, width=1280, height=800, dark=False, touch=False, rewrite=None,
                 beside=None):
        """rewrite: a function of the JSON body of chat requests, which changes it on its way. beside: a page
        whose storage it shares."""
        self.browser = browser
        self.rewrite = rewrite
        self.errors, self.urls, self.bodies = [], [], []
        self.context = (beside.context if beside else
                        browser.call("Target.createBrowserContext")["browserContextId"])
        self.owns_context = beside is None
        self.target = target = browser.call("Target.createTarget", url="about:blank",
                              browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target,
                                    flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility", "DOM"):
            self.call(f"{domain}.enable")
        if rewrite:
            self.call("Fetch.enable", patterns=[{"urlPattern": "*/chat/completions"}])
        self.size(width, height, touch)
        self.scheme(dark)
        self.go(url)

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    def take(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.urls.append(params["request"]["url"])
            if params["request"]["url"].endswith("/chat/completions"):
                self.bodies.append(json.loads(params["request"]["postData"]))
        elif method == "Fetch.requestPaused":
            self.pass_on(params)

    def pass_on(self, params):
        body = self.rewrite(json.loads(params["request"]["postData"]))
        text = base64.b64encode(json.dumps(body).encode()).decode()
        # No answer is awaited: this is inside the reading of another's.
        self.browser.last_id += 1
        self.browser.socket.send(json.dumps({
            "id": self.browser.last_id, "sessionId": self.session, "method": "Fetch.continueRequest",
            "params": {"requestId": params["requestId"], "postData": text}}))

    def close(self):
        del self.browser.pages[self.session]
        self.browser.call("Target.closeTarget", targetId=self.target)
        if self.owns_context:
            self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)

    # ---- what it looks like ----

    def size(self, width, height, touch=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if touch else 1, mobile=touch)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)

    def scheme(self, dark):
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def shot(self, path):
        picture = self.call("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_bytes(base64.b64decode(picture))

    # ---- what it says ----

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.documentElement.dataset.ready === 'true'")

    def reload(self):
        self.do("document.documentElement.dataset.ready = 'old'")
        self.call("Page.reload")
        self.wait("document.documentElement.dataset.ready === 'true'")

    def do(self, code):
        """The value of an expression; promises are awaited."""
        got = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            details = got["exceptionDetails"]
            raise RuntimeError(f"{code}: {details.get('exception', {}).get('description', details)}")
        return got["result"].get("value")

    def wait(self, condition):
        end = time.monotonic() + LIMIT
        while True:
            try:
                value = self.do(condition)
            except RuntimeError:  # between two documents
                value = None
            if value not in (None, False, 0, ""):  # an element is {}
                return value
            if time.monotonic() > end:
                raise AssertionError(f"still not: {condition}; errors: {self.errors}; the page: "
                                     f"{self.do('document.body.innerText')[:1500]}")
            time.sleep(0.02)

    def text(self, selector):
        return self.do(f"document.querySelector({json.dumps(selector)})?.innerText")

    def texts(self, selector):
        return self.do(f"[...document.querySelectorAll({json.dumps(selector)})].map(x => x.innerText)")

    # ---- what a user does ----

    def click(self, selector, nth=0):
        """At the middle of the element, which must be what is hit there."""
        place = self.wait(f"""(() => {{
            const e = document.querySelectorAll({json.dumps(selector)})[{nth}];
            if (!e) return null;
            e.scrollIntoView({{block: "nearest"}});
            const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2;
            const hit = document.elementFromPoint(x, y);
            return hit && (e.contains(hit) || hit.contains(e)) ? [x, y] : null;
        }})()""")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left",
                      clickCount=0 if kind == "mouseMoved" else 1)

    def hover(self, selector, nth=0):
        x, y = self.do(f"""(() => {{
            const r = document.querySelectorAll({json.dumps(selector)})[{nth}].getBoundingClientRect();
            return [r.x + r.width / 2, r.y + r.height / 2]; }})()""")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def key(self, key, alt=False, shift=False):
        code, text = KEYS.get(key, (ord(key.upper()[0]), key))
        modifiers = (1 if alt else 0) + (8 if shift else 0)
        common = {"key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code,
                  "code": f"Key{key.upper()}" if len(key) == 1 and key.isalpha() else key}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text and not alt else "rawKeyDown",
                  **({"text": text} if text and not alt else {}), **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def fill(self, selector, text):
        """Replaces what is in a field, as by typing."""
        self.do(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.focus(); "
                "e.select(); })()")
        if text:
            self.type(text)
        else:
            self.call("Input.dispatchKeyEvent", type="rawKeyDown", key="Delete", code="Delete",
                      windowsVirtualKeyCode=46)
            self.call("Input.dispatchKeyEvent", type="keyUp", key="Delete", code="Delete",
                      windowsVirtualKeyCode=46)
        self.do("document.activeElement.dispatchEvent(new Event('change', {bubbles: true}))")

    def tree(self):
        """The accessibility tree: [(role, name)] of what is not ignored."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes
                if not n.get("ignored")]
