#!/usr/bin/env bash
# tenon serve: raw text, tokens, and what tells of the engine.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/serve_completions.py
finish
