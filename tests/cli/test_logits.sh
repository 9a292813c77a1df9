#!/usr/bin/env bash
# tenon logits: its fixed form.
set -u
. "$(dirname "$0")/common.sh"

tokens() { # FILE COUNT: the first of golden zeta's tokens
    python3 - "$1" "$2" <<'PY'
import json, struct, sys
data = open("tests/golden/zeta/expected.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
a, b = json.loads(data[8:8 + n])["tokens"]["data_offsets"]
ids = struct.unpack("<%di" % ((b - a) // 4), data[8 + n + a:8 + n + b])[:int(sys.argv[2])]
open(sys.argv[1], "w").write(" \n\t".join(map(str, ids)) + "\n")
PY
}

tokens "$DIR/ids" 150
line=$("$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/out")
hash=$(sha256sum "$DIR/out" | cut -c1-16)
equal "one line: T, vocabulary, digest" "$line" "T=150 vocab=200 digest=$hash"
equal "size of the file" "$(stat -c %s "$DIR/out")" $((150 * 200 * 4))
for chunk in 1 3 64 150 1000; do
    equal "chunk $chunk" "$("$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --chunk $chunk)" "$line"
done
equal "three threads" "$("$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --threads 3)" "$line"
equal "plain C" "$("$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --isa ref)" "$line"
equal "stdin" "$("$T" logits "$ZETA" --tokens - --out "$DIR/b" <"$DIR/ids")" "$line"
check "same bytes" cmp "$DIR/out" "$DIR/b"
equal "into a device" "$("$T" logits "$ZETA" --tokens "$DIR/ids" --out /dev/null)" "$line"
[ -c /dev/null ] && pass "the device is still one" || fail "the device is still one"
full=$("$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --json | field 'j["digest"]')
equal "the whole digest" "$full" "$(sha256sum "$DIR/out" | cut -c1-64)"
for mode in --float "--activations f32"; do
    # shellcheck disable=SC2086 # two words
    other=$("$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" $mode)
    [ "$other" != "$line" ] && pass "$mode is another mode" || fail "$mode is another mode"
done

"$T" logits "$ZETA" --tokens "$DIR/ids" --out - >/dev/null 2>&1
equal "standard output is no --out" $? 2
"$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --float --activations f32 >/dev/null 2>&1
equal "two modes are one too many" $? 2

"$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/mtp" --mtp >/dev/null
equal "rows of the MTP block" "$(stat -c %s "$DIR/mtp")" $((149 * 200 * 4))
"$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --mtp --chunk 7 >/dev/null
check "MTP in chunks" cmp "$DIR/mtp" "$DIR/b"
golden() { # NAME FILE ROWS: largest difference over the largest logit is at most 1e-4
    python3 - "$@" <<'PY'
import json, struct, sys
data = open("tests/golden/zeta/expected.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
t = json.loads(data[8:8 + n])
def read(name, kind):
    a, b = t[name]["data_offsets"]
    return struct.unpack("<%d%s" % ((b - a) // 4, kind), data[8 + n + a:8 + n + b])
want = read(sys.argv[1], "f")
mine = open(sys.argv[2], "rb").read()
mine = struct.unpack("<%df" % (len(mine) // 4), mine)
rows, v = int(sys.argv[3]), 200
at = list(range(rows))
if sys.argv[1] == "mtp_logits":
    at = [p for p in read("trace_positions", "i") if p < rows]
worst = max(abs(want[i * v + j] - mine[p * v + j]) for i, p in enumerate(at) for j in range(v))
sys.exit(worst > 1e-4 * max(map(abs, want)))
PY
}
"$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --float >/dev/null
check "float is DeepSeek's" golden logits "$DIR/b" 150
"$T" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/b" --float --mtp >/dev/null
check "float MTP is DeepSeek's" golden mtp_logits "$DIR/b" 149

bad() { printf '%b' "$1" >"$DIR/bad"; }
bad '1 2 200'
refuses "an id too large" "id 2 is 200, the vocabulary has 0 to 199" logits "$ZETA" --tokens "$DIR/bad" --out "$DIR/x"
bad '1 2 -3'
refuses "a negative id" "byte 4 (after 2 ids)" logits "$ZETA" --tokens "$DIR/bad" --out "$DIR/x"
bad '1 2 99999999999999999999'
refuses "an id past 64 bits" "not a decimal token id" logits "$ZETA" --tokens "$DIR/bad" --out "$DIR/x"
bad '1 2,3'
refuses "a comma" "byte 2" logits "$ZETA" --tokens "$DIR/bad" --out "$DIR/x"
bad '1 \0002'
refuses "a NUL" "not a decimal token id" logits "$ZETA" --tokens "$DIR/bad" --out "$DIR/x"
bad ' \n'
refuses "nothing" "no token ids" logits "$ZETA" --tokens "$DIR/bad" --out "$DIR/x"
bad '1'
refuses "one token for MTP" "at least 2" logits "$ZETA" --tokens "$DIR/bad" --out "$DIR/x" --mtp
[ ! -e "$DIR/x" ] && pass "no file is left behind" || fail "no file is left behind"
refuses "no such file" "$DIR/none: No such file" logits "$ZETA" --tokens "$DIR/none" --out "$DIR/x"
refuses "a folder that is not there" "$DIR/no/x: No such file" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/no/x"
refuses "no MTP block" "no MTP block" logits tests/golden/gguf/zeta-mixed.gguf --tokens "$DIR/ids" --out "$DIR/x" --mtp
refuses "a full disk" "No space left" logits "$ZETA" --tokens "$DIR/ids" --out /dev/full
refuses "kernels that are not there" "z80" logits "$ZETA" --tokens "$DIR/ids" --out "$DIR/x" --isa z80
finish
