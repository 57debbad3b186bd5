#!/bin/sh
# Lambda's runtime API and its function URLs, on the port that the harness names. It runs no
# function: the test starts the one that cargo has built. When that has ended, or does not answer,
# a request ends after the timeout below, with a status that no test expects.
exec cargo-lambda lambda watch --only-lambda-apis --disable-cors --timeout 20 \
    --invoke-address 127.0.0.1 --invoke-port "$VERCEL_DEV_PORT"
