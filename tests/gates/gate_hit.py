#!/usr/bin/env python3
"""Gate 10: what comes from the prefix cache has the bytes of a cold run.

Conversations grow turn by turn, beginnings and split points at random, on servers that are started again and
again: with little memory, so that entries go all the time, and with a directory that outlives them. Eight ask at
once. Afterwards each body is answered alone, by `tenon run --request` (raw text: by `tenon run --raw`, and by a
server without a cache), and every byte of text, reasoning, calls, log-probabilities and why it ended must be the
same.
"""

import concurrent.futures
import json
import os
import random
import re
import subprocess
import tempfile

from gate import MODEL, TENON, Checks, Server, arguments

CLIENTS = 8
PER_SERVER = 160
SHAPE = ("--ctx", "4096", "--max-streams", str(CLIENTS))
# Each is a server's; with a directory it is the same one for all of them.
CACHES = [("--cache-memory", "4M", "--cache-every", "64"),
          ("--cache-memory", "16M", "--cache-every", "96", "--cache-dir"),
          ("--cache-memory", "6M", "--cache-every", "48", "--cache-dir")]
WORDS = ("apple sum of three and seven times the number that Tom Ann has left when each buys sells "
         "gives two 14 27 35 410 minus plus equals sort list 9, 4, 7 first then last é 数 \n why? how many").split(" ")
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer", "maximum": 999},
          "unit": {"enum": ["kg", "m"]}}, "required": ["answer", "unit"]}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}}
REGEX = "[a-z]{1,8}( [0-9]{1,3}){2}"


def words(rnd, least, most):
    return " ".join(rnd.choice(WORDS) for _ in range(rnd.randint(least, most)))


class Texts:
    """What many conversations begin with."""

    def __init__(self, seed):
        rnd = random.Random(f"{seed} texts")
        self.systems = [words(rnd, *sizes) for sizes in ((8, 20), (20, 50), (50, 90), (100, 160))]
        self.documents = [words(rnd, 80, 220) for _ in range(4)]


class Conversation:
    """One that goes on with the answers it got. What it asks hangs on its seed alone."""

    def __init__(self, texts, name):
        self.texts, self.rnd = texts, random.Random(name)
        rnd = self.rnd
        self.path = rnd.choice(("/chat/completions",) * 5 + ("/v1/messages", "/responses", "/completions"))
        self.system = rnd.choice(texts.systems + [None])
        self.salt = rnd.choice((None, None, None, "a"))
        self.messages = []
        self.raw = self.beginning() if self.path == "/completions" else ""

    def beginning(self):
        """Of a text that others begin with, too, up to anywhere."""
        text = self.rnd.choice(self.texts.documents)
        return text[:self.rnd.randint(8, len(text))] if self.rnd.random() < 0.8 else words(self.rnd, 10, 40)

    def say(self):
        rnd = self.rnd
        if not self.messages and rnd.random() < 0.35:
            return self.beginning()
        return words(rnd, 3, 25)

    def sampling(self):
        rnd = self.rnd
        fields = {"seed": rnd.randrange(1 << 30), "temperature": rnd.choice((0, 0, 0.7, 1, 1.5)),
                  "max_tokens": rnd.randint(1, 20)}
        if rnd.random() < 0.3:
            fields["top_p"] = rnd.choice((0.5, 0.9))
        return fields

    def next(self):
        """(path, body, the body of /chat/completions that means the same; None: raw text)"""
        return self.next_raw() if self.path == "/completions" else self.next_chat()

    def next_raw(self):
        rnd = self.rnd
        self.raw += " " + self.say()
        body = {"model": "deepseek-chat", "prompt": self.raw, "add_special_tokens": False,
                "n": rnd.choice((1, 1, 3)), "stream": rnd.random() < 0.4, **self.sampling()}
        if rnd.random() < 0.4:
            body["logprobs"] = rnd.randint(0, 3)
        return self.path, body, None

    def next_chat(self):
        rnd = self.rnd
        self.messages.append({"role": "user", "content": self.say()})
        system = [{"role": "system", "content": self.system}] if self.system else []
        chat = {"model": "deepseek-chat", "messages": system + self.messages, **self.sampling(),
                "thinking": {"type": rnd.choice(("enabled", "disabled"))}}
        if chat["thinking"]["type"] == "enabled":
            chat["reasoning_effort"] = "high"
        if rnd.random() < 0.2:
            chat["stop"] = [rnd.choice(("1", "2", " the"))]
        form = rnd.choice((None,) * 4 + ("schema", "regex", "call"))
        if form == "schema":
            chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA}}
        stream = rnd.random() < 0.5
        if self.path != "/chat/completions":
            make = as_messages if self.path == "/v1/messages" else as_response
            if self.path == "/responses":
                chat.pop("stop", None)
            return self.path, {**make(chat), "stream": stream}, chat
        if form == "regex":
            chat["guided_regex"] = REGEX
        if form == "call":
            chat.update(tools=[TOOL], tool_choice=rnd.choice(("required", "auto")))
        chat["n"] = rnd.choice((1, 1, 1, 2, 4))
        if rnd.random() < 0.4:
            chat.update(logprobs=True, top_logprobs=rnd.randint(0, 4))
        own = {"stream": stream, "cache_salt": self.salt or ""}
        if rnd.random() < 0.05:
            own["cache_prompt"] = False
        return self.path, {**chat, **own}, chat

    def heard(self, answer):
        """answer: of the first choice, as the readers below give it."""
        self.raw += answer["content"]
        if self.path != "/completions":
            self.messages.append({"role": "assistant", "content": answer["content"]})


# --- the same in other shapes ---

def as_messages(chat):
    """For /v1/messages."""
    body = {k: chat[k] for k in ("model", "seed", "temperature", "top_p", "max_tokens", "thinking") if k in chat}
    body["messages"] = [m for m in chat["messages"] if m["role"] != "system"]
    if chat["messages"][0]["role"] == "system":
        body["system"] = chat["messages"][0]["content"]
    if "stop" in chat:
        body["stop_sequences"] = chat["stop"]
    if "response_format" in chat:
        body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if chat["thinking"]["type"] == "enabled":
        body.setdefault("output_config", {})["effort"] = "high"
    return body


def as_response(chat):
    """For /responses."""
    body = {k: chat[k] for k in ("model", "seed", "temperature", "top_p") if k in chat}
    body["max_output_tokens"] = chat["max_tokens"]
    body["input"] = [m for m in chat["messages"] if m["role"] != "system"]
    if chat["messages"][0]["role"] == "system":
        body["instructions"] = chat["messages"][0]["content"]
    body["reasoning"] = {"effort": "high" if chat["thinking"]["type"] == "enabled" else "none"}
    if "response_format" in chat:
        body["text"] = {"format": {"type": "json_schema", "name": "it", "schema": SCHEMA}}
    return body


# --- answers, each a list of choices {"reasoning", "content", "calls", "finish", "logprobs"} ---

def choice(finish, reasoning="", content="", calls=(), logprobs=None):
    return {"reasoning": reasoning, "content": content, "calls": list(calls), "finish": finish, "logprobs": logprobs}


def read_choices(choices):
    """Of /chat/completions and `tenon run --request`."""
    out = []
    for c in choices:
        m = c["message"]
        calls = [[t["function"]["name"], t["function"]["arguments"]] for t in m.get("tool_calls") or []]
        out.append(choice(c["finish_reason"], m.get("reasoning_content") or "", m["content"] or "", calls,
                          c["logprobs"]))
    return out


def chunks(data):
    """The data of a stream's events."""
    parts = [line[6:] for line in data.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(p) for p in parts if p != "[DONE]"]


def read_chat(data, stream):
    if not stream:
        return read_choices(json.loads(data)["choices"])
    found = {}
    for chunk in chunks(data):
        for c in chunk["choices"]:
            now = found.setdefault(c["index"], choice(None))
            now["reasoning"] += c["delta"].get("reasoning_content") or ""
            now["content"] += c["delta"].get("content") or ""
            for t in c["delta"].get("tool_calls") or []:
                if t["index"] == len(now["calls"]):
                    now["calls"].append(["", ""])
                now["calls"][t["index"]][0] += t["function"].get("name") or ""
                now["calls"][t["index"]][1] += t["function"].get("arguments") or ""
            now["finish"] = c["finish_reason"] or now["finish"]
            for name, picks in (c["logprobs"] or {}).items():
                now["logprobs"] = now["logprobs"] or {}
                now["logprobs"][name] = (now["logprobs"].get(name) or []) + (picks or [])
    return [found[i] for i in sorted(found)]


def read_completion(data, stream):
    found = {}
    for part in chunks(data) if stream else [json.loads(data)]:
        for c in part["choices"]:
            now = found.setdefault(c["index"], choice(None))
            now["content"] += c["text"]
            now["finish"] = c["finish_reason"] or now["finish"]
            for name, picks in (c["logprobs"] or {}).items():
                now["logprobs"] = now["logprobs"] or {}
                now["logprobs"][name] = now["logprobs"].get(name, []) + picks
    return [found[i] for i in sorted(found)]


REASONS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def read_messages(data, stream):
    out = choice(None)
    if not stream:
        whole = json.loads(data)
        for block in whole["content"]:
            out["reasoning"] += block.get("thinking", "")
            out["content"] += block.get("text", "")
        out["finish"] = REASONS[whole["stop_reason"]]
        return [out]
    for event in chunks(data):
        delta = event.get("delta", {})
        out["reasoning"] += delta.get("thinking", "")
        out["content"] += delta.get("text", "")
        if delta.get("stop_reason"):
            out["finish"] = REASONS[delta["stop_reason"]]
    return [out]


def read_response(data, stream):
    events = chunks(data) if stream else []
    whole = events[-1]["response"] if stream else json.loads(data)
    out = choice("length" if whole["status"] == "incomplete" else "stop")
    for item in whole["output"]:
        for part in item.get("content") or []:
            out["reasoning" if part["type"] == "reasoning_text" else "content"] += part["text"]
    for name, kind in (("content", "response.output_text.delta"), ("reasoning", "response.reasoning_text.delta")):
        told = "".join(e["delta"] for e in events if e["type"] == kind)
        if stream and told != out[name]:
            out[name] = [told, out[name]]  # it is no answer of a cold run
    return [out]


READERS = {"/chat/completions": read_chat, "/completions": read_completion, "/v1/messages": read_messages,
           "/responses": read_response}


# --- cold ---

def run(body, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(body)
        file.flush()
        done = subprocess.run([TENON, "run", MODEL, *options[:1], file.name, *options[1:]],
                              capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def same_as_log(choices):
    """Empty lists of log-probabilities and absent ones are the same: a stream has no place for the first."""
    for c in choices:
        kept = {name: picks for name, picks in (c["logprobs"] or {}).items() if picks}
        c["logprobs"] = kept or None
    return choices


def fault_of(case, cold):
    """What differs, or None."""
    path, body, chat, got = case
    if chat:
        want = run(json.dumps(chat), "--request")
        want = same_as_log(read_choices(want["choices"])) if isinstance(want, dict) else want
    else:
        status, _, data = cold.ask("POST", path, body, timeout=600)
        want = same_as_log(read_completion(data, body["stream"])) if status == 200 else data
        first = run(body["prompt"], "-f", "--raw", "--json", "--seed", str(body["seed"]), "--temp",
                    str(body["temperature"]), "--top-p", str(body.get("top_p", 1)), "-n", str(body["max_tokens"]))
        if not isinstance(first, dict) or first["content"] != got[0]["content"]:
            return f"run --raw: {first}, not {got[0]}"
    return None if same_as_log(got) == want else f"{got}, not {want}"


# --- hot ---

class Hot:
    """The servers with a cache, one after the other."""

    def __init__(self, options, checks):
        self.options, self.checks = options, checks
        self.texts = Texts(options.seed)
        self.rnd = random.Random(options.seed)
        self.open, self.n_begun = [], 0
        self.cases, self.failed = [], []
        self.counts = dict.fromkeys(("queries", "hits", "evicted", "disk_loaded", "disk_bad"), 0)

    def pick(self):
        """A conversation for a few turns: one of those that have begun, or a new one."""
        if self.open and self.rnd.random() < 0.6:
            return self.open.pop(self.rnd.randrange(len(self.open)))
        self.n_begun += 1
        return Conversation(self.texts, f"{self.options.seed} {self.n_begun}")

    def turns(self, server, conversation, n):
        out = []
        for _ in range(n):
            path, body, chat = conversation.next()
            status, _, data = server.ask("POST", path, body, timeout=600)
            if status != 200:
                return out, f"{status} {data[:300]} for {json.dumps(body)[:600]}"
            got = READERS[path](data, body["stream"])
            conversation.heard(got[0])
            out.append((path, body, chat, got))
        return out, None

    def serve(self, n, cache):
        """About n cases on one server."""
        plan = []
        while sum(turns for _, turns in plan) < n:
            plan.append((self.pick(), self.rnd.randint(1, 4)))
        with Server(*SHAPE, *cache, checks=self.checks) as server:
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                for found, failure in pool.map(lambda p: self.turns(server, *p), plan):
                    self.cases += found
                    self.failed += [failure] if failure else []
            self.count(server)
        self.open += [conversation for conversation, _ in plan if len(conversation.messages) < 8]

    def count(self, server):
        text = server.ask("GET", "/metrics")[2].decode()
        for name in self.counts:
            self.counts[name] += int(float(re.search(rf"prefix_cache_{name}(?:_total)?{{.*}} (\S+)", text)[1]))


def main():
    options = arguments(__doc__, cases=(240, 10000))
    checks = Checks()
    hot = Hot(options, checks)
    n_servers = max(3, options.cases // PER_SERVER)
    wrong, n = [], 0
    with tempfile.TemporaryDirectory() as folder, Server(*SHAPE, "--cache-memory", "0") as cold, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for i in range(n_servers):
            cache = CACHES[i % len(CACHES)]
            hot.serve(-(-options.cases // n_servers), cache + ((folder,) if cache[-1] == "--cache-dir" else ()))
            faults = list(pool.map(lambda case: fault_of(case, cold), hot.cases))
            wrong += [f"{c[0]} {json.dumps(c[1])}: {f}" for c, f in zip(hot.cases, faults) if f]
            n += len(hot.cases)
            hot.cases = []
    c = hot.counts
    checks.check(n >= options.cases and not wrong and not hot.failed,
                 f"{n} answers of {n_servers} servers, {CLIENTS} at once: {len(wrong)} other than cold, "
                 f"{len(hot.failed)} failed")
    for line in (wrong + hot.failed)[:5]:
        print("       ", line[:2000])
    checks.check(c["hits"] >= c["queries"] / 10, f"{c['hits']} of {c['queries']} tokens of prompts came from the cache")
    checks.check(c["evicted"] > n / 4 and c["disk_loaded"] > 0,
                 f"{c['evicted']} entries went for want of room, {c['disk_loaded']} came from disk")
    checks.check(c["disk_bad"] == 0, f"{c['disk_bad']} files of the directory were refused")
    checks.end()


if __name__ == "__main__":
    main()
