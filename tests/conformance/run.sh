#!/usr/bin/env bash
# The simulator and the Procore connector against Procore's API description: the connector's tests run with every exchange
# recorded, then Prism judges each of them. Needs node and npm; without them it says so and judges nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

PRISM_VERSION=5.16.0
CACHE=.cache/prism-$PRISM_VERSION

if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    echo "conformance: NOT CHECKED, node and npm are not installed here"
    exit 0
fi
if [ ! -x "$CACHE/node_modules/.bin/prism" ]; then
    mkdir -p "$CACHE"
    npm install --silent --no-fund --no-audit --no-save --prefix "$CACHE" "@stoplight/prism-cli@$PRISM_VERSION"
fi

recordings=$(mktemp -d)
trap 'rm -rf "$recordings"' EXIT
SITEHAUL_TEST_RECORD_API=$recordings .venv/bin/python -m pytest -q -n 4 --dist loadgroup \
    tests/connectors tests/contract tests/simulator/test_hosts_upload.py -k "procore or test_hosts_upload"
.venv/bin/python -m tests.conformance.replay "$CACHE/node_modules/.bin/prism" "$recordings"
