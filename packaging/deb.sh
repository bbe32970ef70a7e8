#!/usr/bin/env bash
# Builds the Debian package and prints where it is. Needs cargo-deb (`cargo install cargo-deb`) and dpkg-dev.
#
# Usage: packaging/deb.sh
set -euo pipefail
# The files are for all users.
umask 022
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
cargo build --locked --profile dist --bin patchwork-traces
packaging/pages.sh "$target/dist/patchwork-traces" packaging/out
packaging/notices.py >packaging/out/NOTICES
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
# The date of the commit, so that the same source gives the same package.
date=$(git log -1 --format=%aD)
cat >packaging/out/changelog <<END
patchwork-traces ($version-1) unstable; urgency=medium

  * See CHANGELOG.md, which is in the package.

 -- $maintainer  $date
END
cargo deb --no-build --locked --profile dist
