#!/usr/bin/env bash
# Builds the program for Linux without any library of the system, so that it runs on every distribution, whatever its C
# library. Prints its path. The licences of what is linked into it are in the file NOTICES beside it.
#
# Usage: packaging/static.sh [TARGET]
#
# TARGET is x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu (without it, that of this machine); packaging/README.md
# says why it is not musl. Needs the static C library of the target (Debian: libc6-dev, or libc6-dev-arm64-cross with
# gcc-aarch64-linux-gnu), and its standard library of Rust: `rustup target add TARGET`, or the source of it.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
triple=${1:-$host}
# Its own directory: other flags for the same target would compile everything again.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/static
export RUSTFLAGS="-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\""
std=()
if ! ls "$(rustc --print target-libdir --target "$triple")"/libstd-*.rlib >/dev/null 2>&1; then
    [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library/std" ] || {
        echo "this toolchain cannot build for $triple yet: run \`rustup target add $triple\`" >&2
        exit 1
    }
    export RUSTC_BOOTSTRAP=1
    std=(-Zbuild-std=std,panic_unwind)
fi
if [ "$triple" = aarch64-unknown-linux-gnu ] && [ "$triple" != "$host" ]; then
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:-aarch64-linux-gnu-gcc}
fi
cargo build --locked --profile dist --bin patchwork-traces --target "$triple" "${std[@]}" >&2
program=$CARGO_TARGET_DIR/$triple/dist/patchwork-traces
if readelf --program-headers "$program" | grep -q INTERP; then
    echo "$program needs libraries of the system" >&2
    exit 1
fi
if [ "$triple" = "$host" ]; then
    "$program" demo >/dev/null
elif command -v "qemu-${triple%%-*}-static" >/dev/null; then
    "qemu-${triple%%-*}-static" "$program" --version >/dev/null
else
    echo "NOTE: $program was not started: this machine can't run it" >&2
fi
packaging/notices.py "$triple" >"$(dirname "$program")/NOTICES"
echo "$program"
