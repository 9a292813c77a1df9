#!/usr/bin/env bash
# tenon serve: raw text, tokens, and what tells of the engine.
set -u
. "$(dirname "$0")/common.sh"
while IFS= read -r line; do
    case $line in
    ok:*) pass "${line#ok: }" ;;
    *) fail "${line#FAILED: }" ;;
    esac
done < <(python3 tests/cli/serve_completions.py "$T" models/nano 2>&1)
[ "$passed" = 0 ] && fail "the client ran"
finish
