#!/usr/bin/env bash
# What lies in deploy/: the options file starts a server, the dashboard asks for metrics that exist, the unit and the
# image name options, libraries and packages that exist.
set -u
. "$(dirname "$0")/common.sh"

# As it stands, but for what a test has no right to: the places.
mkdir "$DIR/cache"
sed -e "s|^model = .*|model = models/nano|; s|^port = .*|port = 0|; s|/var/cache/tenon|$DIR/cache|" \
    -e "s|/var/log/tenon|$DIR|" deploy/serve.conf >"$DIR/serve.conf"
sed 's|^# \(keys\) = .*|\1 = '"$DIR"'/keys|; s|^# \(api-key-file\) = .*|\1 = '"$DIR"'/operator|' "$DIR/serve.conf" \
    >"$DIR/keyed.conf"
echo sk-operator >"$DIR/operator"
key=$("$T" key --file "$DIR/keys" new ann)
"$T" serve --config "$DIR/keyed.conf" >"$DIR/address" 2>"$DIR/log" &
server=$!
until grep -q http "$DIR/address" || ! kill -0 $server 2>/dev/null; do sleep 0.1; done
url=$(grep -o 'http://.*' "$DIR/address")
check "serve.conf starts a server" test -n "$url"
curl -sS "$url/v1/chat/completions" -H "Authorization: Bearer $key" -d '{"model": "nano", "max_tokens": 3, "ignore_eos": true,
    "messages": [{"role": "user", "content": "hi"}]}' >"$DIR/answer"
check "it answers the key it made" grep -q '"finish_reason":"length"' "$DIR/answer"
curl -sS "$url/metrics" -H "Authorization: Bearer sk-operator" >"$DIR/metrics"
check "the operator sees what each key did" grep -q 'tenon:key_requests_total{.*key="ann"} 1' "$DIR/metrics"
curl -sS "$url/metrics" -H "Authorization: Bearer $key" >"$DIR/of_ann"
equal "nobody else does" "$(grep -c 'tenon:key' "$DIR/of_ann")" 0
kill -HUP $server
kill $server
wait $server
check "it ends well" test $? = 0
check "a line in its audit log" grep -q '"key":"ann"' "$DIR/audit.jsonl"

cat >"$DIR/dashboard.py" <<'E2'
import json, re, sys

board = json.load(open("deploy/grafana.json"))
there = {line.split()[2] for line in open(sys.argv[1]) if line.startswith("# TYPE")}
asked = set()
for panel in board["panels"]:
    for target in panel["targets"]:
        asked |= set(re.findall(r"(?:vllm|tenon|llamacpp):\w+", target["expr"]))
asked = {re.sub("_bucket$", "", name) for name in asked}
assert len(asked) > 20, asked
assert asked <= there, asked - there
E2
check "the dashboard's metrics exist" python3 "$DIR/dashboard.py" "$DIR/metrics"
check "the scrape configuration names the port that is the default" grep -q '"127.0.0.1:8080"' deploy/prometheus.yml

if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/local/bin/tenon|$(realpath "$T")|" deploy/tenon.service >"$DIR/tenon.service"
    check "the unit is one" systemd-analyze verify --man=no "$DIR/tenon.service"
else
    echo "no systemd-analyze here: the unit was not checked"
fi
image=$(sed -n '/^FROM debian:12-slim$/,$p' deploy/Dockerfile)
libraries=$(ldd "$T" | grep -oE '^\s*lib(event|jansson|utf8proc|xxhash|ssl)[^ ]*')
check "the program uses libraries" test "$(echo "$libraries" | wc -l)" -ge 5
for library in $libraries; do
    package=$(dpkg -S "*/$library" 2>/dev/null | head -1 | cut -d: -f1)
    case $image in
    *" ${package:-of no package}"*) pass "the image has $library" ;;
    *) fail "the image has $library" "$package" ;;
    esac
done
finish
