#!/usr/bin/env bash
# tenon serve with keys and limits.
set -u
. "$(dirname "$0")/common.sh"
client tests/cli/serve_keys_client.py
refuses "no file of keys" nowhere serve models/nano --port 0 --keys "$DIR/nowhere"
printf 'sk-1234\0more' >"$DIR/key"
refuses "a key with a NUL in it" "$DIR/key" serve models/nano --port 0 --api-key-file "$DIR/key"
refuses "a key that no client can send" "no blanks" serve models/nano --port 0 --api-key "sk-12345 "
refuses "a model's name that no request can ask for" "256" serve models/nano --port 0 \
    --served-model-name "$(printf 'n%.0s' $(seq 257))"
refuses "a certificate without its key" "a certificate and a key" serve models/nano --port 0 --tls-cert "$DIR/a"
refuses "no file of a certificate" "$DIR/a" serve models/nano --port 0 --tls-cert "$DIR/a" --tls-key "$DIR/a"
refuses "an origin with a path" "no origin" serve models/nano --port 0 --cors https://a.example/b
refuses "an origin without a scheme" "no origin" serve models/nano --port 0 --cors a.example
refuses "no file of options" "$DIR/nowhere" serve --config "$DIR/nowhere"
echo "port = high" >"$DIR/config"
misused "a bad value in it" serve models/nano --config "$DIR/config"
echo "port = 0" >"$DIR/config"
misused "no model in it" serve --config "$DIR/config"
finish
