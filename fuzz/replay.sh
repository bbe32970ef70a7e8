#!/usr/bin/env bash
# Builds every fuzz target and has it check the fixtures and the corpora once, with the toolchain that is set up here.
#
# Usage: fuzz/replay.sh
#
# libFuzzer needs a C++ compiler; where there is none, it is installed by apt-get. Without one,
# `cargo test --no-default-features` in this directory checks the same.
set -euo pipefail
cd "$(dirname "$0")"
# What the project and its targets both need is compiled once.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}

if ! command -v c++ >/dev/null; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends g++
fi

cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
cargo test --locked
cargo build --locked --bins
./corpus.sh unpack
for corpus in corpus/*/; do
    target=$(basename "$corpus")
    log=$(mktemp)
    # Given files, libFuzzer runs each of them and mutates none.
    if ! "$CARGO_TARGET_DIR/debug/$target" "$corpus"* >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    rm "$log"
    echo "$target: $(find "$corpus" -type f | wc -l) inputs"
done
