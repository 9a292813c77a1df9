#!/usr/bin/env bash
# The prefix cache of tenon serve, seen by a client of Python's standard library.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/cache_client.py
misused "no size" serve models/nano --cache-memory much
misused "no number" serve models/nano --cache-every 0
mkdir "$DIR/open" && chmod 777 "$DIR/open"
refuses "a directory of the world" "nobody else may write" serve models/nano --port 0 --cache-dir "$DIR/open"
refuses "a directory without memory" "memory" serve models/nano --port 0 --cache-memory 0 --cache-dir "$DIR/c"
finish
