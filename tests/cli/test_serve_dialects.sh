#!/usr/bin/env bash
# tenon serve in the dialects of Anthropic and of OpenAI's Responses, asked by a client of Python's standard library.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/serve_dialects_client.py
finish
