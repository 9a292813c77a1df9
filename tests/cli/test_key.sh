#!/usr/bin/env bash
# tenon key: keys are made, listed and removed.
set -u
. "$(dirname "$0")/common.sh"
K=$DIR/keys

key=$("$T" key new ann -f "$K" --requests 60 --models a,b)
equal "a key is printed" "$(grep -cE '^sk-[0-9a-f]{64}$' <<<"$key")" 1
equal "the file has its hash" "$(cut -d' ' -f1,2 "$K")" "ann $(printf %s "$key" | sha256sum | cut -d' ' -f1)"
equal "and not the key" "$(grep -c "${key#sk-}" "$K")" 0
equal "its owner alone reads it" "$(stat -c %a "$K")" 600
"$T" key new bob -f "$K" --priority -2 --expires 2027-01-31 >"$DIR/bob"
equal "list shows names and limits" "$("$T" key list -f "$K" | sed -E 's/ [0-9a-f]{8}( |$)/ HASH\1/')" \
    "ann HASH requests=60 models=a,b"$'\n'"bob HASH priority=-2 expires=2027-01-31"
equal "list shows no whole hash" "$("$T" key list -f "$K" | grep -cE '[0-9a-f]{9}')" 0
refuses "a second of the name" '"ann" already' key new ann -f "$K"
refuses "a bad name" "no name for a key" key new "a b" -f "$K"
check "remove" "$T" key remove ann -f "$K"
equal "the other stays" "$(cut -d' ' -f1 "$K")" bob
refuses "remove what is not there" 'no key "ann"' key remove ann -f "$K"
refuses "no folder" "No such file" key new ann -f "$DIR/nowhere/keys"
misused "no verb" key
misused "a bad limit" key new eve -f "$K" --requests 0
misused "blanks in a limit" key new eve -f "$K" --models "a priority=9"
misused "limits with list" key list -f "$K" --daily 3
for i in 1 2 3 4 5 6 7 8; do "$T" key new "many$i" -f "$K" >/dev/null & done
wait
equal "many at once lose none" "$(grep -c ^many "$K")" 8
finish
