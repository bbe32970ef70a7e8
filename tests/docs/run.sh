#!/usr/bin/env bash
# Runs every command of README.md and docs/, including those that need jq, age, OpenSSL, OpenSSH, GnuPG, DuckDB, pandas and Spark.
#
# Usage: tests/docs/run.sh
#
# Installs what is missing: jq, age, OpenSSL, OpenSSH, GnuPG and Java by apt-get, the others from PyPI into a temporary directory.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# quietly WHAT COMMAND... : shows what the command printed only when it fails.
quietly() {
    local what=$1
    shift
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "could not install $what"
    }
}

missing=()
command -v jq >/dev/null || missing+=(jq)
command -v age >/dev/null || missing+=(age)
command -v gpg >/dev/null || missing+=(gnupg)
command -v openssl >/dev/null || missing+=(openssl)
command -v ssh-keygen >/dev/null || missing+=(openssh-client)
command -v java >/dev/null || missing+=(default-jre-headless)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    echo "installing ${missing[*]}" >&2
    quietly "the list of packages" "${as_root[@]}" apt-get update -qq
    quietly "${missing[*]}" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
quietly "a Python environment" python3 -m venv "$work/venv"
quietly "DuckDB, pandas and Spark" "$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    'duckdb-cli>=1.1,<2' 'pandas>=2,<4' 'pyspark>=4,<5'

PATH=$work/venv/bin:$PATH DOCS_NEED_ALL=1 cargo test --locked --test docs
