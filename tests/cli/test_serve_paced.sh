#!/usr/bin/env bash
# tenon serve --padding paced: one size of events, classes of lengths, and what is said stays the same.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/serve_paced_client.py
finish
