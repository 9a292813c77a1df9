"""Talks to `tenon chat` through a terminal: chat_pty.py TENON MODEL FOLDER. Prints a line per check."""
import json
import os
import pty
import re
import select
import signal
import sys
import time

TENON, MODEL, FOLDER = sys.argv[1:4]
PATIENCE = 60  # seconds; only a hang takes so long
H, ESCAPE = 42, 218  # token ids of the bytes H and ESC
failed = False


def say(ok, name, more=""):
    global failed
    failed |= not ok
    print(("ok      " if ok else "FAILED  ") + name + ("" if ok else "  " + repr(more)))


class Chat:
    def __init__(self, *options):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(TENON, [TENON, "chat", MODEL, *options])

    def read(self):
        """More output, or False at the end of it."""
        ready, _, _ = select.select([self.fd], [], [], 0.2)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data
        return bool(data)

    def expect(self, pattern):
        """The output up to the end of pattern; what follows stays for the next call. None: never."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            m = re.search(pattern, self.seen, re.S)
            if m:
                out, self.seen = self.seen[: m.end()], self.seen[m.end():]
                return out
            if not self.read():
                break
        say(False, "waiting for %r" % pattern, self.seen[-300:])
        return None

    def send(self, data):
        os.write(self.fd, data)

    def ask(self, line):
        """What comes back for a line, up to the next prompt. The terminal echoes the line."""
        self.send(line.encode() + b"\n")
        out = self.expect(rb"\r\n> $") or b""
        return out.split(b"\r\n", 1)[-1].removesuffix(b"> ").replace(b"\r\n", b"\n")

    def status(self):
        """Exit status; the program is killed when it does not end."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        return "none"


def commands():
    c = Chat("-n", "5", "--logit-bias", "%d=1000" % H, "--seed", "1")
    say(c.expect(rb"> $") is not None, "a prompt")
    out = c.ask("/help")
    say(all(w in out for w in (b"/undo", b"/save", b"/stats", b"Ctrl-D")), "/help", out)
    out = c.ask("one")
    say(out == b"\x1b[2mHHHHH\x1b[0m\n", "thinking is dimmed", out)
    say(c.ask("/think off") == b"(it answers at once)\n", "/think off")
    out = c.ask("two")
    say(out == b"HHHHH\n", "an answer", out)
    out = c.ask("three")
    say(out == b"HHHHH\n", "another", out)
    out = c.ask("/stats")
    m = re.search(rb"(\d+) prompt tokens \((\d+) reused\)", out)
    say(bool(m) and 0 < int(m[2]) < int(m[1]), "a turn reuses what the last one left", out)
    out = c.ask("/undo")
    say(b"gone" in out, "/undo", out)
    out = c.ask("/system Be brief.")
    say(b"set" in out, "/system", out)
    name = os.path.join(FOLDER, "chat.json")
    out = c.ask("/save " + name)
    say(b"5 messages" in out, "/save", out)
    with open(name) as f:
        roles = [(m["role"], m["content"]) for m in json.load(f)]
    say(roles == [("system", "Be brief."), ("user", "one"), ("assistant", ""), ("user", "two"),
                  ("assistant", "HHHHH")], "what was saved", roles)
    say(b"new conversation" in c.ask("/clear"), "/clear")
    say(b"nothing to undo" in c.ask("/undo"), "nothing to undo")
    out = c.ask("/load " + name)
    say(b"5 messages" in out, "/load", out)
    out = c.ask("three")
    say(out == b"HHHHH\n", "it goes on from what was loaded", out)
    say(b"No such file" in c.ask("/load " + name + "x"), "a file that is not there")
    say(b"temperature 0.5" in c.ask("/temp 0.5"), "/temp")
    say(b"tenon: " in c.ask("/temp -3"), "a temperature that is none")
    say(b"no command /fly" in c.ask("/fly"), "a command that is none")
    say(c.ask("four") == b"HHHHH\n", "after all that it still answers")
    c.send(b"half a line")
    c.expect(rb"half a line")
    c.send(b"\x03")
    out = c.expect(rb"> $")
    say(out is not None and b"Ctrl-D or /exit ends" in out, "Ctrl-C at the prompt clears the line", out)
    out = c.ask("five")
    say(out == b"HHHHH\n", "and the line is gone", out)
    c.send(b"\x04")
    say(c.status() == 0, "Ctrl-D ends")


def interrupts():
    c = Chat("--chat", "--ignore-eos", "--logit-bias", "%d=1000" % H)
    c.expect(rb"> $")
    for turn in range(3):
        c.send(b"go\n")
        c.expect(rb"HHHHHHHHHH")
        c.send(b"\x03")
        out = c.expect(rb"\r\n> $")
        say(out is not None and b"(stopped)" in out, "Ctrl-C stops answer %d" % turn, out and out[-80:])
    out = c.ask("/stats")
    say(b"reused" in out, "and not the program", out)
    c.send(b"/exit\n")
    say(c.status() == 0, "/exit ends")


def terminal_is_safe():
    c = Chat("--chat", "-n", "4", "--logit-bias", "%d=1000" % ESCAPE)
    c.expect(rb"> $")
    out = c.ask("x")
    say(out == b"????\n", "the model cannot send escapes", out)
    c.send(b"\x04")
    c.status()


def run_on_a_terminal():
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(TENON, [TENON, "run", MODEL, "-p", "x", "--ignore-eos", "--logit-bias", "%d=1000" % H])
    c = Chat.__new__(Chat)
    c.seen, c.pid, c.fd = b"", pid, fd
    c.expect(rb"\x1b\[2mHHHHHHHHHH")
    c.send(b"\x03")
    say(c.expect(rb"\x1b\[0m") is not None, "run: Ctrl-C leaves the terminal as it was")
    say(c.status() == 130, "run: and the exit status of an interrupt")


commands()
interrupts()
terminal_is_safe()
run_on_a_terminal()
sys.exit(failed)
