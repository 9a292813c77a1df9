"""Asks a running `tenon serve` for the page and the status. Only the standard library.

    page_client.py TENON MODEL
"""

import json
import time

from served import Server, check, main


def status(server, **headers):
    answer, data = server.ask("GET", "/status.json", **headers)
    assert answer.status == 200, (answer.status, data)
    assert answer.getheader("cache-control") == "no-store"
    return json.loads(data)


@check
def the_page_is_there_under_every_base(server):
    for base in ("", "/v1", "/beta"):
        answer, data = server.ask("GET", f"{base}/")
        assert answer.status == 200 and data.startswith(b"<!doctype html>"), (base, answer.status)
        answer, data = server.ask("GET", f"{base}/page/app.js")
        assert answer.status == 200 and len(data) > 1000, (base, answer.status)
    assert server.ask("GET", "/page/nothing.js")[0].status == 404
    assert server.ask("POST", "/", "x")[0].status == 405


@check
def the_status_has_numbers_alone(server):
    now = status(server)
    for name in ("context", "connections", "running", "max_running", "waiting", "max_waiting",
                 "reserved_bytes", "memory_bytes", "steps", "prompt_rows", "tokens",
                 "prompt_tokens", "reused_tokens", "drafts", "drafts_right", "cache_entries",
                 "cache_bytes", "cache_disk_bytes"):
        assert type(now.pop(name)) is int, name
    assert type(now.pop("uptime_seconds")) is float
    assert now.pop("stopping") is False
    assert set(now) == {"version", "model"} and now["model"] == "nano", now


@check
def an_answer_is_counted(server):
    before = status(server)
    _, got = server.chat(seed=3, max_tokens=30)
    after = status(server)
    usage = got["usage"]
    assert after["tokens"] - before["tokens"] == usage["completion_tokens"], (before, after, usage)
    fed = after["prompt_tokens"] - before["prompt_tokens"]
    reused = after["reused_tokens"] - before["reused_tokens"]
    assert fed + reused == usage["prompt_tokens"] and fed > 0, (before, after, usage)
    assert after["prompt_rows"] - before["prompt_rows"] >= fed - 1, (before, after)
    assert after["steps"] > before["steps"]
    assert after["running"] == after["waiting"] == 0
    assert 0 < after["memory_bytes"] and after["uptime_seconds"] > before["uptime_seconds"]


@check
def an_answer_under_way_is_seen(server):
    before = status(server)
    stream, _ = server.begin_stream()
    now = status(server)
    assert now["running"] == 1 and now["max_running"] == 4, now
    assert 0 < now["reserved_bytes"] <= now["memory_bytes"], now
    assert now["tokens"] > before["tokens"], "tokens are counted as they are drawn"
    stream.close()
    while status(server)["running"]:
        time.sleep(0.01)


def keys():
    """The page is open, so that a key can be entered; the status is not."""
    with Server("--api-key", "a-key-of-the-test") as server:
        assert server.ask("GET", "/")[0].status == 200
        assert server.ask("GET", "/page/style.css")[0].status == 200
        assert server.ask("GET", "/status.json")[0].status == 401
        status(server, authorization="Bearer a-key-of-the-test")


if __name__ == "__main__":
    main("--ctx", "4096", "--max-streams", "4", alone=(keys,))
