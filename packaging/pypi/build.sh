#!/usr/bin/env bash
# Builds the Python wheel with the static program and prints its path. Publishes nothing.
#
# Usage: packaging/pypi/build.sh [TARGET]
#
# TARGET is as for packaging/static.sh, which builds the program first. With QUICK=1, the wheel has the program of
# `cargo build --release`, for this machine alone. Needs maturin and wheel (`pip install maturin wheel`).
set -euo pipefail
cd "$(dirname "$0")/../.."

host=$(rustc -vV | sed -n 's/^host: //p')
triple=${1:-$host}
if [ -n "${QUICK-}" ]; then
    cargo build --locked --quiet --release
    program=${CARGO_TARGET_DIR:-target}/release/patchwork-traces
    packaging/notices.py >"$(dirname "$program")/NOTICES"
else
    program=$(packaging/static.sh "$triple")
fi
data=packaging/pypi/out/data/data/share
rm -rf packaging/pypi/out
mkdir -p "$data"/{doc/patchwork-traces,bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
[ "$triple" = "$host" ] || { echo "NOTE: the wheel has no manual pages: this machine can't run the program" >&2; }
if [ "$triple" = "$host" ]; then
    packaging/pages.sh "$program" packaging/pypi/out/pages
    mkdir -p "$data/man"
    mv packaging/pypi/out/pages/man "$data/man/man1"
    mv packaging/pypi/out/pages/completions/patchwork-traces.bash "$data/bash-completion/completions/patchwork-traces"
    mv packaging/pypi/out/pages/completions/_patchwork-traces "$data/zsh/site-functions/"
    mv packaging/pypi/out/pages/completions/patchwork-traces.fish "$data/fish/vendor_completions.d/"
fi
cp LICENSE "$(dirname "$program")/NOTICES" "$data/doc/patchwork-traces/"
out=$PWD/packaging/out/pypi
rm -rf "$out"
cd packaging/pypi
if [ -n "${QUICK-}" ]; then
    maturin build --quiet --profile release --compatibility linux --out "$out" >&2
else
    # The same flags and directory as in static.sh, so that nothing is compiled again.
    export RUSTFLAGS="-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"" CARGO_TARGET_DIR
    CARGO_TARGET_DIR=$(realpath "${CARGO_TARGET_DIR:-../../target}")/static
    maturin build --quiet --target "$triple" --compatibility linux --out "$out" >&2
    # The program needs no library at all, so the wheel fits every Linux, whatever its C library.
    cpu=${triple%%-*}
    python3 -m wheel tags --remove --platform-tag "manylinux_2_17_$cpu.manylinux2014_$cpu.musllinux_1_1_$cpu" "$out"/*.whl >/dev/null
fi
ls "$out"/*.whl
