"""Asks a running `tenon serve` for what continues raw text, and for what tells of tokens and the engine.

    serve_completions.py TENON MODEL
"""

import json
import re
import subprocess
import tempfile
import threading

from served import MODEL, TENON, Server, check, events, ids_of, main, run_request, wait_for

TEXT = "Tom has 27 apples and buys 35 more.\nHow many apples does Tom have now? "


def complete(server, path="/v1/completions", **fields):
    body = {"model": "deepseek-chat", "prompt": TEXT, "temperature": 0, **fields}
    answer, data = server.ask("POST", path, body)
    if body.get("stream"):
        return answer, data.decode()
    return answer, json.loads(data)


def run_raw(text, *options):
    """What `tenon run --raw` says."""
    out = subprocess.run([TENON, "run", MODEL, "--raw", "-p", text, "--json", *options],
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def refused(server, path, body, status, words):
    answer, data = server.ask("POST", path, body)
    error = json.loads(data)["error"]
    assert answer.status == status and words in error["message"], (body, answer.status, error)


# ---- POST /completions ----

@check
def raw_text_goes_on_as_run_has_it(server):
    for seed in (1, 2, 3):
        _, got = complete(server, seed=seed, temperature=1.2, max_tokens=40,
                          add_special_tokens=False)
        want = run_raw(TEXT, "--seed", str(seed), "--temp", "1.2", "-n", "40")
        assert got["object"] == "text_completion" and got["id"].startswith("cmpl-"), got
        choice = got["choices"][0]
        assert choice["text"] == want["content"], (got, want)
        assert choice["finish_reason"] == want["finish_reason"], (got, want)
        assert choice["logprobs"] is None
        assert got["usage"]["prompt_tokens"] == want["prompt_tokens"], (got, want)
        assert got["usage"]["completion_tokens"] == want["generated_tokens"], (got, want)


@check
def every_path_of_completions_answers(server):
    for base in ("", "/v1", "/beta", "/beta/v1"):
        answer, got = complete(server, f"{base}/completions")
        assert answer.status == 200 and got["usage"]["completion_tokens"] <= 16, got


@check
def bos_comes_first_and_once(server):
    bos = "<｜begin▁of▁sentence｜>"
    plain = complete(server, prompt=ids_of(bos) + ids_of(TEXT))[1]
    for prompt in (TEXT, bos + TEXT):
        got = complete(server, prompt=prompt)[1]
        assert got["choices"] == plain["choices"] and got["usage"] == plain["usage"], got
    without = complete(server, add_special_tokens=False)[1]
    assert without["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"] - 1


@check
def text_never_becomes_a_control_token(server):
    for control in ("<｜User｜>", "<｜end▁of▁sentence｜>", "<｜fim▁hole｜>"):
        as_id = complete(server, prompt=ids_of(control), max_tokens=0)[1]["usage"]
        as_text = complete(server, prompt=control, max_tokens=0,
                           add_special_tokens=False)[1]["usage"]
        assert as_id["prompt_tokens"] == 1 and as_text["prompt_tokens"] > 1, (control, as_text)


@check
def ids_are_taken_as_they_are(server):
    text = complete(server, add_special_tokens=False, seed=4, temperature=1)[1]
    ids = complete(server, prompt=ids_of(TEXT), seed=4, temperature=1)[1]
    assert ids["choices"] == text["choices"] and ids["usage"] == text["usage"]


@check
def several_prompts_get_what_each_gets_alone(server):
    prompts = [TEXT, "Wie viel ist 3 + 4? ", "x", "12 + 30 ="]
    fields = {"n": 3, "seed": 6, "temperature": 1.3, "max_tokens": 12}
    alone = [complete(server, prompt=p, **fields)[1] for p in prompts]
    want = [c["text"] for got in alone for c in got["choices"]]
    lists = [ids_of("<｜begin▁of▁sentence｜>") + ids_of(p) for p in prompts]
    for together in (prompts, lists):
        got = complete(server, prompt=together, **fields)[1]
        assert [c["index"] for c in got["choices"]] == list(range(12))
        assert [c["text"] for c in got["choices"]] == want, (got, want)
        assert len(set(want)) > 4
        for part in ("prompt_tokens", "completion_tokens", "total_tokens"):
            assert got["usage"][part] == sum(g["usage"][part] for g in alone), (got, alone)
    text = complete(server, prompt=prompts, stream=True, **fields)[1]
    said = [""] * 12
    for chunk in events(text):
        for c in chunk["choices"]:
            said[c["index"]] += c["text"]
    assert said == want


@check
def a_stream_of_text_says_the_same(server):
    fields = {"seed": 5, "temperature": 1, "max_tokens": 30}
    whole = complete(server, **fields)[1]
    answer, text = complete(server, stream=True, stream_options={"include_usage": True}, **fields)
    assert answer.getheader("content-type") == "text/event-stream; charset=utf-8"
    chunks = events(text)
    assert len({(c["id"], c["created"], c["model"], c["object"]) for c in chunks}) == 1
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
    assert all(c["usage"] is None for c in chunks[:-1])
    assert "".join(c["choices"][0]["text"] for c in chunks[:-1]) == whole["choices"][0]["text"]
    finishes = [c["choices"][0]["finish_reason"] for c in chunks[:-1]]
    assert finishes[-1] == whole["choices"][0]["finish_reason"] and not any(finishes[:-1])


@check
def a_stop_string_ends_the_text(server):
    whole = complete(server, max_tokens=60, ignore_eos=True)[1]["choices"][0]["text"]
    assert len(whole) > 20, whole
    stop = whole[7:10]
    got = complete(server, max_tokens=60, ignore_eos=True, stop=["never", stop])[1]["choices"][0]
    assert got["text"] == whole[:whole.index(stop)] and got["finish_reason"] == "stop", got


@check
def the_prompt_is_echoed(server):
    plain = complete(server)[1]["choices"][0]["text"]
    assert complete(server, echo=True)[1]["choices"][0]["text"] == TEXT + plain
    chunks = events(complete(server, echo=True, stream=True, n=2)[1])
    for i in range(2):
        said = "".join(c["choices"][0]["text"] for c in chunks if c["choices"][0]["index"] == i)
        assert said == TEXT + plain, said
    ids = complete(server, echo=True, prompt=ids_of(TEXT), max_tokens=0)[1]
    assert ids["choices"][0] == {"index": 0, "text": TEXT, "logprobs": None,
                                 "finish_reason": "length"}, ids


@check
def the_hole_is_filled_in_the_fim_layout(server):
    prefix, suffix = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"
    ids = ids_of(f"<｜begin▁of▁sentence｜><｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>")
    fields = {"seed": 2, "temperature": 1, "max_tokens": 24}
    want = complete(server, prompt=ids, **fields)[1]
    got = complete(server, "/beta/completions", prompt=prefix, suffix=suffix, **fields)[1]
    assert got["choices"] == want["choices"] and got["usage"] == want["usage"], (got, want)
    llama = server.ask("POST", "/infill", {"input_prefix": prefix, "input_suffix": suffix,
                                           "seed": 2, "temperature": 1, "n_predict": 24})
    assert json.loads(llama[1])["content"] == want["choices"][0]["text"], llama
    ids = ids_of(f"<｜begin▁of▁sentence｜><｜fim▁begin｜>--- a.py\nx = 1\n\n{prefix}<｜fim▁hole｜>"
                 f"{suffix}<｜fim▁end｜>a + ")
    want = complete(server, prompt=ids, **fields)[1]
    llama = server.ask("POST", "/infill", {
        "input_prefix": prefix, "input_suffix": suffix, "prompt": "a + ",
        "input_extra": [{"filename": "a.py", "text": "x = 1\n"}],
        "seed": 2, "temperature": 1, "n_predict": 24})
    got = json.loads(llama[1])
    assert got["content"] == want["choices"][0]["text"], (got, want)
    assert got["tokens_evaluated"] == want["usage"]["prompt_tokens"]


@check
def logprobs_have_the_shape_of_completions(server):
    for stream in (False, True):
        got = complete(server, logprobs=3, max_tokens=20, stream=stream)[1]
        found = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        text = ""
        for choice in [c for part in (events(got) if stream else [got]) for c in part["choices"]]:
            text += choice["text"]
            for name, values in (choice["logprobs"] or {}).items():
                found[name] += values
        if not stream:
            whole, whole_text = found, text
        assert len({len(v) for v in found.values()}) == 1, found
        for token, p, top, at in zip(*found.values()):
            assert p <= 0 and 3 <= len(top) <= 4 and top[token] == p == max(top.values()), top
            if token != "<｜end▁of▁sentence｜>":
                assert token.startswith("bytes:") or text[at:].startswith(token), (token, at, text)
    assert found == whole and text == whole_text
    assert complete(server, logprobs=0)[1]["choices"][0]["logprobs"]["top_logprobs"][0]


@check
def echoed_logprobs_are_those_of_an_evaluation(server):
    """The mean of one window of `tenon eval --ppl`, to the last digit that it prints."""
    bos = ids_of("<｜begin▁of▁sentence｜>")
    for text in (TEXT, TEXT * 9):
        ids = ids_of(text)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            out = subprocess.run([TENON, "eval", MODEL, "--ppl", file.name, "--window",
                                  str(len(ids) + 1), "--skip", "0", "--json"],
                                 capture_output=True, text=True, check=True).stdout
        want = json.loads(out)["result"]["nll"]["value"]
        for prompt in (text, bos + ids):
            got = complete(server, prompt=prompt, echo=True, logprobs=1, max_tokens=0)[1]
            logprobs = got["choices"][0]["logprobs"]
            assert len(logprobs["tokens"]) == len(ids) + 1 == got["usage"]["prompt_tokens"]
            assert logprobs["token_logprobs"][0] is None and logprobs["top_logprobs"][0] is None
            nll = 0.0
            for p in logprobs["token_logprobs"][1:]:
                nll -= p
            assert f"{nll / len(ids):.12g}" == f"{want:.12g}", (nll / len(ids), want)


@check
def echoed_logprobs_are_the_same_however_they_are_asked_for(server):
    """Whole, as a stream, of several prompts, of several choices; and they go on with the tokens drawn."""
    prompts = [TEXT * 5, "3 + 4 =", "x"]
    fields = {"echo": True, "logprobs": 2, "max_tokens": 6, "temperature": 1, "seed": 8}
    alone = [complete(server, prompt=p, **fields)[1]["choices"][0] for p in prompts]
    for prompt, choice in zip(prompts, alone):
        found = choice["logprobs"]
        assert choice["text"].startswith(prompt) and len({len(v) for v in found.values()}) == 1
        drawn = complete(server, prompt=prompt, **{**fields, "echo": False})[1]["choices"][0]
        n = len(drawn["logprobs"]["tokens"])
        for name in ("tokens", "token_logprobs", "top_logprobs"):
            assert found[name][-n:] == drawn["logprobs"][name], name
        for token, at in zip(found["tokens"][1:], found["text_offset"][1:]):
            is_end = token.startswith("<｜end") or token.startswith("bytes:")
            assert is_end or choice["text"][at:].startswith(token), (token, at)
    together = complete(server, prompt=prompts, n=2, **fields)[1]["choices"]
    for i, choice in enumerate(together):
        want = alone[i // 2]
        n = len(want["logprobs"]["tokens"]) - 6
        if i % 2 == 0:
            assert {**choice, "index": 0} == want, (choice, want)
        for name, values in choice["logprobs"].items():
            assert values[:n] == want["logprobs"][name][:n], (name, i)
    found = [{name: [] for name in alone[0]["logprobs"]} for _ in together]
    text = [""] * len(together)
    for chunk in events(complete(server, prompt=prompts, n=2, stream=True, **fields)[1]):
        for c in chunk["choices"]:
            text[c["index"]] += c["text"]
            for name, values in (c["logprobs"] or {}).items():
                found[c["index"]][name] += values
    assert found == [c["logprobs"] for c in together] and text == [c["text"] for c in together]


@check
def a_body_gets_what_run_gives_for_it(server):
    """Whatever the fields; a form holds for what is new."""
    record = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
              "additionalProperties": False}
    forms = (({"guided_regex": "[a-f]{3}-[0-9]{2}"}, "[a-f]{3}-[0-9]{2}"),
             ({"guided_choice": ["left", "right"]}, "left|right"),
             ({"structured_outputs": {"grammar": 'root ::= "<" [0-9]{1,9} ">"'}}, "<[0-9]{1,9}>"),
             ({"grammar": 'root ::= "yes" | "no"', "echo": True}, re.escape(TEXT) + "(yes|no)"),
             ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": record}}},
              None))
    plain = ({}, {"n": 2, "prompt": [TEXT, "1 + 1 ="]}, {"prompt": ids_of(TEXT), "echo": True},
             {"logprobs": 3, "echo": True, "max_tokens": 4, "n": 2}, {"suffix": "62", "max_tokens": 9},
             {"max_tokens": 0, "echo": True, "logprobs": 0}, {"stop": ["a"]}, {"ignore_eos": True},
             {"stop_token_ids": ids_of(" the") + ids_of("."), "logprobs": 1}, {"min_tokens": 40},
             {"add_special_tokens": False})
    for fields, pattern in tuple((f, "") for f in plain) + forms:
        body = {"model": "deepseek-chat", "prompt": TEXT, "seed": 7, "temperature": 1.3,
                "max_tokens": 60, **fields}
        answer, data = server.ask("POST", "/v1/completions", body)
        assert answer.status == 200, (fields, data)
        choices = json.loads(data)["choices"]
        assert choices == run_request(body), (fields, choices)
        if pattern:
            assert re.fullmatch(pattern, choices[0]["text"]), (fields, choices)
        if pattern is None:
            assert isinstance(json.loads(choices[0]["text"])["n"], int), choices
    for path, body in (("/completion", {"prompt": TEXT, "json_schema": record, "n_predict": 60}),
                       ("/completion", {"prompt": TEXT, "n_predict": 20}),
                       ("/completion", {"model": "deepseek-chat", "prompt": TEXT, "n_predict": 20}),
                       ("/infill", {"input_prefix": "1 + ", "input_suffix": " = 3", "n_predict": 12,
                                    "grammar": "root ::= [0-9]+ [a-z]"})):
        body = {**body, "seed": 7}
        answer, data = server.ask("POST", path, body)
        assert answer.status == 200, data
        want, = run_request(body)
        assert json.loads(data)["content"] == want["text"], (data, want)
    for wrong in {"guided_regex": "("}, {"grammar": "root ::= x"}, {"json_schema": {"not": {}}}:
        name = list(wrong)[0]
        refused(server, "/v1/completions", {"model": "nano", "prompt": "x", **wrong}, 400, name)


@check
def bad_completions_are_refused(server):
    good = {"model": "deepseek-chat", "prompt": "x"}
    for fields, status, words in (
            ({"prompt": None}, 400, "prompt"), ({"prompt": []}, 400, "prompt"),
            ({"prompt": [[]]}, 400, "prompt[0]"), ({"prompt": [1, "a"]}, 400, "prompt"),
            ({"prompt": [1, -1]}, 422, "prompt"), ({"prompt": [1 << 40]}, 422, "prompt"),
            ({"prompt": [999999]}, 400, "999999"), ({"prompt": ["a"] * 17}, 422, "prompt"),
            ({"prompt": ["a"] * 4, "n": 5}, 422, "n"), ({"n": 17}, 422, "n"),
            ({"best_of": 2}, 400, "best_of"), ({"logprobs": 21}, 422, "logprobs"),
            ({"logprobs": True}, 400, "logprobs"), ({"suffix": "y", "echo": True}, 400, "echo"),
            ({"suffix": "y", "prompt": [5]}, 400, "suffix"), ({"max_tokens": -1}, 422, "max_tok"),
            ({"prompt": "", "add_special_tokens": False}, 400, "empty"),
            ({"grammar": "root ::= x"}, 400, "grammar"), ({"model": "gpt-4"}, 404, "gpt-4"),
            ({"logit_bias": {"999999": 1}}, 400, "999999"),
            ({"logprobs": 20, "max_tokens": 100000}, 400, "stream"),
            ({"logprobs": 20, "echo": True, "n": 16, "stream": True, "prompt": "1 + " * 400}, 400,
             "too many"),
            ({"prompt": "1 + " * 4000}, 400, "maximum context length is 2048 tokens"),
            ({"prompt": [5] * 3000, "max_tokens": 2147483647}, 400, "requested 2147486647 tokens")):
        refused(server, "/v1/completions", {**good, **fields}, status, words)
    refused(server, "/completion", {"prompt": ["a", "b"]}, 400, "prompt")
    refused(server, "/completion", {}, 400, "prompt")
    refused(server, "/infill", {"input_prefix": "a"}, 400, "input_suffix")
    refused(server, "/infill", {"input_prefix": "a", "input_suffix": "b",
                                "input_extra": [{"filename": "c"}]}, 400, "input_extra[0].text")


# ---- POST /completion ----

@check
def llama_clients_get_their_shape(server):
    want = complete(server, seed=3, temperature=1, max_tokens=20, logprobs=2, ignore_eos=True)[1]["choices"][0]
    body = {"prompt": TEXT, "seed": 3, "temperature": 1, "n_predict": 20, "n_probs": 2, "ignore_eos": True,
            "return_tokens": True, "cache_prompt": True, "samplers": ["top_k"]}
    got = json.loads(server.ask("POST", "/completion", body)[1])
    assert got["content"] == want["text"] and got["stop"] is True, (got, want)
    timings = got["timings"]
    assert timings["prompt_n"] == got["tokens_evaluated"] - got["tokens_cached"], got
    assert timings["predicted_n"] == len(got["tokens"]) == got["tokens_predicted"], got
    assert timings["prompt_ms"] > 0 and timings["predicted_per_second"] > 0, got
    assert [p["token"] for p in got["completion_probabilities"]] == want["logprobs"]["tokens"]
    assert [p["id"] for p in got["completion_probabilities"]] == got["tokens"]
    for p, logprob in zip(got["completion_probabilities"], want["logprobs"]["token_logprobs"]):
        assert p["logprob"] == logprob and len(p["top_logprobs"]) == 2, p
    text = server.ask("POST", "/completion", {**body, "stream": True})[1].decode()
    parts = [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data: ")]
    assert "".join(p["content"] for p in parts) == want["text"]
    assert [p["stop"] for p in parts] == [False] * (len(parts) - 1) + [True]
    assert [i for p in parts for i in p["tokens"]] == got["tokens"]
    for fields, kind in (({"n_predict": 2}, "limit"), ({"stop": [want["text"][3:5]]}, "word")):
        ended = json.loads(server.ask("POST", "/completion", {**body, **fields})[1])
        assert ended["stop_type"] == kind, ended
        assert ended["stopping_word"] == fields.get("stop", [""])[0], ended


# ---- tokens and templates ----

def post(server, path, **body):
    answer, data = server.ask("POST", path, body)
    assert answer.status == 200, (path, body, answer.status, data)
    return json.loads(data)


TEXTS = ["", "a", TEXT, "Grüße, 中文字 🍎\n\t\"quoted\"\\", "<think>", "<｜User｜>hi</think>", "x" * 5000]


@check
def tokens_come_back_as_the_text(server):
    bos = ids_of("<｜begin▁of▁sentence｜>")
    for text in TEXTS:
        plain = post(server, "/tokenize", prompt=text, add_special_tokens=False)
        assert plain["count"] == len(plain["tokens"]) and plain["max_model_len"] == 2048
        assert plain["token_strs"] is None
        with_bos = post(server, "/v1/tokenize", model="deepseek-chat", prompt=text,
                        return_token_strs=True)
        assert with_bos["tokens"] == bos + plain["tokens"], (text, with_bos)
        assert len(with_bos["token_strs"]) == with_bos["count"] == plain["count"] + 1
        llama = post(server, "/tokenize", content=text)
        assert llama == {"tokens": plain["tokens"]}, (text, llama)
        assert post(server, "/tokenize", content=text, add_special=True)["tokens"] == \
            with_bos["tokens"]
        pieces = post(server, "/tokenize", content=text, with_pieces=True)["tokens"]
        assert [p["id"] for p in pieces] == plain["tokens"]
        said = b"".join(bytes(p["piece"]) if isinstance(p["piece"], list) else p["piece"].encode()
                        for p in pieces)
        assert said == text.encode(), (text, said)
        for path in ("/detokenize", "/v1/detokenize"):
            back = post(server, path, tokens=plain["tokens"])
            assert back == {"prompt": text, "content": text}, (text, back)
        if "<" not in text:
            assert plain["tokens"] == ids_of(text), text
        else:
            assert plain["tokens"] != ids_of(text), text


@check
def a_template_is_that_of_the_prompt(server):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <think>"}]
    for thinking in ("enabled", "disabled"):
        fields = {"messages": messages, "thinking": {"type": thinking}}
        got = post(server, "/apply-template", **fields)["prompt"]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(messages, file)
            file.flush()
            want = subprocess.run(
                [TENON, "prompt", MODEL, file.name,
                 *(["--effort", "low"] if thinking == "enabled" else ["--chat"])],
                capture_output=True, text=True, check=True).stdout
        assert got == want, (got, want)
        ids = post(server, "/tokenize", **fields)
        usage = server.chat(max_tokens=1, **fields)[1]["usage"]
        assert ids["count"] == usage["prompt_tokens"], (ids, usage)
        assert post(server, "/detokenize", tokens=ids["tokens"])["prompt"] == want
        chat = server.chat(max_tokens=9, **fields)[1]["choices"][0]["message"]
        raw = complete(server, prompt=ids["tokens"], max_tokens=9)[1]["choices"][0]["text"]
        said = (chat.get("reasoning_content") or "") + chat["content"]
        assert raw.replace("</think>", "") == said, (raw, chat)


@check
def bad_questions_of_tokens_are_refused(server):
    for path, body, status, words in (
            ("/tokenize", {}, 400, "prompt"), ("/tokenize", {"prompt": 5}, 400, "prompt"),
            ("/tokenize", {"content": ["a"]}, 400, "content"),
            ("/tokenize", {"content": "a", "parse_special": True}, 400, "parse_special"),
            ("/tokenize", {"prompt": "a", "model": "gpt-4"}, 404, "gpt-4"),
            ("/tokenize", {"messages": []}, 422, "messages"),
            ("/detokenize", {}, 400, "tokens"), ("/detokenize", {"tokens": "a"}, 400, "tokens"),
            ("/detokenize", {"tokens": [1, -1]}, 422, "tokens"),
            ("/detokenize", {"tokens": [999999]}, 400, "999999"),
            ("/detokenize", {"tokens": [1.5]}, 400, "tokens"),
            ("/apply-template", {}, 400, "messages"), ("/apply-template", "[]", 400, "object")):
        refused(server, path, body, status, words)
    assert post(server, "/detokenize", tokens=[]) == {"prompt": "", "content": ""}
    assert server.ask("GET", "/tokenize")[0].status == 405


@check
def a_long_text_does_not_hold_up_others(server):
    """A text of megabytes is tokenized while answers to others go out."""
    text = "ab " * 300_000
    result = []
    other = threading.Thread(target=lambda: result.append(
        post(server, "/tokenize", prompt=text, add_special_tokens=False)["count"]))
    other.start()
    n = 0
    while other.is_alive():
        assert server.ask("GET", "/health")[0].status == 200
        n += 1
    assert n > 10 and result[0] >= 300_000, (n, result)


# ---- the engine ----

def get(server, path):
    answer, data = server.ask("GET", path)
    assert answer.status == 200, (path, answer.status, data)
    return json.loads(data)


@check
def props_tell_of_the_server(server):
    for base in ("", "/v1"):
        props = get(server, f"{base}/props")
        settings = props["default_generation_settings"]
        assert settings["n_ctx"] == 2048 and settings["params"]["temperature"] == 1, props
        assert props["total_slots"] == 4 and props["model_path"] == "nano", props
        assert props["bos_token"] == "<｜begin▁of▁sentence｜>", props
        assert props["eos_token"] == "<｜end▁of▁sentence｜>", props
        assert props["modalities"] == {"vision": False, "audio": False}
    info = get(server, "/get_server_info")
    assert info["context_length"] == 2048 and info["memory_bytes"] > 0, info
    assert get(server, "/get_model_info")["is_generation"] is True
    assert get(server, "/lora-adapters") == []


@check
def slots_and_loads_follow_what_runs(server):
    assert [s["is_processing"] for s in get(server, "/slots")] == [False] * 4
    assert get(server, "/load") == {"server_load": 0}
    s, _ = server.begin_stream()
    wait_for(lambda: any(s["is_processing"] for s in get(server, "/slots")))
    slots = [slot for slot in get(server, "/slots") if slot["is_processing"]]
    assert len(slots) == 1 and slots[0]["n_ctx"] == 2048, slots
    assert slots[0]["n_prompt_tokens"] > 10 and slots[0]["next_token"]["n_decoded"] > 0, slots
    n = slots[0]["n_tokens_computed"] - slots[0]["n_prompt_tokens"]
    assert 0 <= slots[0]["next_token"]["n_decoded"] - n <= 1, slots
    assert TEXT[:10] not in server.ask("GET", "/slots")[1].decode()
    loads = get(server, "/v1/loads")["loads"]
    assert loads == get(server, "/get_load")["loads"]
    assert loads[0]["num_running_reqs"] == 1 and loads[0]["num_waiting_reqs"] == 0, loads
    assert get(server, "/load") == {"server_load": 1}
    assert get(server, "/health_generate")["seconds_since_step"] < 60
    s.close()
    wait_for(lambda: get(server, "/load") == {"server_load": 0})
    wait_for(lambda: not any(s["is_processing"] for s in get(server, "/slots")))


@check
def what_is_not_here_says_so(server):
    for method, path, status, words in (
            ("POST", "/v1/embeddings", 404, "embeddings"), ("POST", "/images/generations", 404, "images"),
            ("POST", "/v1/audio/speech", 404, "audio"), ("POST", "/v1/files", 404, "files"),
            ("GET", "/v1/batches", 404, "batches"), ("POST", "/slots/0?action=save", 501, "slots"),
            ("POST", "/flush_cache", 501, "cache"), ("POST", "/reset_prefix_cache", 501, "cache"),
            ("POST", "/abort_request", 501, "closes"), ("POST", "/embeddingsx", 404, "nothing"),
            ("POST", "/props", 405, "POST"), ("POST", "/slots", 405, "POST")):
        refused(server, path, {}, status, words) if method == "POST" else None
        answer, data = server.ask(method, path, {} if method == "POST" else None)
        assert answer.status == status and words in json.loads(data)["error"]["message"], data


# ---- metrics ----

def metrics(server, **headers):
    """{family: (type, [(name, labels, value)])}, and every line looked at."""
    answer, data = server.ask("GET", "/metrics", **headers)
    assert answer.status == 200, data
    assert answer.getheader("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    families, name = {}, None
    text = data.decode()
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert len(line.split(" ", 3)) == 4 and name not in families, line
            families[name] = [None, []]
        elif line.startswith("# TYPE "):
            _, _, of, kind = line.split(" ")
            assert of == name and kind in ("counter", "gauge", "histogram"), line
            assert families[name] == [None, []], line
            families[name][0] = kind
        else:
            found = re.fullmatch(r'([a-z_]+:[a-z0-9_]+)\{((?:[a-z_]+="[^"\\\n]*",?)+)\} ([-+.e0-9]+)', line)
            assert found, line
            kind, samples = families[name]
            endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert found[1] in [name + e for e in endings], line
            labels = dict(re.findall(r'([a-z_]+)="([^"]*)"', found[2]))
            assert labels["model_name"] == "nano" and labels["engine"] == "0", line
            samples.append((found[1], labels, float(found[3])))
    for name, (kind, samples) in families.items():
        assert kind and samples, name
        if kind == "histogram":
            buckets = [(float(l["le"]), v) for n, l, v in samples if n == name + "_bucket"]
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), name
            assert [v for _, v in buckets] == sorted(v for _, v in buckets), name
            assert len({le for le, _ in buckets}) == len(buckets)
            assert dict((n, v) for n, _, v in samples)[name + "_count"] == buckets[-1][1], name
    return families


def value(families, name, **labels):
    found = [v for of in families for n, l, v in families[of][1]
             if n == name and all(l.get(k) == x for k, x in labels.items())]
    assert len(found) == 1, (name, labels, found)
    return found[0]


@check
def metrics_are_read_line_by_line_and_count(server):
    names = ("num_requests_running num_requests_waiting kv_cache_usage_perc gpu_cache_usage_perc "
             "prompt_tokens_total prompt_tokens_cached_total generation_tokens_total "
             "request_success_total num_preemptions_total spec_decode_num_drafts_total "
             "spec_decode_num_draft_tokens_total spec_decode_num_accepted_tokens_total "
             "time_to_first_token_seconds inter_token_latency_seconds time_per_output_token_seconds "
             "e2e_request_latency_seconds request_queue_time_seconds request_prefill_time_seconds "
             "request_decode_time_seconds request_inference_time_seconds request_prompt_tokens "
             "request_generation_tokens iteration_tokens_total request_params_max_tokens").split()
    llama = ("prompt_tokens_total tokens_predicted_total prompt_tokens_seconds "
             "predicted_tokens_seconds requests_processing requests_deferred kv_cache_usage_ratio")
    before = metrics(server)
    for name in [f"vllm:{n}" for n in names] + [f"llamacpp:{n}" for n in llama.split()]:
        assert name in before, name
    got = complete(server, n=3, max_tokens=7, ignore_eos=True)[1]["usage"]
    short = complete(server, max_tokens=8, ignore_eos=True)[1]
    eight, text = short["usage"], short["choices"][0]["text"]
    assert len(text) > 4, text
    stop = complete(server, max_tokens=50, ignore_eos=True, stop=text[2:4])[1]["usage"]
    complete(server, max_tokens=8, ignore_eos=True)
    server.ask("GET", "/nothing")
    server.ask("POST", "/v1/completions", {"model": "gpt-4", "prompt": "x"})
    server.ask("POST", "/v1/completions", {"model": "m", "prompt": "x", "n": 99})
    after = metrics(server)

    def grew(name, **labels):
        return value(after, name, **labels) - value(before, name, **labels)

    used = [got, stop, eight, eight]
    assert grew("vllm:generation_tokens_total") == sum(u["completion_tokens"] for u in used)
    assert grew("vllm:prompt_tokens_total") == sum(u["prompt_tokens"] for u in used)
    assert grew("vllm:request_success_total", finished_reason="stop") >= 1
    assert grew("vllm:request_success_total", finished_reason="stop") + \
        grew("vllm:request_success_total", finished_reason="length") == 6
    for name in ("e2e_request_latency_seconds", "request_queue_time_seconds", "request_prompt_tokens",
                 "time_to_first_token_seconds", "request_params_max_tokens"):
        assert grew(f"vllm:{name}_count") == 6, name
    assert grew("vllm:request_params_max_tokens_sum") == 3 * 7 + 50 + 8 + 8
    gaps = sum(u["completion_tokens"] for u in used) - 6
    assert grew("vllm:inter_token_latency_seconds_count") == gaps
    assert grew("vllm:time_per_output_token_seconds_count") == gaps
    assert 0 < grew("vllm:e2e_request_latency_seconds_sum")
    assert grew("vllm:e2e_request_latency_seconds_sum") >= \
        grew("vllm:time_to_first_token_seconds_sum")
    assert grew("vllm:iteration_tokens_total_count") == grew("tenon:steps_total") > 0
    assert grew("vllm:iteration_tokens_total_sum") >= sum(u["prompt_tokens"] for u in used)
    assert grew("tenon:http_responses_total", code="200") == 5  # with the metrics before
    assert grew("tenon:http_responses_total", code="404") == 2
    assert grew("tenon:http_responses_total", code="422") == 1
    assert value(after, "vllm:num_requests_running") == 0
    assert value(after, "vllm:kv_cache_usage_perc") == 0


@check
def metrics_tell_of_what_runs_and_of_what_was_cancelled(server):
    before = metrics(server)
    s, _ = server.begin_stream()
    during = metrics(server)
    assert value(during, "vllm:num_requests_running") == 1
    assert value(during, "llamacpp:requests_processing") == 1
    assert 0 < value(during, "vllm:kv_cache_usage_perc") <= 1
    assert value(during, "tenon:requests_under_way") == 1
    s.close()
    wait_for(lambda: value(metrics(server), "tenon:requests_cancelled_total") ==
               value(before, "tenon:requests_cancelled_total") + 1)
    wait_for(lambda: value(metrics(server), "vllm:num_requests_running") == 0)
    after = metrics(server)
    assert value(after, "vllm:e2e_request_latency_seconds_count") == \
        value(before, "vllm:e2e_request_latency_seconds_count")
    assert value(after, "vllm:request_success_total", finished_reason="abort") == \
        value(before, "vllm:request_success_total", finished_reason="abort") + 1


def several_prompts_are_taken_whole_or_not_at_all():
    """The queue has room for one: the other prompt is refused, and with it the request."""
    with Server("--ctx", "2048", "--max-streams", "1", "--max-queue", "0") as server:
        for stream in (False, True):
            answer, data = server.ask("POST", "/completions", {
                "model": "deepseek-chat", "prompt": ["a", "b", "c"], "stream": stream,
                "max_tokens": 500, "ignore_eos": True})
            assert answer.status == 429 and int(answer.getheader("retry-after")) > 0, data
            wait_for(lambda: get(server, "/load") == {"server_load": 0})
        assert complete(server)[0].status == 200


def keys_of_metrics():
    """/metrics is open unless it is to want the key."""
    for options, status in (((), 200), (("--metrics-key",), 401)):
        with Server("--api-key", "sk-0123456789", *options) as server:
            assert server.ask("GET", "/metrics")[0].status == status
            assert metrics(server, authorization="Bearer sk-0123456789")
            assert server.ask("GET", "/health_generate")[0].status == 200
            for path in ("/props", "/slots", "/load", "/get_server_info"):
                assert server.ask("GET", path)[0].status == 401, path
            for path in ("/v1/completions", "/tokenize", "/detokenize", "/apply-template"):
                assert server.ask("POST", path, {})[0].status == 401, path


if __name__ == "__main__":
    main("--ctx", "2048", "--max-streams", "4", "--cache-memory", "0",
         alone=(several_prompts_are_taken_whole_or_not_at_all, keys_of_metrics))
