#!/usr/bin/env bash
# The program as such: help, version, exit status.
set -u
. "$(dirname "$0")/common.sh"

equal "version" "$("$T" --version)" "tenon $(cat VERSION)"
equal "version of a command" "$("$T" run --version)" "tenon $(cat VERSION)"
check "help" "$T" --help
for c in run chat inspect tokenize prompt logits convert; do
    check "help of $c" "$T" "$c" --help
    "$T" --help | grep -q "^  $c " && pass "help lists $c" || fail "help lists $c"
done
misused "no command"
misused "an unknown command" fly
misused "an unknown option" run --fly
misused "no model" run -p hello
misused "no prompt" run model
misused "two prompts" run model -p a -f b
misused "a bad number" run model -p a -n x
misused "a number out of range" run model -p a --ctx 0
misused "threads" run model -p a --threads 0
misused "activations" run model -p a --activations int4
misused "a family that is not there" run model -p a --family v9
misused "raw messages" run model --messages a --raw
misused "logits without out" logits model --tokens a
refuses "no such model" "$DIR/none" run "$DIR/none" -p a
refuses "no such model, ids" "$DIR/none" run "$DIR/none" --tokens "$DIR/none"
refuses "temperature" "temperature -1" run "$ZETA" --tokens /dev/null --temp -1
refuses "top-p not a number" "top-p nan" run "$ZETA" --tokens /dev/null --top-p nan
finish
