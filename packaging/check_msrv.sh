#!/usr/bin/env bash
# Checks that the project builds with the oldest version of Rust that Cargo.toml promises (`rust-version`).
#
# Usage: packaging/check_msrv.sh
#
# Installs that toolchain with rustup. Where rustup cannot get it, two weaker checks remain: no linked crate may promise
# only a newer version, and clippy reports items of the standard library that are newer (`incompatible_msrv`).
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)

if command -v rustup >/dev/null && rustup toolchain install "$version" --profile minimal >/dev/null 2>&1; then
    cargo "+$version" check --locked
    cargo "+$version" check --locked --no-default-features
    echo "builds with Rust $version"
    exit
fi

echo "Rust $version cannot be installed here: checking the promises of the crates and the standard library's items" >&2
newer=$(cargo metadata --locked --format-version 1 | python3 -c '
import json, sys

def parts(version):
    return [int(part) for part in version.split("-")[0].split(".")] + [0] * (2 - version.count("."))

for package in json.load(sys.stdin)["packages"]:
    needed = package["rust_version"]
    if needed and parts(needed) > parts(sys.argv[1]):
        print(package["name"], package["version"], "needs Rust", needed)
' "$version")
if [ -n "$newer" ]; then
    echo "$newer" >&2
    exit 1
fi
cargo clippy --locked --lib --bins --quiet -- -D clippy::incompatible_msrv
echo "no crate and no item needs more than Rust $version"
