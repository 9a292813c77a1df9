#!/usr/bin/env bash
# The page and the status of tenon serve, asked by a client of Python's standard library. What a browser makes
# of the page: tests/page.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/page_client.py
finish
