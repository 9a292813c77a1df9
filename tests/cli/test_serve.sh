#!/usr/bin/env bash
# tenon serve, asked by a client of Python's standard library.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/serve_client.py
misused "no model" serve
refuses "no such model" nowhere serve nowhere
refuses "an address of the world needs a key" key serve models/nano --host 0.0.0.0 --port 0
finish
