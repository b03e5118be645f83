#!/bin/sh
# Makes the environment of what `make bench` compares with; the second time it does nothing.
set -eu
cd "$(dirname "$0")/.."
peers=.tools/peers
if ! cmp -s requirements/bench.txt "$peers/requirements.txt"; then
    echo "peers: installing what the CA is compared with (into $peers)"
    .venv/bin/python -m venv --clear "$peers"
    "$peers/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
    cp requirements/bench.txt "$peers/requirements.txt"
fi
