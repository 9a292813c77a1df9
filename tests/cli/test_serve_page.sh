#!/usr/bin/env bash
# The page and the status of tenon serve, asked by a client of Python's standard library. What a browser makes
# of the page: tests/page.
set -u
. "$(dirname "$0")/common.sh"
while IFS= read -r line; do
    case $line in
    ok:*) pass "${line#ok: }" ;;
    *) fail "${line#FAILED: }" ;;
    esac
done < <(python3 tests/cli/page_client.py "$T" models/nano 2>&1)
[ "$passed" = 0 ] && fail "the client ran"
finish
