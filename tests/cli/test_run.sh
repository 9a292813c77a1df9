#!/usr/bin/env bash
# tenon run: its fixed form.
set -u
. "$(dirname "$0")/common.sh"
check "a model of random weights" make_model
make_model

run() {
    "$T" run "$MODEL" "$@" 2>"$DIR/stderr" </dev/null
}

# ---- ids ----
seq 1 40 >"$DIR/ids"
greedy=$("$T" run "$ZETA" --tokens "$DIR/ids" --temp 0 -n 12 --ignore-eos)
equal "ids on one line" "$(wc -w <<<"$greedy")" 12
json=$("$T" run "$ZETA" --tokens "$DIR/ids" --temp 0 -n 12 --ignore-eos --json)
equal "the same ids in JSON" "$(field '*j["ids"]' <<<"$json")" "$greedy"
equal "what JSON says of them" \
    "$(field 'j["prompt_tokens"], j["generated_tokens"], j["finish_reason"], "content" in j' <<<"$json")" \
    "40 12 length False"
equal "ids from stdin" "$("$T" run "$ZETA" --tokens - --temp 0 -n 12 --ignore-eos <"$DIR/ids")" "$greedy"
equal "three threads" "$("$T" run "$ZETA" --tokens "$DIR/ids" --temp 0 -n 12 --ignore-eos --threads 3)" "$greedy"
sampled=$("$T" run "$ZETA" --tokens "$DIR/ids" --seed 5 -n 12 --ignore-eos)
equal "a seed repeats" "$("$T" run "$ZETA" --tokens "$DIR/ids" --seed 5 -n 12 --ignore-eos)" "$sampled"
[ "$("$T" run "$ZETA" --tokens "$DIR/ids" --seed 6 -n 12 --ignore-eos)" != "$sampled" ] &&
    pass "another seed differs" || fail "another seed differs"
new=$("$T" run "$ZETA" --tokens "$DIR/ids" -n 12 --ignore-eos --json)
equal "a new seed is told and repeats" \
    "$("$T" run "$ZETA" --tokens "$DIR/ids" -n 12 --ignore-eos --seed "$(field 'j["seed"]' <<<"$new")")" \
    "$(field '*j["ids"]' <<<"$new")"
equal "the context ends it" \
    "$("$T" run "$ZETA" --tokens "$DIR/ids" --temp 0 --ignore-eos --ctx 43)" "$(cut -d' ' -f1-3 <<<"$greedy")"
eos=$("$T" run "$ZETA" --tokens "$DIR/ids" -n 9 --logit-bias 1=1000 --json)
equal "EOS ends it, and is among the ids" "$(field 'j["ids"], j["finish_reason"]' <<<"$eos")" "[1] stop"
logprobs=$("$T" run "$ZETA" --tokens "$DIR/ids" -n 3 --temp 0 --logprobs 2 --json --ignore-eos)
equal "log-probabilities" \
    "$(field '[(p["id"] == i, len(p["top"]), p["logprob"] <= 0) for p, i in zip(j["logprobs"], j["ids"])]' <<<"$logprobs")" \
    "[(True, 2, True), (True, 2, True), (True, 2, True)]"

# ---- drafts ----
NANO=models/nano
"$T" convert "$ZETA" "$DIR/plain.gguf" >/dev/null 2>&1 # leaves MTP out
for temp in 0 1; do
    off=$("$T" run $NANO -p "What is 17 + 25?" --temp $temp --seed 3 -n 60 --draft off --json)
    on=$("$T" run $NANO -p "What is 17 + 25?" --temp $temp --seed 3 -n 60 --draft on --json)
    equal "the same answer with drafts, --temp $temp" "$(field '*j["ids"], j["content"], j["finish_reason"]' <<<"$on")" \
        "$(field '*j["ids"], j["content"], j["finish_reason"]' <<<"$off")"
    equal "drafts are counted" "$(field 'j["drafts"]["made"] > j["drafts"]["right"] * 0.9 > 5' <<<"$on")" True
    equal "and off there are none" "$(field 'j["drafts"]' <<<"$off")" "{'made': 0, 'right': 0}"
    equal "auto too is the same" "$("$T" run $NANO -p "What is 17 + 25?" --temp $temp --seed 3 -n 60 --draft auto)" \
        "$(field 'j["content"]' <<<"$off")"
done
equal "--stats tells of drafts" "$("$T" run $NANO -p "What is 17 + 25?" --temp 0 --draft on --stats 2>&1 >/dev/null |
    grep -c 'of .* drafts right')" 1
equal "a model without MTP has none" "$("$T" run "$DIR/plain.gguf" --tokens "$DIR/ids" --temp 0 -n 3 --json |
    field 'j["drafts"]["made"]')" 0
refuses "drafts without MTP" "no MTP block" run "$DIR/plain.gguf" --tokens "$DIR/ids" --draft on
misused "drafts that are none" run "$MODEL" -p x --draft maybe
# A session keeps MTP's state, or has none, whatever --draft says.
two_turns() { # HOW HOW: the second answer
    rm -f "$DIR/turns"
    "$T" run $NANO -p "What is 17 + 25?" --temp 0 -n 20 --session "$DIR/turns" --draft "$1" >/dev/null &&
        "$T" run $NANO -p "And 3 + 4?" --temp 0 -n 60 --chat --session "$DIR/turns" --draft "$2" --json |
        field '*j["ids"], j["reused_tokens"] > 20'
}
plain=$(two_turns off off)
for how in "off auto" "on off" "on on"; do
    # shellcheck disable=SC2086 # two words
    equal "a session, --draft $how" "$(two_turns $how)" "$plain"
done
"$T" run $NANO -p "What is 17 + 25?" --temp 0 -n 20 --session "$DIR/turns2" --draft off >/dev/null
refuses "drafts in a session without MTP's state" "made without MTP state" \
    run $NANO -p x --session "$DIR/turns2" --draft on

# ---- text ----
text=$(run -p "Hi" --chat --seed 1 -n 16)
json=$(run -p "Hi" --chat --seed 1 -n 16 --json)
equal "a pipe gets the content" "$text" "$(field 'j["content"]' <<<"$json")"
equal "the prompt has BOS, User, 2 bytes, Assistant, </think>" "$(field 'j["prompt_tokens"]' <<<"$json")" 6
printf Hi >"$DIR/hi"
equal "-f" "$(run -f "$DIR/hi" --chat --seed 1 -n 16)" "$text"
equal "-f PIPE" "$("$T" run "$MODEL" -f <(cat "$DIR/hi") --chat --seed 1 -n 16)" "$text"
equal "-f -" "$("$T" run "$MODEL" -f - --chat --seed 1 -n 16 <"$DIR/hi")" "$text"
echo '[{"role": "user", "content": "Hi"}]' >"$DIR/m"
equal "--messages" "$(run --messages "$DIR/m" --chat --seed 1 -n 16)" "$text"
equal "--messages -" "$("$T" run "$MODEL" --messages - --chat --seed 1 -n 16 <"$DIR/m")" "$text"
echo '{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]}' >"$DIR/m"
equal "--system is a system message" "$(run -p Hi --system S --chat --seed 1 -n 16)" \
    "$(run --messages "$DIR/m" --chat --seed 1 -n 16)"
equal "--raw is the text alone" "$(run -p "Hi" --raw -n 1 --json | field 'j["prompt_tokens"]')" 2
equal "control tokens in text stay text" \
    "$(run -p "<think>" --raw -n 1 --json | field 'j["prompt_tokens"]')" 7
equal "and in the chat format" "$(run -p "<think>" --chat -n 1 --json | field 'j["prompt_tokens"]')" 11

think=$(run -p Hi --json -n 5 --logit-bias "$END_THINK=1000")
equal "thinking ends, then content" "$(field 'j["reasoning"] == "", j["ids"][0]' <<<"$think")" "True $END_THINK"
think=$(run -p Hi --json -n 5 --logit-bias 42=1000) # the byte H
equal "cut off while thinking" "$(field 'j["reasoning"], j["content"], j["finish_reason"]' <<<"$think")" "HHHHH  length"
equal "no reasoning into a pipe" "$(run -p Hi -n 5 --logit-bias 42=1000)" ""
equal "--show-thinking" "$(run -p Hi -n 5 --logit-bias 42=1000 --show-thinking)" "<think>
HHHHH
</think>"
equal "--chat: the same is content" "$(run -p Hi --chat -n 5 --logit-bias 42=1000)" HHHHH
echo '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "wo_eos": true}]' >"$DIR/m"
equal "a message to be completed goes on with content" \
    "$(run --messages "$DIR/m" -n 3 --logit-bias 42=1000)" HHH
equal "a stop string" "$(run -p Hi --chat -n 50 --logit-bias 42=1000 --stop HHH --json |
    field 'j["content"], j["finish_reason"], len(j["ids"])')" " stop 3"
equal "a presence penalty" "$(run -p Hi --chat -n 3 --temp 0 --logit-bias 42=1000 --logit-bias 43=950 \
    --presence-penalty 100 --json | field 'j["ids"]')" "[43, 42, 42]"
equal "--stats go to stderr" "$(run -p Hi -n 3 --stats >/dev/null; grep -c 'prompt tokens' "$DIR/stderr")" 1

# ---- sessions ----
# Ids: what goes on is what one run would have given.
S=$DIR/session
one=$("$T" run "$ZETA" --tokens "$DIR/ids" --seed 5 -n 8 --ignore-eos)
"$T" run "$ZETA" --tokens "$DIR/ids" --seed 5 -n 8 --ignore-eos --session "$S" >/dev/null
echo 7 8 9 >"$DIR/more"
go_on=$("$T" run "$ZETA" --tokens "$DIR/more" -n 8 --ignore-eos --session "$S" --json)
echo "$(cat "$DIR/ids") $one 7 8 9" >"$DIR/all"
equal "a session goes on as one run, seed and all" "$(field '*j["ids"]' <<<"$go_on")" \
    "$("$T" run "$ZETA" --tokens "$DIR/all" --seed 5 -n 8 --ignore-eos)"
equal "and feeds only what is new" "$(field 'j["reused_tokens"], j["prompt_tokens"]' <<<"$go_on")" "47 51"
# Text: the turns of a session are those of the messages with all reasoning kept.
rm "$S"
first=$(run -p A --seed 3 -n 6 --session "$S" --json --logit-bias "$END_THINK=8")
second=$(run -p B --seed 4 -n 6 --session "$S" --json)
equal "a turn follows: EOS, User, 1 byte, Assistant, <think>" \
    "$(($(field 'j["prompt_tokens"]' <<<"$second") - $(field 'j["prompt_tokens"]' <<<"$first") - 6))" 5
refuses "another model's session" "another model" run "$ZETA" --tokens "$DIR/ids" --session "$S"
refuses "another mode's session" "mode default, this run is in --float" \
    run "$MODEL" -p x --float --session "$S" -n 1
refuses "a system prompt that comes too late" "--system comes too late" run "$MODEL" -p x --system y --session "$S"
cp "$S" "$DIR/damaged"
printf '\377' | dd of="$DIR/damaged" bs=1 seek=9000 conv=notrunc status=none
refuses "a damaged session" "is damaged" run "$MODEL" -p x --session "$DIR/damaged" -n 1
head -c 5000 "$S" >"$DIR/cut"
refuses "a session cut off" "it is cut off" run "$MODEL" -p x --session "$DIR/cut" -n 1
refuses "no session at all" "not a session file" run "$MODEL" -p x --session "$DIR/hi" -n 1
equal "a refused file is left alone" "$(cat "$DIR/hi")" Hi
refuses "nowhere to save" "No such file" run "$ZETA" --tokens "$DIR/ids" --session "$DIR/no/s" -n 1 --json

# ---- what is wrong with input ----
refuses "a prompt longer than the context" "the prompt has 6 tokens, the context 5" run "$MODEL" -p Hi --ctx 5
refuses "a context longer than the model's" "the model has 1 to" run "$MODEL" -p Hi --ctx 2000000000
refuses "no tokenizer" "tokenizer" run "$ZETA" -p Hi
refuses "an empty raw prompt" "nothing to continue" run "$MODEL" -p "" --raw
refuses "a bias outside the vocabulary" "token 384, the vocabulary has 384" run "$MODEL" -p x --logit-bias 384=1
printf '\377' >"$DIR/bad"
refuses "text that is not UTF-8" "not UTF-8" run "$MODEL" -f "$DIR/bad"
echo '{"messages": 3}' >"$DIR/bad"
refuses "messages that are none" "a list of messages" run "$MODEL" --messages "$DIR/bad"
echo '[{"role": "user"' >"$DIR/bad"
refuses "messages cut off" "$DIR/bad" run "$MODEL" --messages "$DIR/bad"
echo '[{"role": "emperor", "content": "x"}]' >"$DIR/bad"
refuses "a role that is none" "emperor" run "$MODEL" --messages "$DIR/bad"
refuses "an effort that is none" "effort" run "$MODEL" -p x --effort enormous
if "$T" run "$MODEL" -p x -n 5 --chat >/dev/full 2>"$DIR/err"; then
    fail "a full disk under stdout"
else
    equal "a full disk under stdout" "$(cat "$DIR/err")" "tenon: cannot write to standard output"
fi
echo '{"model": "m", "messages": [{"role": "user", "content": 1}]}' >"$DIR/bad.json"
refuses "a request that is wrong" "messages" run models/nano --request "$DIR/bad.json"

# ---- answers of a form ----
same_as_request() { # NAME FIELDS ARGUMENT...: the answer is that to a request with these fields
    local name=$1 fields=$2
    shift 2
    echo "{\"model\": \"deepseek-chat\", \"seed\": 6, \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + 25?\"}],
        \"max_tokens\": 90, $fields}" >"$DIR/form.json"
    equal "$name" "$("$T" run $NANO -p "What is 17 + 25?" --seed 6 -n 90 --chat "$@")" \
        "$("$T" run $NANO --request "$DIR/form.json" | field 'j["choices"][0]["message"]["content"]')"
}
schema='{"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"], "additionalProperties": false}'
grammar='root ::= "<" [0-9]+ ">" | "none"'
echo "$schema" >"$DIR/schema"
echo "$grammar" >"$DIR/grammar"
same_as_request "a schema" "\"guided_json\": $schema" --json-schema "$schema"
same_as_request "a schema from a file" "\"guided_json\": $schema" --json-schema "$DIR/schema"
same_as_request "by llama.cpp's name" "\"guided_json\": $schema" --json-schema-file "$DIR/schema"
same_as_request "a grammar" "\"grammar\": \"${grammar//\"/\\\"}\"" --grammar "$grammar"
same_as_request "a grammar from a file" "\"grammar\": \"${grammar//\"/\\\"}\"" --grammar-file "$DIR/grammar"
same_as_request "a pattern" '"guided_regex": "[a-f]{3}-[0-9]{2}"' --regex '[a-f]{3}-[0-9]{2}'
equal "JSON that fits" "$("$T" run $NANO -p "What is 17 + 25?" --json-schema "$DIR/schema" -n 400 | field 'type(j["sum"]).__name__, len(j)')" "int 1"
matched=$("$T" run $NANO --raw -p "It is " --regex '[a-f]{3}-[0-9]{2}' --temp 2)
[[ $matched =~ ^[a-f]{3}-[0-9]{2}$ ]] && pass "raw text of a form" || fail "raw text of a form" "$matched"
refuses "a pattern that is none" "--regex: regex, byte 1" run $NANO -p x --regex '('
refuses "a grammar without its rule" '"x" is not defined' run $NANO -p x --grammar 'root ::= x'
refuses "a schema with what is not there" '"not" at #' run $NANO -p x --json-schema '{"not": {}}'
refuses "a schema that is no JSON" "--json-schema" run $NANO -p x --json-schema '{"type"'
refuses "a file that is not there" "No such file" run $NANO -p x --json-schema "$DIR/none"
misused "two forms" run $NANO -p x --regex a --grammar 'root ::= "a"'
misused "a form without an end" run $NANO -p x --regex a --ignore-eos
misused "a form of ids" run $NANO --tokens "$DIR/ids" --regex a
misused "a request and a form" run $NANO --request "$DIR/form.json" --regex a
misused "a request and a prompt" run models/nano --request "$DIR/bad.json" -p hi
misused "a request and a stop" run models/nano --request "$DIR/bad.json" --stop x
finish
