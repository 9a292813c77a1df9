#!/usr/bin/env bash
# tenon serve, asked by a client of Python's standard library.
set -u
. "$(dirname "$0")/common.sh"
while IFS= read -r line; do
    case $line in
    ok:*) pass "${line#ok: }" ;;
    *) fail "${line#FAILED: }" ;;
    esac
done < <(python3 tests/cli/serve_client.py "$T" models/nano 2>&1)
[ "$passed" = 0 ] && fail "the client ran"
misused "no model" serve
refuses "no such model" nowhere serve nowhere
refuses "an address of the world needs a key" key serve models/nano --host 0.0.0.0 --port 0
finish
