#!/usr/bin/env bash
# Builds the program for Windows (x86_64-pc-windows-gnu), and tries it under Wine: the tour, an export, an import and a history,
# and the verdict on every bundle of the conformance suite. Prints the path of the program.
#
# Usage: packaging/windows.sh
#
# Needs MinGW-w64 and Wine (Debian: gcc-mingw-w64-x86-64, wine64), Python, and the standard library of Rust for the target:
# `rustup target add x86_64-pc-windows-gnu`, or the source of it.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=x86_64-pc-windows-gnu
std=()
if ! ls "$(rustc --print target-libdir --target $triple)"/libstd-*.rlib >/dev/null 2>&1; then
    [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library/std" ] || {
        echo "this toolchain cannot build for $triple yet: run \`rustup target add $triple\`" >&2
        exit 1
    }
    export RUSTC_BOOTSTRAP=1
    std=(-Zbuild-std=std,panic_unwind)
fi
cargo build --locked --release --bin patchwork-traces --target $triple "${std[@]}" >&2
program=$PWD/${CARGO_TARGET_DIR:-target}/$triple/release/patchwork-traces.exe

work=$(mktemp -d)
# Wine's server still writes for a moment.
trap 'wineserver --kill || :; wineserver --wait || :; rm -rf "$work"' EXIT
root=$PWD
cd "$work"
export WINEPREFIX=${WINEPREFIX:-$work/wine} WINEDEBUG=-all
cp "$program" .
# Wine 8 has no bcryptprimitives.dll, from which Rust takes random numbers.
cat >random.c <<'END'
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) { return RtlGenRandom(data, (ULONG)length); }
END
x86_64-w64-mingw32-gcc -shared -o bcryptprimitives.dll random.c -ladvapi32
run() { wine ./patchwork-traces.exe "$@"; }
step() { echo "-- $*" >&2; }

step "the tour"
run demo >demo.txt 2>&1
! grep "exit code 1" demo.txt >&2

step "export, import, history"
mkdir p i
cp "$root"/fixtures/sample-logs/patchwork/*.jsonl* p/
cp "$root"/fixtures/sample-logs/ide/* i/
logs=(--patchwork-dir p --activity-dir i)
run export "${logs[@]}" --include-other -o b.gz --quiet
run verify b.gz >/dev/null
run import b.gz --patchwork-dir new/p --activity-dir new/i --quiet
run import b.gz --patchwork-dir new/p --activity-dir new/i --quiet
diff -r p new/p
diff -r i new/i
run keep history "${logs[@]}" --quiet
run keep history "${logs[@]}" --quiet
run verify history >/dev/null
run status "${logs[@]}" | grep -q "history: 2 segments"

step "the conformance suite"
cp -r "$root/fixtures/conformance" suite
python3 - <<'END'
import json, pathlib, subprocess, sys

expected = {path.stem + ".jsonl.gz": json.loads(path.read_text()) for path in sorted(pathlib.Path("suite").glob("*.json"))}
expected = {name: case["verdict"] for name, case in expected.items() if "verdict" in case and (pathlib.Path("suite") / name).exists()}
assert len(expected) > 300, len(expected)
command = ["wine", "./patchwork-traces.exe", "verify", "--json", *(f"suite/{name}" for name in expected)]
reports = json.loads(subprocess.run(command, stdout=subprocess.PIPE).stdout)["bundles"]
found = {report["bundle"].replace("\\", "/").rpartition("/")[2]: report["verdict"] or "refused" for report in reports}
wrong = [f"{name}: {found.get(name)} instead of {verdict}" for name, verdict in expected.items() if found.get(name) != verdict]
print(f"{len(expected)} bundles, {len(wrong)} with another verdict", *wrong, sep="\n", file=sys.stderr)
sys.exit(bool(wrong))
END
echo "$program"
