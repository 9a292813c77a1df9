#!/usr/bin/env bash
# tenon bench serve: what it counts. Speeds are nobody's business here.
set -u
. "$(dirname "$0")/common.sh"

serve() { # OPTION...: leaves $server and $url
    "$T" serve models/nano --port 0 --threads 1 "$@" >"$DIR/serving" 2>"$DIR/log" &
    server=$!
    for _ in $(seq 300); do
        url=$(grep -o 'http://.*' "$DIR/serving") && return
        sleep 0.1
    done
    fail "the server starts" "$(cat "$DIR/log")"
    finish
    exit 1
}

stop() {
    kill "$server"
    wait "$server"
    equal "the server ends well" $? 0
}

load() { # OPTION...
    "$T" bench serve "$url" --json "$@" 2>"$DIR/stderr"
}

serve --max-streams 4
load --requests 9 --concurrency 3 --prompt 20 --answer 6 >"$DIR/a.json"
equal "every request is answered" "$(field 'j["requests"], j["outcomes"]["whole"], j["statuses"]' <"$DIR/a.json")" "9 9 {}"
equal "every token is counted" "$(field 'j["answer_tokens"], j["e2e_ms"]["n"], j["ttft_ms"]["n"]' <"$DIR/a.json")" "54 9 9"
equal "without limits all is good" "$(field 'j["good"]' <"$DIR/a.json")" 9
equal "times are in order" "$(field 'all(j[k]["p50"] <= j[k]["p90"] <= j[k]["p99"] <= j[k]["max"] for k in ("ttft_ms", "itl_ms", "e2e_ms")) and j["ttft_ms"]["max"] <= j["e2e_ms"]["max"]' <"$DIR/a.json")" True
load --requests 9 --concurrency 2 --prompt 20 --answer 6 >"$DIR/b.json"
equal "the same seed asks the same" "$(field 'j["prompt_tokens"]' <"$DIR/b.json")" "$(field 'j["prompt_tokens"]' <"$DIR/a.json")"
plain=$(field 'j["prompt_tokens"]' <"$DIR/a.json")
equal "a prefix is in every prompt" "$(load --requests 9 --prompt 20 --answer 6 --prefix 30 | field "(j['prompt_tokens'] - $plain) // 9 >= 30")" True
load --requests 6 --turns 3 --concurrency 2 --prompt 10 --answer 5 >"$DIR/turns.json"
equal "turns are requests" "$(field 'j["outcomes"]["whole"], j["answer_tokens"]' <"$DIR/turns.json")" "6 30"
one=$(load --requests 2 --prompt 10 --answer 5 | field 'j["prompt_tokens"]')
equal "each turn carries those before it" "$(field "j['prompt_tokens'] >= 6 * $one // 2 + 60" <"$DIR/turns.json")" True
equal "lengths of a range differ" "$(load --requests 12 --prompt 5 --answer 1-20 | field 'j["answer_tokens"] not in (12, 240) and 12 <= j["answer_tokens"] <= 240')" True
equal "arrivals at a rate" "$(load --requests 8 --rate 50 --prompt 5 --answer 3 | field 'j["outcomes"]["whole"], j["answer_tokens"]')" "8 24"
equal "waiting counts" "$(load --requests 6 --rate 2000 --concurrency 1 --prompt 5 --answer 30 | field 'j["outcomes"]["whole"], j["e2e_ms"]["max"] > 500 * j["seconds"]')" "6 True"
equal "a time is enough" "$(load --seconds 0.5 --concurrency 2 --prompt 5 --answer 3 | field 'j["requests"] == j["outcomes"]["whole"] and 1 <= j["requests"]')" True
equal "limits that none keeps" "$(load --requests 3 --answer 3 --goodput-ttft 0.001 | field 'j["good"], j["outcomes"]["whole"]')" "0 3"
equal "limits that all keep" "$(load --requests 3 --answer 3 --goodput-ttft 600000 --goodput-itl 600000 | field 'j["good"]')" 3
equal "refusals by status" "$(load --requests 5 --model nobody | field 'j["statuses"], j["outcomes"]["refused"], j["retry_after"], j["refusal_ms"]["n"]')" "{'404': 5} 5 0 5"
equal "a table" "$("$T" bench serve "$url" --requests 3 --answer 3 | awk '$1 == "requests" || $1 == "first" || $1 == "whole" {print $1}' | tr '\n' ' ')" "requests first whole "
"$T" bench serve "$url" --json --concurrency 2 --answer 30000 --seconds 60 >"$DIR/stopped.json" 2>"$DIR/stderr" &
load=$!
sleep 3
kill -INT $load
wait $load
equal "Ctrl-C: the exit status" $? 130
equal "Ctrl-C: what there is" "$(field 'j["stopped"], j["requests"], j["outcomes"]["stopped"], j["itl_ms"]["n"] > 0' <"$DIR/stopped.json")" "True 2 2 True"
stop

serve --max-streams 1 --max-queue 0 --api-key sk-0123456789
equal "without the key" "$(load --requests 2 | field 'j["statuses"]')" "{'401': 2}"
load --requests 20 --concurrency 4 --prompt 5 --answer 200 --key sk-0123456789 >"$DIR/full.json"
equal "one too many is told to come again" "$(field '0 < j["statuses"]["429"] == j["retry_after"] and j["requests"] == 20 == j["outcomes"]["whole"] + j["outcomes"]["refused"]' <"$DIR/full.json")" True
echo sk-0123456789 >"$DIR/key"
equal "the key of a file" "$(load --requests 1 --answer 2 --key-file "$DIR/key" | field 'j["outcomes"]["whole"]')" 1
stop

python3 tests/cli/broken_server.py >"$DIR/port" &
broken=$!
for _ in $(seq 100); do [ -s "$DIR/port" ] && break || sleep 0.1; done
broken() { # MANNER OUTCOME [GOOD]
    local seconds=60
    [ "$1" = late ] && seconds=1
    equal "an answer that is $1" "$("$T" bench serve "http://127.0.0.1:$(cat "$DIR/port")/$1" --requests 2 --timeout $seconds --json | field "j['outcomes']['$2'], j['outcomes']['whole'] if '$2' != 'whole' else 0, j['good']")" "2 0 ${3:-0}"
}
broken whole whole 2
broken cut "cut short"
broken no-done "cut short"
broken no-reason "cut short"
broken error "error event"
broken nonsense malformed
broken no-stream malformed
broken no-http malformed
broken mute "cut short"
broken late "too late"
kill $broken
wait $broken 2>/dev/null
equal "nobody there" "$("$T" bench serve "http://127.0.0.1:$(cat "$DIR/port")" --requests 2 --json | field 'j["outcomes"]["no connection"]')" 2

misused "no URL" bench serve
misused "two URLs" bench serve http://a http://b
misused "no range" bench serve http://a --prompt 9-3
misused "a rate of nothing" bench serve http://a --rate 0
misused "a temperature that is no number" bench serve http://127.0.0.1:1 --requests 1 --temp nan
misused "a model whose name is no text" bench serve http://127.0.0.1:1 --requests 1 --model $'\xff'
refuses "a port beyond the last" "a URL as" bench serve http://127.0.0.1:65537 --requests 1
refuses "no URL at all" "a URL as" bench serve nonsense
refuses "TLS" "TLS" bench serve https://127.0.0.1
finish
