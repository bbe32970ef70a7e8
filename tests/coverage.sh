#!/usr/bin/env bash
# Measures which lines of src/ the tests run, those of programs that they start included: first the library's, then the
# program's too. With `--lines`, lists those that none runs. Needs cargo-llvm-cov, and the toolchain's llvm-tools or, in
# LLVM_COV and LLVM_PROFDATA, the programs of the LLVM version that `rustc --version --verbose` names.
# Documentation tests are not measured: stable toolchains cannot do that.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(mktemp -d)
# One test runs the program as another user.
chmod 755 "$target"
trap 'rm -rf "$target"' EXIT
export CARGO_LLVM_COV_TARGET_DIR=$target
# Thousands of programs are started: they add up what they did in four files.
export LLVM_PROFILE_FILE_NAME=patchwork-traces-%4m.profraw
shown=--summary-only
[ "${1:-}" = --lines ] && shown=--show-missing-lines

cargo llvm-cov --locked --no-report
beside='/(tests|benches|examples)/|/tests\.rs'
echo "the library:"
cargo llvm-cov report $shown --ignore-filename-regex "$beside|/src/(cli/|main\.rs)"
echo "the library and the program:"
cargo llvm-cov report $shown --ignore-filename-regex "$beside"
