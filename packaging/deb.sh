#!/usr/bin/env bash
# Builds the Debian package and prints where it is. Needs cargo-deb (`cargo install cargo-deb`) and dpkg-dev.
#
# Usage: packaging/deb.sh
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --locked --release --bin patchwork-traces
packaging/pages.sh "$target/release/patchwork-traces" packaging/out
cargo deb --no-build --locked
