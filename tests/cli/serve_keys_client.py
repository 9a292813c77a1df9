"""Asks a running `tenon serve` with several keys what its clients ask.

    serve_keys_client.py TENON MODEL
"""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import tempfile
import threading

from served import MODEL, QUESTION, TENON, Server, check, main, wait_for


class Folder(tempfile.TemporaryDirectory):
    """A place with a file of keys."""

    def __enter__(self):
        return self

    def path(self, name="keys"):
        return os.path.join(self.name, name)

    def key(self, name, *limits):
        out = subprocess.run([TENON, "key", "new", name, "-f", self.path(), *limits],
                             capture_output=True, text=True, check=True)
        return out.stdout.strip()

    def remove(self, name):
        subprocess.run([TENON, "key", "remove", name, "-f", self.path()], check=True)


def hang_up(server, words):
    """SIGHUP, and what the server says to it once more than before."""
    before = server.said().count(words)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.said().count(words) > before)


def ask(server, key, **fields):
    """Status, answer, seconds of Retry-After or None."""
    body = {"model": "deepseek-chat", "messages": [{"role": "user", "content": QUESTION}],
            "temperature": 0, "max_tokens": 4, "ignore_eos": True, **fields}
    answer, data = server.ask("POST", "/chat/completions", body, authorization=f"Bearer {key}")
    after = answer.getheader("retry-after")
    return answer.status, json.loads(data), after and int(after)


@check
def keys_come_and_go_while_it_runs():
    with Folder() as f:
        ann = f.key("ann")
        with Server("--keys", f.path()) as server:
            assert ask(server, ann)[0] == 200
            assert ask(server, "sk-" + 64 * "0")[0] == 401
            assert server.ask("GET", "/models")[0].status == 401
            assert server.ask("GET", "/models", x_api_key=ann)[0].status == 200
            bob, old = f.key("bob"), f.key("old", "--expires", "2020-01-01")
            assert ask(server, bob)[0] == 401
            hang_up(server, "3 keys")
            assert ask(server, bob)[0] == 200
            assert ask(server, old)[0] == 401
            f.remove("ann")
            hang_up(server, "2 keys")
            assert ask(server, ann)[0] == 401
            with open(f.path(), "a") as file:
                file.write("nonsense\n")
            hang_up(server, "the keys stay as they were")
            assert "line 3" in server.said()
            assert ask(server, bob)[0] == 200


@check
def a_stream_outlives_its_key():
    with Folder() as f:
        ann = f.key("ann")
        with Server("--keys", f.path(), "--ctx", "8192") as server:
            s, got = server.begin_stream(key=ann, max_tokens=2000)
            f.remove("ann")
            hang_up(server, "0 keys")
            assert ask(server, ann)[0] == 401
            while b"[DONE]" not in got:
                piece = s.recv(1 << 16)
                assert piece, got[-300:]
                got += piece
            assert b'"finish_reason":"length"' in got


def refused(got, status, low, high):
    """The message of a refusal, whose Retry-After lies within the bounds."""
    assert got[0] == status, got
    assert got[2] is not None and low <= got[2] <= high, got
    return got[1]["error"]


@check
def limits_are_those_of_the_key():
    with Folder() as f:
        one = f.key("one", "--concurrent", "1")
        two = f.key("two", "--requests", "2")
        few = f.key("few", "--tokens", "100")
        day = f.key("day", "--daily", "120")
        fit = f.key("fit", "--models", "deepseek-chat")
        own = f.key("own", "--models", "other,nano")
        with Server("--keys", f.path(), "--ctx", "100000") as server:
            s, _ = server.begin_stream(key=one)
            error = refused(ask(server, one), 429, 1, 1)
            assert error["type"] == "rate_limit_error" and "1 requests at once" in error["message"]
            assert ask(server, two)[0] == 200  # others have their own
            assert ask(server, two)[0] == 200
            refused(ask(server, two), 429, 1, 30)
            assert server.ask("GET", "/models", x_api_key=two)[0].status == 200
            s.close()
            wait_for(lambda: ask(server, one)[0] == 200)

            status, got, _ = ask(server, few, max_tokens=4)
            assert status == 200
            used = got["usage"]["total_tokens"]
            assert 20 < used < 50, used
            error = refused(ask(server, few, max_tokens=90), 429, 1, used * 60 // 100 + 1)
            assert "100 tokens per minute" in error["message"], error

            finishes = []
            for _ in range(9):
                status, got, after = ask(server, day, max_tokens=50, ignore_eos=True)
                if status != 200:
                    break
                finishes.append((got["choices"][0]["finish_reason"], got["usage"]["total_tokens"]))
            error = refused((status, got, after), 402, 1, 86400)
            assert error["message"] == "Insufficient Balance" and error["type"] == "unknown_error"
            assert len(finishes) == 2 and sum(n for _, n in finishes) == 120, finishes
            assert all(finish == "length" for finish, _ in finishes), finishes

            assert ask(server, fit)[0] == 200
            status, got, _ = ask(server, fit, model="deepseek-reasoner")
            assert status == 403 and got["error"]["param"] == "model", got
            assert ask(server, fit, model="gpt-4")[0] == 404
            assert ask(server, own, model="deepseek-reasoner")[0] == 200
            for path in ("/completion", "/tokenize"):  # a model may be left out there
                body = {"prompt": "x", "n_predict": 1}
                assert server.ask("POST", path, body, x_api_key=fit)[0].status == 403, path
                assert server.ask("POST", path, body, x_api_key=own)[0].status == 200, path


@check
def a_new_reading_changes_limits_and_forgets_nothing():
    with Folder() as f:
        ann = f.key("ann", "--requests", "1")
        with Server("--keys", f.path()) as server:
            assert ask(server, ann)[0] == 200
            refused(ask(server, ann), 429, 1, 60)
            hang_up(server, "1 keys")
            refused(ask(server, ann), 429, 1, 60)
            with open(f.path()) as file:
                text = file.read()
            with open(f.path(), "w") as file:
                file.write(text.replace("requests=1", "requests=2"))
            hang_up(server, "1 keys")
            assert ask(server, ann)[0] == 200
            refused(ask(server, ann), 429, 1, 30)


@check
def a_queue_ends_what_waits_too_long():
    with Folder() as f:
        ann = f.key("ann")
        options = ("--ctx", "1000000", "--max-streams", "1", "--max-wait", "3")
        with Server("--keys", f.path(), "--max-queue-tokens", "40", *options) as server:
            s, _ = server.begin_stream(key=ann)
            error = refused(ask(server, ann), 503, 1, 1)
            assert "3 seconds" in error["message"], error
            codes = []
            both = [threading.Thread(target=lambda: codes.append(ask(server, ann)[0]))
                    for _ in range(2)]
            for t in both:
                t.start()
            for t in both:
                t.join()
            assert sorted(codes) == [429, 503], codes  # two prompts of 30 tokens are too many
            s.close()


@check
def the_audit_log_tells_who_and_how_much():
    with Folder() as f:
        ann, low = f.key("ann"), f.key("low", "--requests", "1")
        log = f.path("audit")

        def lines(path=log):
            with open(path) as file:
                text = file.read()
            assert QUESTION[:9] not in text
            return [json.loads(line) for line in text.splitlines()]

        with Server("--keys", f.path(), "--audit-log", log, "--ctx", "100000") as server:
            answer, got = server.ask(
                "POST", "/v1/chat/completions",
                {"model": "deepseek-chat", "messages": [{"role": "user", "content": QUESTION}],
                 "thinking": {"type": "enabled"}, "temperature": 0, "user": "zorro"},
                x_api_key=ann, x_request_id="mine-1")
            usage = json.loads(got)["usage"]
            wait_for(lambda: lines())
            line, = lines()
            assert answer.getheader("x-request-id") == line["request_id"] == "mine-1"
            assert line["key"] == "ann" and line["endpoint"] == "/chat/completions", line
            assert line["status"] == 200 and line["finish"] == "stop" and line["model"] == "nano"
            assert line["prompt_tokens"] == usage["prompt_tokens"], (line, usage)
            assert line["completion_tokens"] == usage["completion_tokens"] > 0
            reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
            assert line["reasoning_tokens"] == reasoning > 0
            assert line["cached_tokens"] == usage["prompt_cache_hit_tokens"]
            assert 0 <= line["queue_ms"] <= line["first_token_ms"] <= line["total_ms"], line
            assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
            assert "zorro" not in json.dumps(line)

            ask(server, low)
            refused(ask(server, low), 429, 1, 60)
            ask(server, "sk-stranger")
            ask(server, ann, model="gpt-4")
            s, _ = server.begin_stream(key=ann)
            s.close()
            wait_for(lambda: len(lines()) == 5)
            assert [(x["key"], x["status"], x["finish"]) for x in lines()[1:]] == [
                ("low", 200, "length"), ("low", 429, None), ("ann", 404, None),
                ("ann", 499, "cancelled")], lines()
            assert all(x["request_id"] for x in lines())
            assert lines()[2]["first_token_ms"] is None and lines()[4]["first_token_ms"] > 0

            os.rename(log, log + ".1")
            hang_up(server, "2 keys")
            ask(server, ann)
            wait_for(lambda: os.path.exists(log) and lines())
            assert len(lines()) == 1 and len(lines(log + ".1")) == 5
        with Server("--keys", f.path(), "--audit-log", "/dev/full") as server:
            for _ in range(3):
                assert ask(server, ann)[0] == 200
            wait_for(lambda: "No space left on device; lines are lost" in server.said())


@check
def pages_of_one_origin_may_ask():
    origin = "https://app.example:8443"
    body = {"model": "deepseek-chat", "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": 2}
    with Folder() as f:
        ann = f.key("ann")
        with Server("--keys", f.path(), "--cors", origin) as server:
            answer, data = server.ask(
                "OPTIONS", "/v1/chat/completions", origin=origin,
                access_control_request_method="POST",
                access_control_request_headers="authorization,x-stainless-os")
            assert answer.status == 204 and data == b"", answer.status
            assert answer.getheader("access-control-allow-origin") == origin
            assert "POST" in answer.getheader("access-control-allow-methods")
            allowed = answer.getheader("access-control-allow-headers")
            assert allowed == "authorization,x-stainless-os", allowed
            for fields, key, status in (({}, ann, 200), ({"stream": True}, ann, 200),
                                        ({"n": 99}, ann, 422), ({}, "no", 401)):
                answer, _ = server.ask("POST", "/chat/completions", {**body, **fields},
                                       origin=origin, authorization=f"Bearer {key}")
                assert answer.status == status, answer.status
                assert answer.getheader("access-control-allow-origin") == origin
                assert answer.getheader("vary") == "origin"
                assert "retry-after" in answer.getheader("access-control-expose-headers")
            answer, _ = server.ask("OPTIONS", "/nothing")
            assert answer.status == 404
            assert answer.getheader("access-control-allow-origin") == origin
    with Server("--cors", "*") as server:
        answer, _ = server.ask("GET", "/models")
        assert answer.getheader("access-control-allow-origin") == "*"
        assert answer.getheader("vary") is None
        for method in ("OPTIONS", "GET"):  # a page may not lend it a name
            assert server.ask(method, "/models", host="evil.example")[0].status == 403
    with Server() as server:
        assert server.ask("OPTIONS", "/models", origin=origin)[0].status == 405
        answer, _ = server.ask("GET", "/models", origin=origin)
        assert answer.getheader("access-control-allow-origin") is None


@check
def options_come_from_a_file_and_the_command_line_wins():
    with Folder() as f:
        ann = f.key("ann")
        with open(f.path("config"), "w") as file:
            file.write(f"# of a test\n\nmodel = {MODEL}\nserved-model-name = from file\n"
                       f"keys = {f.path()}\ncors = *\ndeepseek-compat = false\nport = 1\n"
                       "threads = 1\n")
        for options, name in (((), "from file"), (("--served-model-name", "mine"), "mine")):
            with Server("--config", f.path("config"), *options, model=()) as server:
                answer, data = server.ask("GET", "/models", x_api_key=ann)
                assert answer.getheader("access-control-allow-origin") == "*"
                assert json.loads(data)["data"][0]["id"] == name, data
                assert server.ask("GET", "/models")[0].status == 401
        with open(f.path("key"), "w") as file:
            file.write("sk-of-the-file\r\n")
        with open(f.path("keyed"), "w") as file:
            file.write(f"api-key-file = {f.path('key')}\nport = 0\n")
        for options, key in (((), "sk-of-the-file"), (("--api-key", "sk-of-the-line"), "sk-of-the-line")):
            with Server("--config", f.path("keyed"), *options) as server:
                assert [ask(server, k)[0] for k in (key, "sk-of-nobody")] == [200, 401], key
        with open(f.path("config"), "a") as file:
            file.write("colour = red\n")
        failed = subprocess.run([TENON, "serve", "--config", f.path("config")],
                                capture_output=True, text=True)
        assert failed.returncode == 1 and "line 10" in failed.stderr, failed
        assert 'no option "colour"' in failed.stderr, failed


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder.path("tls.key"),
                    "-out", folder.path("tls.pem")], check=True, capture_output=True)


def https(server, folder):
    """A connection that has found the certificate of the folder to be the server's."""
    context = ssl.create_default_context(cafile=folder.path("tls.pem"))
    c = http.client.HTTPSConnection(server.host, server.port, timeout=120, context=context)
    c.connect()
    return c


@check
def https_is_answered_and_its_certificate_changes():
    with Folder() as f:
        make_certificate(f, "first")
        tls = ("--tls-cert", f.path("tls.pem"), "--tls-key", f.path("tls.key"))
        with Server(*tls, "--ctx", "8192") as server:
            assert "can be read by all" not in server.said()
            body = json.dumps({"model": "deepseek-chat", "stream": True, "max_tokens": 1500,
                               "messages": [{"role": "user", "content": QUESTION}],
                               "ignore_eos": True})
            first = https(server, f)
            first.request("POST", "/chat/completions", body)
            answer = first.getresponse()
            got = answer.read1(300)
            assert answer.status == 200 and got
            make_certificate(f, "second")
            hang_up(server, "is used from now on")
            second = https(server, f)  # it knows the new one alone
            second.request("GET", "/health")
            assert second.getresponse().read() == b'{"status":"ok"}'
            got += answer.read()
            assert b"data: [DONE]" in got and b'"finish_reason":"length"' in got
            os.unlink(f.path("tls.key"))
            hang_up(server, "the certificate stays as it was")
            assert f.path("tls.key") in server.said()
            third = https(server, f)
            third.request("GET", "/health")
            assert third.getresponse().status == 200
            try:
                server.ask("GET", "/health")
                raise AssertionError("without TLS")
            except (http.client.HTTPException, ConnectionError):
                pass
            for c in (first, second, third):
                c.close()
        make_certificate(f, "third")
        os.chmod(f.path("tls.key"), 0o644)
        with Server(*tls) as server:
            assert "can be read by all" in server.said()


if __name__ == "__main__":
    main()
