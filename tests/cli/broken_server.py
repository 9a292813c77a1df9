"""A server of chat answers that breaks them in the way its path names. Prints its port.

    POST /MANNER/chat/completions
"""

import socketserver

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
LAST = b'data: {"choices":[{"delta":{"content":""},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"no"}}\n\n'


def chunks(*parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)


END = b"0\r\n\r\n"
MANNERS = {
    "whole": HEAD + chunks(TEXT, TEXT, LAST, DONE) + END,
    "cut": HEAD + chunks(TEXT, TEXT),
    "no-done": HEAD + chunks(TEXT, LAST) + END,
    "no-reason": HEAD + chunks(TEXT, DONE) + END,
    "error": HEAD + chunks(TEXT, ERROR) + END,
    "nonsense": HEAD + chunks(b"data: x\n\n", DONE) + END,
    "no-stream": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "no-http": b"SSH-2.0-x\r\n",
    "mute": b"",
    "late": HEAD + chunks(TEXT),
}


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            manner, size = line.split(b"/")[1].decode(), 0
            while (field := self.rfile.readline().strip()):
                if field.lower().startswith(b"content-length:"):
                    size = int(field.split(b":")[1])
            self.rfile.read(size)
            self.wfile.write(MANNERS[manner])
            if manner == "late":
                self.rfile.read(1)  # until the client goes
            if manner != "whole":
                return


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


with Server(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
