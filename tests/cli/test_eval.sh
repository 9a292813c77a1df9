#!/usr/bin/env bash
# tenon eval: its fixed form.
set -u
. "$(dirname "$0")/common.sh"
NANO=models/nano
make_model >/dev/null || fail "a model of random weights"
# Problems for a model that knows nothing: any content will do, and --logit-bias tells it what to say.
H=42 I=43 # the bytes H and I
python3 - "$DIR" <<'PY'
import json, sys
with open(sys.argv[1] + "/p.jsonl", "w") as f:
    for i in range(12):
        f.write(json.dumps({"id": "p%d" % i, "lang": "en" if i % 3 else "zh", "kind": "add" if i % 2 else "sub",
                            "question": "Question %s?" % ("x" * 7 * i), "answer": "HHH" if i < 6 else "37",
                            "wording": "w%d" % (i % 4)}) + "\n")
PY

run_eval() { # ARGUMENT...: with the small model
    "$T" eval "$MODEL" "$@" 2>"$DIR/stderr" </dev/null
}

lines() { # EXPRESSION: of the list j of objects, one a line of stdin
    python3 -c "import json, sys
j = [json.loads(line) for line in sys.stdin]
print($1)"
}

# ---- counting ----
all=$(run_eval --task "$DIR/p.jsonl" --chat -n 3 --logit-bias $H=1000 --ignore-eos --json)
equal "cut answers are wrong" "$(field 'j["overall"]["right"], j["overall"]["cut"], j["overall"]["answers"]' <<<"$all")" "0 12 12"
stopped=$(run_eval --task "$DIR/p.jsonl" --chat -n 9 --logit-bias $H=1000 --stop HHHH --json)
equal "a stop string ends an answer; its text is none of it" \
    "$(field 'j["overall"]["right"], j["overall"]["cut"]' <<<"$stopped")" "0 0"
# With the penalty H is drawn, then I, then EOS (1).
penalty="--logit-bias $H=1000 --logit-bias $I=970 --logit-bias 1=960 --presence-penalty 50"
sed 's/"HHH"/"HI"/' "$DIR/p.jsonl" >"$DIR/hi.jsonl"
# shellcheck disable=SC2086 # words
right=$(run_eval --task "$DIR/hi.jsonl" --chat -n 9 $penalty --json --by wording --out "$DIR/out.jsonl")
equal "right answers" "$(field 'j["overall"]["right"], j["overall"]["accuracy"], j["overall"]["cut"]' <<<"$right")" "6 0.5 0"
equal "the interval is Wilson's" "$(field '["%.4f" % x for x in j["overall"]["interval"]]' <<<"$right")" "['0.2538', '0.7462']"
equal "by language" "$(field '[(r["lang"], r["right"], r["answers"]) for r in j["by_lang"]]' <<<"$right")" \
    "[('zh', 2, 4), ('en', 4, 8)]"
equal "by kind" "$(field '[(r["kind"], r["right"], r["answers"]) for r in j["by_kind"]]' <<<"$right")" \
    "[('sub', 3, 6), ('add', 3, 6)]"
equal "by both" "$(field '[(r["lang"], r["kind"], r["right"], r["answers"]) for r in j["by_lang_kind"]]' <<<"$right")" \
    "[('zh', 'sub', 1, 2), ('en', 'add', 2, 4), ('en', 'sub', 2, 4), ('zh', 'add', 1, 2)]"
equal "by another field" "$(field '[(r["wording"], r["answers"]) for r in j["by_wording"]]' <<<"$right")" \
    "[('w0', 3), ('w1', 3), ('w2', 3), ('w3', 3)]"
equal "tokens" "$(field 'j["generated_tokens"], j["tokens_per_answer"], j["partial"], j["planned"]' <<<"$right")" "36 3.0 False 12"
equal "kept answers" "$(lines 'sorted((x["id"], x["right"], x["content"], x["reasoning"], x["finish"], x["n_tokens"], x["wording"]) for x in j)[0], len(j)' <"$DIR/out.jsonl")" \
    "('p0', True, 'HI', '', 'stop', 3, 'w0') 12"
# shellcheck disable=SC2086
table=$(run_eval --task "$DIR/hi.jsonl" --chat -n 9 $penalty)
equal "the table says the same" "$(awk '$1 == "all"' <<<"$table" | tr -s ' ')" "all 50.0 % 25.4 .. 74.6 6 of 12 0"
equal "and has a matrix" "$(grep -c '50.0 2/4' <<<"$table")" 1
printf '{"question": "q", "answer": "a", "wording": "x\\u001b[2J\\ny"}\n' >"$DIR/control.jsonl"
run_eval --task "$DIR/control.jsonl" -n 1 --by wording >"$DIR/o"
equal "what a file holds drives no terminal" "$(grep -c 'x?\[2J?y' "$DIR/o") $(tr -d '\n\40-\176' <"$DIR/o" | wc -c)" "1 0"
# shellcheck disable=SC2086
equal "--thinking looks at the content alone" \
    "$(run_eval --task "$DIR/hi.jsonl" -n 9 $penalty --json | field 'j["overall"]["right"]')" 0
equal "--limit spreads" "$(run_eval --task "$DIR/p.jsonl" --limit 4 -n 1 --out "$DIR/o" --json | field 'j["planned"]') $(lines 'sorted(int(x["id"][1:]) // 3 for x in j)' <"$DIR/o")" \
    "4 [0, 1, 2, 3]"
printf 'Eins?\t1,450\nZwei?\t2\n' >"$DIR/mgsm_de.tsv"
printf 'One?\t1\n' >"$DIR/mgsm_en.tsv"
equal "several files, MGSM's form" \
    "$(run_eval --task "$DIR/mgsm_de.tsv" --task "$DIR/mgsm_en.tsv" -n 1 --json | field '[(r["lang"], r["answers"]) for r in j["by_lang"]], j["by_kind"][0]["kind"]')" \
    "[('de', 2), ('en', 1)] mgsm"

# ---- each answer is the one that run gives ----
agrees() { # NAME MODEL FILE RUN-OPTION... : every line of $DIR/o against run, with its seed
    local name=$1 model=$2 file=$3
    shift 3
    python3 - "$T" "$model" "$file" "$DIR/o" "$@" <<'PY'
import json, subprocess, sys
tenon, model, file, out, *options = sys.argv[1:]
questions = {}
for line in open(file):
    p = json.loads(line)
    questions[p["id"]] = p["question"]
n = 0
for line in open(out):
    a = json.loads(line)
    if a["try"]:
        continue
    r = json.loads(subprocess.run([tenon, "run", model, "-p", questions[a["id"]], "--seed", str(a["seed"]), "--json"] + options,
                                  capture_output=True, check=True).stdout)
    got = (a["content"], a["reasoning"], a["finish"], a["n_tokens"])
    want = (r["content"], r["reasoning"], r["finish_reason"], r["generated_tokens"])
    if got != want:
        sys.exit("%s: %s, alone %s" % (a["id"], got, want))
    n += 1
sys.exit(n == 0)
PY
}
head -6 tests/data/problems.jsonl >"$DIR/nano.jsonl"
"$T" eval $NANO --task "$DIR/nano.jsonl" --out "$DIR/o" -n 200 >/dev/null
check "greedy: as run" agrees x $NANO "$DIR/nano.jsonl" --temp 0 -n 200
"$T" eval $NANO --task "$DIR/nano.jsonl" --out "$DIR/o" -n 200 --temp 1 --seed 5 --batch 3 --tries 2 --chat >/dev/null
check "sampled, in chat mode: as run" agrees x $NANO "$DIR/nano.jsonl" --temp 1 -n 200 --chat
sort "$DIR/o" >"$DIR/three"
"$T" eval $NANO --task "$DIR/nano.jsonl" --out "$DIR/o" -n 200 --temp 1 --seed 5 --batch 1 --tries 2 --chat --threads 1 >/dev/null
sort "$DIR/o" >"$DIR/one"
check "the batch does not show" cmp "$DIR/one" "$DIR/three"
run_eval --task "$DIR/p.jsonl" --out "$DIR/o" -n 30 --temp 1.2 --seed 3 --system S >/dev/null
check "random bytes, a system prompt: as run" agrees x "$MODEL" "$DIR/p.jsonl" --temp 1.2 -n 30 --system S
equal "tries differ" "$(lines 'len(j), len({x["seed"] for x in j}), len({(x["id"], x["content"]) for x in j}) > 6' <"$DIR/one")" "12 6 True"
tries=$(run_eval --task "$DIR/p.jsonl" -n 5 --tries 3 --json)
equal "several tries" "$(field 'j["planned"], j["overall"]["problems"], j["overall"]["whole"], j["overall"]["pass"], j["overall"]["majority"], len(j["overall"]["pass_interval"])' <<<"$tries")" \
    "36 12 12 0.0 0.0 2"

# ---- text ----
python3 -c "
import random
random.seed(1)
print(''.join(random.choice('abcdefgh ') for _ in range(700)))" >"$DIR/t"
ppl() { run_eval --ppl "$DIR/t" --window 64 "$@"; }
one=$(ppl --json)
equal "windows" "$(field 'j["windows"], j["tokens"], j["window"], j["skip"], j["partial"]' <<<"$one")" "10 310 64 32 False"
same='[j["result"], j["tokens"]]'
equal "perplexity does not depend on the batch" "$(ppl --json --batch 5 --threads 1 | field "$same")" "$(field "$same" <<<"$one")"
equal "--skip" "$(ppl --json --skip 0 | field 'j["tokens"]')" $((10 * 63))
equal "--limit" "$(ppl --json --limit 2 | field 'j["windows"]')" 2
python3 -c "print('<think>' * 300)" >"$DIR/control"
windows() { "$T" eval $NANO --ppl "$DIR/control" --window 64 --json "$@" | field 'j["windows"]'; }
equal "--special: one token each, BOS, the line's end" "$(windows --special)" 4
check "without it they are letters" test "$(windows)" -gt 8
ppl --limit 1 >"$DIR/o"
check "one window has no interval" sh -c "! grep -q error '$DIR/o'"
equal "the table" "$(ppl | grep -c "perplexity  $(field '"%.4f" % j["result"]["perplexity"]' <<<"$one")")" 1
python3 - "$T" "$MODEL" "$DIR" >"$DIR/o" <<'PY'
import json, math, struct, subprocess, sys
tenon, model, dir = sys.argv[1:]
text = open(dir + "/t").read()
ids = json.loads(subprocess.run([tenon, "tokenize", model], input=json.dumps({"text": text}) + "\n", text=True,
                                capture_output=True, check=True).stdout)["ids"]
stream, total, n = [0] + ids, 0.0, 0
for w in range(2):
    window = [0] + stream[64 * w + 1:64 * w + 64]
    open(dir + "/ids", "w").write(" ".join(map(str, window)))
    subprocess.run([tenon, "logits", model, "--tokens", dir + "/ids", "--out", dir + "/l"], check=True, capture_output=True)
    data = open(dir + "/l", "rb").read()
    v = len(data) // 4 // 64
    for p in range(32, 63):
        row = struct.unpack_from("<%df" % v, data, 4 * v * p)
        m = max(row)
        total += m + math.log(sum(math.exp(x - m) for x in row)) - row[window[p + 1]]
        n += 1
print("%.5f" % (total / n))
PY
head -c 127 "$DIR/t" >"$DIR/t2" # with BOS two windows
equal "the mean is that of tenon logits" \
    "$(run_eval --ppl "$DIR/t2" --window 64 --json | field '"%.5f" % j["result"]["nll"]["value"]')" "$(cat "$DIR/o")"

# ---- divergence ----
one=$(ppl --limit 4 --json)
ppl() { run_eval --ppl "$DIR/t" --window 64 --limit 4 "$@"; }
ppl --save-base "$DIR/base" >/dev/null
equal "a base file: header and f32 rows" "$(stat -c %s "$DIR/base")" $((128 + 4 * 31 * 384 * 4))
kl='j["kl"]["value"], j["kl"]["max"], j["same_top"]'
equal "from itself: nothing" "$(ppl --kl --base-file "$DIR/base" --json | field "$kl")" "0.0 0.0 1.0"
equal "another model of the same weights: nothing" "$(ppl --kl --base "$MODEL" --json | field "$kl")" "0.0 0.0 1.0"
live=$(ppl --kl --base-mode default --float --json)
stored=$(ppl --kl --base-file "$DIR/base" --float --batch 3 --json)
result='j["kl"], j["same_top"], j["same_top_interval"], j["result"], j["base_result"]'
equal "a stored base is the live one" "$(field "$result" <<<"$stored")" "$(field "$result" <<<"$live")"
equal "a model in a mode" "$(ppl --kl --base "$MODEL" --base-mode default --float --json | field "$result")" "$(field "$result" <<<"$live")"
equal "what the base was" "$(field 'j["base_mode"], len(j["base_digest"])' <<<"$stored")" "default 64"
equal "the modes differ a little" "$(field '0 < j["kl"]["median"] < j["kl"]["value"] < j["kl"]["q99"] <= j["kl"]["q999"] <= j["kl"]["max"] < 1' <<<"$live")" True
equal "the base's perplexity is its own" "$(field 'j["base_result"]' <<<"$live")" "$(field 'j["result"]' <<<"$one")"
equal "the table" "$(ppl --kl --base-mode f32 | grep -cE '^KL|^  (mean|median|99 %|99.9 %|largest) |^same most')" 7

refuses "another text" "another text" eval "$MODEL" --ppl "$DIR/p.jsonl" --window 64 --limit 4 --kl --base-file "$DIR/base"
refuses "another window" "windows of 64" eval "$MODEL" --ppl "$DIR/t" --window 32 --limit 4 --kl --base-file "$DIR/base"
refuses "another vocabulary" "vocabulary of 384" eval $NANO --ppl "$DIR/t" --window 64 --limit 4 --kl --base-file "$DIR/base"
for at in 3 20 50 100 5000; do
    cp "$DIR/base" "$DIR/bad"
    printf '\125' | dd of="$DIR/bad" bs=1 seek=$at conv=notrunc status=none
    refuses "a damaged base, byte $at" "$DIR/bad" eval "$MODEL" --ppl "$DIR/t" --window 64 --limit 4 --kl --base-file "$DIR/bad"
done
head -c 5000 "$DIR/base" >"$DIR/bad"
refuses "a base cut off" "cut off" eval "$MODEL" --ppl "$DIR/t" --window 64 --limit 4 --kl --base-file "$DIR/bad"
refuses "other tokenizers" "tokenizers or vocabularies differ" eval "$MODEL" --ppl "$DIR/t" --window 64 --limit 4 --kl --base $NANO

# ---- long context ----
long=$(run_eval --longbench-like --positions 300,400 --limit 2 -n 3 --json --out "$DIR/o")
equal "both tests at each length" "$(field '[(r["kind"], r["position"], r["answers"]) for r in j["by_kind_position"]]' <<<"$long")" \
    "[('needle', '300', 2), ('copy', '300', 2), ('needle', '400', 2), ('copy', '400', 2)]"
equal "lengths in tokens of the model" "$(field '2800 - 8 * 70 < j["prompt_tokens"] <= 2800 and j["planned"]' <<<"$long")" 8
equal "a depth for each" "$(lines 'sorted((x["id"], x["depth"]) for x in j)[4:]' <"$DIR/o")" \
    "[('needle-300-0', '25'), ('needle-300-1', '75'), ('needle-400-0', '25'), ('needle-400-1', '75')]"

# ---- interrupted ----
interrupted() {
    "$T" eval "$MODEL" "$@" --threads 1 >"$DIR/part" 2>"$DIR/err" &
    local pid=$! i
    for i in $(seq 600); do
        [ -s "$DIR/o" ] && break
        sleep 0.1
    done
    kill -INT $pid
    wait $pid
}
for i in $(seq 3000); do echo "{\"question\": \"Question $i\", \"answer\": \"none at all\"}"; done >"$DIR/many.jsonl"
rm -f "$DIR/o"
interrupted --task "$DIR/many.jsonl" -n 40 --ignore-eos --out "$DIR/o" --json
equal "Ctrl-C: status 130" $? 130
equal "what is complete is printed, and said to be partial" \
    "$(field 'j["partial"], j["planned"], 0 < j["overall"]["answers"] < 3000' <"$DIR/part")" "True 3000 True"
equal "and kept, in whole lines" "$(field 'j["overall"]["answers"]' <"$DIR/part")" "$(lines 'len(j)' <"$DIR/o")"

# ---- what is wrong ----
refuses "no such file" "$DIR/none: No such file" eval "$MODEL" --task "$DIR/none"
printf '{"question": "q", "answer": "a"}\n{"question": 3}\n' >"$DIR/bad.jsonl"
refuses "a bad line" "$DIR/bad.jsonl: line 2: \"question\" is no string" eval "$MODEL" --task "$DIR/bad.jsonl"
refuses "a prompt too long" ": the prompt has" eval "$MODEL" --task "$DIR/p.jsonl" --ctx 60 -n 1
refuses "no tokenizer" "tokenizer" eval "$ZETA" --task "$DIR/p.jsonl"
refuses "nowhere to keep" "No such file" eval "$MODEL" --task "$DIR/p.jsonl" --out "$DIR/no/o"
refuses "a full disk" "No space left" eval "$MODEL" --task "$DIR/p.jsonl" -n 1 --out /dev/full
refuses "a text shorter than a window" "a window 512" eval "$MODEL" --ppl "$DIR/t2"
printf 'abc\377' >"$DIR/bad"
refuses "text that is not UTF-8" "not UTF-8" eval "$MODEL" --ppl "$DIR/bad" --window 4
cp -r "$MODEL" "$DIR/short"
sed -i -E 's/("max_position_embeddings": *)[0-9]+/\132/' "$DIR/short/config.json"
refuses "a window longer than the model" "--window 64, the model has 32" eval "$DIR/short" --ppl "$DIR/t" --window 64
refuses "a length without room" "the question alone has" eval "$MODEL" --longbench-like --positions 128 \
    --system "$(printf '%80s' S)"
refuses "a length beyond the context" "the context 500" eval "$MODEL" --longbench-like --positions 700 --ctx 500
misused "no mode" eval "$MODEL"
misused "two modes" eval "$MODEL" --task "$DIR/p.jsonl" --ppl "$DIR/t"
misused "two others" eval "$MODEL" --longbench-like --ppl "$DIR/t"
misused "no model" eval --task "$DIR/p.jsonl"
misused "two models" eval "$MODEL" "$MODEL" --task "$DIR/p.jsonl"
misused "--kl without a base" eval "$MODEL" --ppl "$DIR/t" --kl
misused "two bases" eval "$MODEL" --ppl "$DIR/t" --kl --base "$MODEL" --base-file "$DIR/base"
misused "a base without --kl" eval "$MODEL" --ppl "$DIR/t" --base "$MODEL"
misused "--kl without a text" eval "$MODEL" --task "$DIR/p.jsonl" --kl --base "$MODEL"
misused "a mode that is none" eval "$MODEL" --ppl "$DIR/t" --kl --base-mode f16
misused "nothing left to score" eval "$MODEL" --ppl "$DIR/t" --window 64 --skip 63
misused "--tries of a text" eval "$MODEL" --ppl "$DIR/t" --tries 2
misused "--positions of a task" eval "$MODEL" --task "$DIR/p.jsonl" --positions 128
misused "no tries" eval "$MODEL" --task "$DIR/p.jsonl" --tries 0
if run_eval --task "$DIR/p.jsonl" -n 1 >/dev/full; then
    fail "a full disk under stdout"
else
    equal "a full disk under stdout" "$(cat "$DIR/stderr")" "tenon: cannot write to standard output"
fi
# ---- drafts ----
for draft in off on; do
    "$T" eval $NANO --task tests/data/problems.jsonl --limit 6 -n 80 --temp 1 --batch 3 --draft $draft --json \
        --out "$DIR/drafts.$draft" >"$DIR/json.$draft"
done
equal "the same answers with drafts" "$(sort "$DIR/drafts.on")" "$(sort "$DIR/drafts.off")"
equal "which are counted" "$(field 'j["drafts"]["made"] >= j["drafts"]["right"] > 0' <"$DIR/json.on")" True
equal "off there are none" "$(field 'j["drafts"]["made"]' <"$DIR/json.off")" 0
equal "the table tells too" "$("$T" eval $NANO --task tests/data/problems.jsonl --limit 2 -n 80 --draft on |
    grep -c 'drafts right')" 1
misused "drafts of a text" eval $NANO --ppl README.md --draft on
finish
