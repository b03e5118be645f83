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
# Of this one only files are used, so what it would need is not installed: its own wheel alone is pinned.
downloads=$(mktemp -d)
../.venv/bin/pip download -q --no-deps -d "$downloads" -r browser.in
{
    printf '#\n# This file is written by:\n#\n#    %s\n#\n' "$CUSTOM_COMPILE_COMMAND"
    for wheel in "$downloads"/*.whl; do
        name=$(basename "$wheel")
        project=${name%%-*}
        version=${name#*-}
        printf '%s==%s \\\n    --hash=sha256:%s\n' "$(printf '%s' "$project" | tr _ -)" "${version%%-*}" "$(sha256sum "$wheel" | cut -d' ' -f1)"
    done
} >browser.txt
rm -r "$downloads"
