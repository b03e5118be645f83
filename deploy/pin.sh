#!/bin/sh
# Pins the newest packages again, with hashes and without any index address.
set -eu
cd "$(dirname "$0")/../requirements"
compile() {
    ../.venv/bin/pip-compile -q --upgrade --generate-hashes --allow-unsafe --strip-extras \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links "$@"
}
export CUSTOM_COMPILE_COMMAND="make requirements"
compile -o run.txt run.in
compile -o test.txt test.in
compile -c run.txt -o verifier.txt verifier.in
compile -o bench.txt bench.in
