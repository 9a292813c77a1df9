#!/usr/bin/env bash
# tenon bench: its form. Speeds are nobody's business here.
set -u
. "$(dirname "$0")/common.sh"
NANO=models/nano

quick() { # ARGUMENT...
    "$T" bench "$NANO" --rounds 1 "$@" 2>"$DIR/stderr" </dev/null
}

quick --batch 1,2 --context 0 --prefill 40 --json >"$DIR/a.json" || fail "bench --json"
equal "rows" "$(field '[(r["name"], r["n"], r["context"], r["unit"]) for r in j["rows"]]' <"$DIR/a.json")" \
    "[('decode', 1, 0, 'tokens/s'), ('decode', 2, 0, 'tokens/s'), ('prefill', 40, 0, 'tokens/s')]"
equal "every figure is there" "$(field 'all(r[k] > 0 for r in j["rows"] for k in ("rate", "limit", "share", "seconds", "read"))' <"$DIR/a.json")" True
equal "of what" "$(field 'j["about"]["model"], j["about"]["bytes"] > 1e6, j["about"]["barrier_s"] > 0' <"$DIR/a.json")" \
    "models/nano True True"
equal "a run compared with itself" "$("$T" bench --compare "$DIR/a.json" "$DIR/a.json" | awk '$1 == "decode" || $1 == "prefill" {print $7}' | sort -u)" 1.00
sed 's/"prefill"/"fill"/' "$DIR/a.json" >"$DIR/b.json"
equal "rows that B lacks are counted" "$("$T" bench --compare "$DIR/a.json" "$DIR/b.json" | tail -1)" "1 rows of A are not in B"
table=$(quick --batch 0 --context 200 --prefill 0 --ops)
equal "a table" "$(awk '$1 == "decode" {print $1, $2, $3, $5}' <<<"$table")" "decode 1 200 tokens/s"
equal "where its time goes" "$(awk '$1 == "experts"' <<<"$table" | wc -l)" 1
equal "contexts beyond the model's are left out" \
    "$(quick --batch 0 --context 16000000 --prefill 0 --json | field 'j["rows"]')" "[]"
misused "nothing to measure" bench
misused "two models" bench a b
misused "one file to compare" bench --compare "$DIR/a.json"
misused "a batch that is no number" bench "$NANO" --batch 1,x
misused "an unknown option" bench "$NANO" --speed
refuses "no such model" "$DIR/none" bench "$DIR/none"
refuses "no such kernels" "no kernels named" bench "$NANO" --isa none
refuses "no such file" none.json bench --compare "$DIR/a.json" "$DIR/none.json"
echo '{}' >"$DIR/bad.json"
refuses "a file that is no run" "not the output of bench" bench --compare "$DIR/bad.json" "$DIR/a.json"
"$T" bench machine >"$DIR/o" || fail "bench machine"
equal "the machine" "$(grep -c 'GB/s' "$DIR/o")" 1
finish
