"""The servers that the page is tried on: `tenon serve`, and one that takes the page from it but answers
chat requests as a test says."""

import http.client
import json
import re
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Tenon:
    def __init__(self, program, model, *options):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([program, "serve", model, "--port", "0", *options],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)$", line.strip())
        if not found:
            self.log.seek(0)
            raise AssertionError(f"the server did not start: {line} {self.log.read()}")
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=120) == 0, "the server ended badly"
        self.process.stdout.close()
        self.log.close()

    def ask(self, method, path, body=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        c.request(method, path, None if body is None else json.dumps(body), headers)
        answer = c.getresponse()
        data = answer.read()
        c.close()
        return answer, data

    def status(self):
        return json.loads(self.ask("GET", "/status.json")[1])


def chunk(delta=None, finish=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": choices, **more}


def answer_of(content, reasoning=None):
    """The parts of a whole answer."""
    parts = [chunk({"role": "assistant", "content": ""})]
    if reasoning:
        parts.append(chunk({"content": None, "reasoning_content": reasoning}))
    parts += [chunk({"content": content}), chunk({"content": ""}, "stop"),
              chunk(usage={"prompt_tokens": 9, "completion_tokens": 7, "prompt_cache_hit_tokens": 0})]
    return parts


class Scripted:
    """`script` is called with each chat request's body and a Reply, in a thread of its own."""

    def __init__(self, tenon):
        self.script = None
        self.before = lambda path: None  # called before a file is given
        self.gone = False  # connections that are open get no more answers
        self.bodies = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def do_GET(self):
                if server.gone:
                    self.close_connection = True
                    return
                server.before(self.path)
                answer, data = tenon.ask("GET", self.path, **{
                    k: v for k, v in self.headers.items() if k.lower() == "authorization"})
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "date", "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.close_connection = True
                if server.gone:
                    return
                server.bodies.append(body)
                server.script(body, Reply(self))

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gone = True
        self.http.shutdown()
        self.http.server_close()

    def says(self, content, reasoning=None):
        self.script = lambda body, reply: reply.whole(answer_of(content, reasoning))


class Reply:
    def __init__(self, handler):
        self.handler = handler

    def begin(self):
        self.handler.send_response(200)
        self.handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def raw(self, data):
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def wait_until_gone(self):
        """Says nothing more until the page has closed the connection."""
        self.handler.connection.settimeout(120)
        try:
            assert self.handler.connection.recv(1) == b"", "the page says something"
        except ConnectionResetError:
            pass

    def send(self, *parts):
        for part in parts:
            self.raw(f"data: {json.dumps(part)}\n\n".encode())

    def whole(self, parts):
        self.begin()
        self.send(*parts)
        self.raw(b"data: [DONE]\n\n")

    def refuse(self, status, message="", **headers):
        text = json.dumps({"error": {"message": message}}).encode()
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Content-Length", str(len(text)))
        self.handler.end_headers()
        self.handler.wfile.write(text)
