"""`lm-eval` against `tenon serve`: problems through chat, and likelihoods through completions."""

import json
import math
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from common import MODEL, TENON, URL, check, main

HERE = Path(__file__).resolve().parent
PROBLEMS = HERE.parent / "data" / "problems.jsonl"
KINDS = ("add", "sub", "compare", "share")
COUNT = 24

TASK = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
doc_to_text: "{{{{question}}}}"
{rest}
metadata:
  version: 1
"""
ANSWERS = """output_type: generate_until
doc_to_target: "{{answer}}"
generation_kwargs:
  until: []
  max_gen_toks: 512
  temperature: 0
filter_list:
  - name: last-number
    filter:
      - function: regex
        regex_pattern: "([A-Za-z]+|-?[0-9]+)[^A-Za-z0-9]*$"
      - function: take_first
metric_list:
  - metric: exact_match
"""
LIKELIER = """output_type: multiple_choice
doc_to_choice: "{{choices}}"
doc_to_target: 0
target_delimiter: ""
metric_list:
  - metric: acc
"""


def problems():
    found = [json.loads(line) for line in open(PROBLEMS, encoding="utf-8")]
    found = [p for p in found if p["lang"] == "en" and p["kind"] in KINDS]
    return found[:COUNT]


def lm_eval(folder, name, rest, docs, *options):
    """The result of the task, and a list of what was logged of each document."""
    file = Path(folder) / f"{name}.jsonl"
    file.write_text("".join(json.dumps(d) + "\n" for d in docs))
    (Path(folder) / f"{name}.yaml").write_text(TASK.format(name=name, file=file, rest=rest))
    env = {**os.environ, "HF_HOME": folder, "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1",
           "OPENAI_API_KEY": "sk-any"}
    subprocess.run([sys.executable, "-m", "lm_eval", "run", "--tasks", name, "--include_path", folder,
                    "--output_path", f"{folder}/out", "--log_samples", *options],
                   check=True, env=env, stdout=sys.stderr)
    results = next(Path(folder, "out").rglob("results_*.json"))
    samples = next(Path(folder, "out").rglob("samples_*.jsonl"))
    return (json.loads(results.read_text())["results"][name],
            [json.loads(line) for line in samples.read_text().splitlines()])


@check
def problems_through_chat_score_as_tenon_eval():
    with tempfile.TemporaryDirectory() as folder:
        docs = problems()
        got, samples = lm_eval(
            folder, "nano_answers", ANSWERS, docs, "--model", "local-chat-completions",
            "--model_args", f"model=deepseek-reasoner,base_url={URL}/v1/chat/completions,"
            "num_concurrent=4,max_retries=1", "--apply_chat_template")
        task = Path(folder) / "task.jsonl"
        task.write_text("".join(json.dumps(d) + "\n" for d in docs))
        want = subprocess.run([TENON, "eval", MODEL, "--task", str(task), "--json"],
                              capture_output=True, text=True, check=True).stdout
        assert len(samples) == COUNT
        share = got["exact_match,last-number"]
        assert abs(share - json.loads(want)["overall"]["accuracy"]) < 1e-9, (share, want)


def post(path, body):
    request = urllib.request.Request(f"{URL}{path}", json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request))


def told_log_probability(context, text):
    """Of the text behind the context, asked for by hand."""
    def ids(words):
        return post("/tokenize", {"prompt": words, "add_special_tokens": False})["tokens"]

    body = {"model": "deepseek-chat", "prompt": ids(context + text), "max_tokens": 1, "echo": True,
            "logprobs": 1, "temperature": 0}
    found = post("/v1/completions", body)["choices"][0]["logprobs"]
    return sum(found["token_logprobs"][len(ids(context)):-1])


@check
def likelihoods_through_completions():
    docs = [{**p, "choices": [f" {p['answer']}", " none"]} for p in problems()[:8]]
    with tempfile.TemporaryDirectory() as folder:
        got, samples = lm_eval(
            folder, "nano_likelier", LIKELIER, docs, "--model", "local-completions",
            "--model_args", f"model=deepseek-chat,base_url={URL}/v1/completions,"
            "num_concurrent=2,max_retries=1,tokenizer_backend=remote,tokenized_requests=True")
        assert 0 <= got["acc,none"] <= 1 and len(samples) == len(docs)
        for sample in samples:
            for choice, answer in zip(sample["doc"]["choices"], sample["filtered_resps"]):
                told = float(answer[0])
                assert math.isfinite(told) and told < 0, answer
                question = sample["doc"]["question"]
                alone = told_log_probability(question, choice)
                assert abs(told - alone) < 1e-3, (told, alone, question, choice)


main()
