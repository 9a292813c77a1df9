"""What goes wrong is told."""

import threading

from harness import IDLE, ask, test
from servers import Scripted, chunk

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
