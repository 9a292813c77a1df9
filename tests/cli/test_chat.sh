#!/usr/bin/env bash
# tenon chat: in a terminal (chat_pty.py) and from a pipe.
set -u
. "$(dirname "$0")/common.sh"
check "a model of random weights" make_model
make_model

while read -r word name; do
    case $word in
    ok) pass "$name" ;;
    *) fail "$name" "$word" ;;
    esac
done < <(python3 tests/cli/chat_pty.py "$T" "$MODEL" "$DIR" 2>&1)
[ "$passed" -gt 30 ] || fail "the whole of chat_pty.py ran"

out=$(printf 'one\ntwo\n/think on\nthree' | "$T" chat "$MODEL" --chat -n 3 --logit-bias 42=1000)
equal "from a pipe: the content of each answer" "$out" \
    "HHH"$'\n'"HHH"$'\n'"(it thinks before it answers)"
printf '\377\n' | "$T" chat "$MODEL" -n 3 >"$DIR/out" 2>"$DIR/err"
equal "a bad line from a pipe: exit status" "$?" 1
equal "and a message" "$(cat "$DIR/err")" "tenon: this line is not UTF-8"
refuses "no model" "$DIR/none" chat "$DIR/none"
finish
