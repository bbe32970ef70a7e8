#!/usr/bin/env bash
# Builds the program for Linux without any library of the system, and prints where it is. The licences of what is linked
# into it are in the file NOTICES beside it.
#
# Usage: packaging/static.sh [TARGET]
#
# TARGET is x86_64-unknown-linux-musl (without it) or aarch64-unknown-linux-musl. Its standard library is needed:
# `rustup target add TARGET`. Nothing here is C, so no other compiler or linker is.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=${1:-x86_64-unknown-linux-musl}
if ! ls "$(rustc --print target-libdir --target "$triple")"/libstd-*.rlib >/dev/null 2>&1; then
    echo "this toolchain cannot build for $triple yet: run \`rustup target add $triple\`" >&2
    exit 1
fi
cargo build --locked --profile dist --bin patchwork-traces --target "$triple"
program=${CARGO_TARGET_DIR:-target}/$triple/dist/patchwork-traces
if readelf --program-headers "$program" | grep -q INTERP; then
    echo "$program needs libraries of the system" >&2
    exit 1
fi
"$program" demo >/dev/null
packaging/notices.py "$triple" >"$(dirname "$program")/NOTICES"
echo "$program"
