#!/usr/bin/env bash
# --memory: models larger than the memory given.
set -u
. "$(dirname "$0")/common.sh"

"$BUILD/tools/make-model" --shape tiny --layers 4 --hash 2 --vocab 384 "$DIR/model" >/dev/null || exit 1
MODEL=$DIR/model
seq 3 7 200 >"$DIR/ids"

loading() { # SIZE EXPRESSION: what inspect --memory says of loading
    "$T" inspect "$MODEL" --json --memory "$1" | field "$2"
}

dense=$(loading 1G 'j["loading"]["dense_bytes"]')
expert=$(loading 1G 'j["loading"]["expert_bytes"]')
equal "128 experts" "$(loading 1G 'j["loading"]["experts"]')" 128
# An eighth is kept aside.
bytes_for() { # SLOTS
    echo $(((dense + $1 * expert) * 8 / 7 + 64))
}
digest() { # ARGUMENT...
    "$T" logits "$MODEL" --tokens "$DIR/ids" --out /dev/null "$@"
}

whole=$(digest)
for slots in 1 2 6 20 127; do
    equal "$slots slots" "$(loading "$(bytes_for $slots)" 'j["loading"]["slots"], j["fits"]')" "$slots False"
    equal "the same logits with $slots slots" "$(digest --memory "$(bytes_for $slots)" --chunk 5 -t 3)" "$whole"
done
equal "all of them" "$(loading "$(bytes_for 128)" 'j["loading"]["slots"], j["fits"]')" "0 True"
refuses "not even one" "the dense part of" logits "$MODEL" --tokens "$DIR/ids" --out /dev/null --memory "$dense"
numbers=$(python3 -c "print('%.2f MB' % ($dense / 1e6), 'do not fit in the %.2f MB given' % ($dense / 1e6), sep='.*')")
check "both numbers are named" grep -q "$numbers" "$DIR/err"
equal "nothing is loaded for that" "$("$T" inspect "$MODEL" --memory 1K | grep -c 'do not fit in the 1.02 kB given')" 1

small=$(bytes_for 20)
run() {
    "$T" run "$MODEL" --tokens "$DIR/ids" -n 12 --ignore-eos --seed 5 "$@" 2>"$DIR/stderr"
}
equal "the same answer" "$(run --memory "$small")" "$(run)"
equal "--json counts" "$(run --memory "$small" --json | field '(lambda e: (e["slots"], e["misses"] > 0,
    e["hits"] > 0, e["read_bytes"] > 0, e["wait_seconds"] >= 0, e["ahead_used"] <= e["ahead"]))(j["experts"])')" \
    "(20, True, True, True, True, True)"
equal "nothing to count when all is loaded" "$(run --json | field '"experts" in j')" False
run --memory "$small" --stats >/dev/null
equal "--stats" "$(grep -c '% hits' "$DIR/stderr")" 1
"$T" bench "$MODEL" --memory "$small" --rounds 1 --batch 1 --context 0 --prefill 0 --json >"$DIR/b.json" 2>/dev/null
equal "bench counts" "$(field 'j["about"]["expert_slots"], [0 <= r["experts"]["hits"] <= 1 and
    r["experts"]["read_bytes"] > 0 for r in j["rows"]]' <"$DIR/b.json")" "20 [True]"
equal "and its files are compared" "$("$T" bench --compare "$DIR/b.json" "$DIR/b.json" | grep -c '^decode')" 1
equal "units" "$(for s in 2048 2K 0.5M .5M 3.5x -1 0 0x10 1KB 1e9 K ""; do
    "$T" inspect "$MODEL" --memory "$s" >"$DIR/o" 2>&1
    echo -n "$? "
done)" "0 0 0 2 2 2 2 2 2 2 2 2 "
finish
