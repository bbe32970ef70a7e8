#!/usr/bin/env bash
# Builds the Debian package and prints where it is. Needs cargo-deb (`cargo install cargo-deb`) and dpkg-dev.
#
# Usage: packaging/deb.sh
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --locked --profile dist --bin patchwork-traces
packaging/pages.sh "$target/dist/patchwork-traces" packaging/out
packaging/notices.py >packaging/out/NOTICES
cargo deb --no-build --locked --profile dist
