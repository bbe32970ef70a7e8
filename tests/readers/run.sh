#!/usr/bin/env bash
# Proves that readers other than patchwork-traces see every row of a bundle of the nastiest logs.
#
# Usage: tests/readers/run.sh [PROGRAM]
#
# PROGRAM is the patchwork-traces to make the bundle with; without it, it is built. What is missing is installed:
# jq, node, perl and python3 by apt-get, DuckDB from PyPI into a temporary directory.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# install_packages PACKAGE... : by apt-get, as root or with sudo.
install_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "install $* and run this again (neither root nor sudo here)"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || fail "install $* and run this again (no apt-get here)"
    echo "installing $*" >&2
    if ! {
        "${as_root[@]}" apt-get update -qq &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
    } >"$work/apt.log" 2>&1; then
        cat "$work/apt.log" >&2
        fail "could not install $*"
    fi
}

install_missing() {
    local missing=()
    command -v jq >/dev/null || missing+=(jq)
    command -v node >/dev/null || missing+=(nodejs)
    perl -MIO::Uncompress::Gunzip -MJSON::PP -e 1 2>/dev/null || missing+=(perl)
    python3 -c 'import gzip, ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
    [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_duckdb() {
    if ! {
        python3 -m venv "$work/venv" &&
            "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'duckdb>=1.1,<2'
    } >"$work/pip.log" 2>&1; then
        cat "$work/pip.log" >&2
        fail "could not install DuckDB from PyPI"
    fi
}

# The path of the program, built if none was named.
program() {
    if [ $# -gt 0 ]; then
        [ -x "$1" ] || fail "$1 is no program"
        realpath "$1"
    else
        local target=${CARGO_TARGET_DIR:-$here/../../target}
        cargo build --quiet --manifest-path "$here/../../Cargo.toml" >&2 || fail "the program could not be built"
        realpath "$target/debug/patchwork-traces"
    fi
}

# check NAME COMMAND... : COMMAND must print what is expected, in any order.
check() {
    local name=$1
    shift
    "$@" >"$work/found" 2>"$work/errors" || {
        cat "$work/errors" >&2
        fail "$name could not read the bundle"
    }
    LC_ALL=C sort "$work/found" >"$work/sorted"
    diff -u --label expected --label "$name" "$work/expected" "$work/sorted" >&2 || fail "$name sees other rows"
    echo "ok  $name: all $(awk -F '\t' '{ rows += $3 } END { print rows }' "$work/sorted") rows"
}

jq_counts() {
    gunzip -c "$bundle" | jq -rn -f "$here/read.jq"
}

# What the manifest says must be what the logs were made of.
check_manifest() {
    cut -f1-3 "$work/expected" >"$work/expected_rows"
    python3 "$here/read.py" manifest "$bundle" | LC_ALL=C sort |
        diff -u --label expected --label manifest "$work/expected_rows" - >&2 || fail "the manifest has other counts"
}

install_missing
made_by=$(program "$@")
bundle=$work/bundle.jsonl.gz
python3 "$here/adversarial_logs.py" "$work/patchwork" "$work/activity" "$work/expected.unsorted"
LC_ALL=C sort "$work/expected.unsorted" >"$work/expected"
"$made_by" export --patchwork-dir "$work/patchwork" --activity-dir "$work/activity" -o "$bundle" >"$work/export.log" 2>&1 || {
    cat "$work/export.log" >&2
    fail "export"
}
check_manifest

check "$(jq --version)" jq_counts
check "$(python3 --version) gzip" python3 "$here/read.py" gzip "$bundle"
check "$(python3 --version) zlib, one member" python3 "$here/read.py" zlib "$bundle"
check "$(python3 --version) splitlines" python3 "$here/read.py" splitlines "$bundle"
check "Perl $(perl -e 'printf "%vd", $^V') IO::Uncompress::Gunzip" perl "$here/read.pl" "$bundle"
check "Node $(node --version) zlib" node "$here/read.mjs" zlib "$bundle"
check "Node $(node --version) readline, as Patchwork imports" node "$here/read.mjs" readline "$bundle"
install_duckdb
check "DuckDB $("$work/venv/bin/python" -c 'import duckdb; print(duckdb.__version__)')" \
    "$work/venv/bin/python" "$here/read.py" duckdb "$bundle"
second=$(python3 "$here/second.py" check "$bundle" "$work/patchwork" "$work/activity") || fail "a second implementation"
echo "ok  a second implementation, from FORMAT.md alone: restored $second"
