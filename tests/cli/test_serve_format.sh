#!/usr/bin/env bash
# tenon serve: answers that must have a form, asked by a client of Python's standard library.
set -u
. "$(dirname "$0")/common.sh"
while IFS= read -r line; do
    case $line in
    ok:*) pass "${line#ok: }" ;;
    *) fail "${line#FAILED: }" ;;
    esac
done < <(python3 tests/cli/serve_format_client.py "$T" models/nano 2>&1)
[ "$passed" = 0 ] && fail "the client ran"
finish
