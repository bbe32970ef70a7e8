#!/usr/bin/env bash
# Checks that the code compiles for other systems than this one.
#
# Usage: packaging/check_targets.sh
#
# Each target is checked when the toolchain has its standard library (`rustup target add TARGET`), or the source of it
# (`rustup component add rust-src`). What is not checked is said. The code for systems that are not Unix is checked in
# any case: as this system's, with the conditions turned round.
set -euo pipefail
cd "$(dirname "$0")/.."

checked=0
unchecked=()
for triple in x86_64-pc-windows-msvc x86_64-pc-windows-gnu aarch64-apple-darwin x86_64-apple-darwin \
    aarch64-unknown-linux-gnu x86_64-unknown-linux-musl; do
    if ls "$(rustc --print target-libdir --target "$triple")"/libstd-*.rlib >/dev/null 2>&1; then
        echo "checking for $triple"
        cargo check --locked --quiet --target "$triple"
    elif [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library/std" ]; then
        echo "checking for $triple, with a standard library from source"
        RUSTC_BOOTSTRAP=1 cargo check --locked --quiet --target "$triple" -Zbuild-std=std,panic_unwind
    else
        unchecked+=("$triple")
        continue
    fi
    checked=$((checked + 1))
done

# As if this were no Unix.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r Cargo.toml Cargo.lock README.md benches examples fixtures src tests "$copy"
find "$copy/src" -name '*.rs' -exec sed -i '/cfg(/ s/\bunix\b/any()/; s/target_os = "\(linux\|macos\)"/target_os = "none"/g' {} +
if ! grep -rq 'cfg(any())' "$copy/src"; then
    echo "no code is for Unix alone: this check has nothing to check" >&2
    exit 1
fi
echo "checking what is not for Unix"
target=$(realpath "${CARGO_TARGET_DIR:-target}")
said=$(CARGO_TARGET_DIR=$target cargo check --locked --quiet --manifest-path "$copy/Cargo.toml" 2>&1) || {
    echo "$said" >&2
    exit 1
}
[ -z "$said" ] || {
    echo "$said" >&2
    exit 1
}

if [ ${#unchecked[@]} -gt 0 ]; then
    echo "NOTE: not checked, as this toolchain has no standard library for them: ${unchecked[*]}"
fi
echo "compiles for $checked other targets, and where there is no Unix"
