#!/usr/bin/env bash
# tenon serve: answers that must have a form, asked by a client of Python's standard library.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/serve_format_client.py
finish
