#!/usr/bin/env bash
# Proves that age, ssh-keygen and Node agree with patchwork-traces about encrypted and signed bundles, in both directions:
# of no rows, of a few, and of 300 MB of logs. Everything that was decrypted is compared byte for byte.
#
# Usage: tests/readers/seal.sh [PROGRAM [MIB]]
#
# PROGRAM is patchwork-traces; without it, it is built. MIB is the size of the largest logs, 287 without it. What is missing is
# installed with apt-get, where that is possible; otherwise the script says what it does not try.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passphrase='correct horse, größer Akku'
# The same logs give the same bundle, byte for byte.
export SOURCE_DATE_EPOCH=1777716000 LC_ALL=C.UTF-8
unset PATCHWORK_TRACES_PASSPHRASE

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null; }

# do_it WHAT COMMAND... : COMMAND must succeed. What it prints is shown only if it fails.
do_it() {
    local what=$1
    shift
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        fail "$what: $*"
    }
}

# same WHAT FILE FILE
same() {
    cmp "$2" "$3" >&2 || fail "$1: other bytes"
    checks=$((checks + 1))
}

on_terminal() { python3 "$here/type.py" "$@"; }

# restores WHAT BUNDLE OPTION... : the logs of an encrypted bundle must be those that it was made of, read from the file and
# from a pipe.
restores() {
    local what=$1 bundle=$2
    shift 2
    restored "$what" <"$bundle" "$bundle" "$@"
    restored "$what, piped" < <(cat "$bundle") - "$@"
}

restored() {
    local what=$1 log
    shift
    rm -rf "$work/restored"
    mkdir -p "$work/restored/patchwork" "$work/restored/ide"
    do_it "$what" "$traces" import "$@" --patchwork-dir "$work/restored/patchwork" --activity-dir "$work/restored/ide"
    for log in "$logs"/*/*.jsonl; do
        same "$what" "$log" "$work/restored/${log#"$logs"/}"
    done
}

# Compresses little, to be quick.
export_logs() { "$traces" export --level 1 --patchwork-dir "$logs/patchwork" --activity-dir "$logs/ide" "$@"; }

with_age() {
    local kind sealed=$work/sealed.age plain=$work/plain
    for kind in -e -a; do
        do_it "age $kind" age $kind -R "$work/public" -o "$sealed" "$bundle"
        restores "age $kind, then import" "$sealed" -i "$work/identity"
        rm "$sealed"
    done
    do_it "export -R" export_logs -R "$work/public" -o "$sealed"
    do_it "export -R, then age -d" age -d -i "$work/identity" -o "$plain" "$sealed"
    same "export -R, then age -d" "$bundle" "$plain"
    export_logs -r "$(cat "$work/public")" -o - --quiet | age -d -i "$work/identity" >"$plain" || fail "export -r -o - | age -d"
    same "export -r -o - | age -d" "$bundle" "$plain"
    rm "$sealed"
}

with_age_and_passphrase() {
    local sealed=$work/sealed.age plain=$work/plain
    do_it "age -p" on_terminal "$passphrase" "$passphrase" -- age -p -o "$sealed" "$bundle"
    restores "age -p, then import" "$sealed" --passphrase-file "$work/passphrase"
    rm "$sealed"
    rm -f "$plain"
    do_it "export -p" export_logs -p --passphrase-file "$work/passphrase" -o "$sealed"
    do_it "export -p, then age -d" on_terminal "$passphrase" -- age -d -o "$plain" "$sealed"
    same "export -p, then age -d" "$bundle" "$plain"
    rm "$sealed"
}

# Only the identity is encrypted with a passphrase, so the size of the bundle does not matter.
with_locked_identity() {
    do_it "age -p" on_terminal "$passphrase" "$passphrase" -- age -p -a -o "$work/locked" "$work/identity"
    do_it "export -R" export_logs -R "$work/public" -o "$work/sealed.age"
    restores "import -i with an encrypted identity" "$work/sealed.age" -i "$work/locked" --passphrase-file "$work/passphrase"
    rm "$work/sealed.age" "$work/locked"
}

with_node() {
    do_it "Node" node "$here/seal.mjs" "$bundle" "$work/sealed.enc" "$passphrase"
    restores "Node, then import" "$work/sealed.enc" --passphrase-file "$work/passphrase"
}

# Signatures of a bundle are of its first line, encrypted or not.
with_ssh_keygen() {
    local key type signed
    gunzip -c "$bundle" | head -n 1 | tr -d '\n' >"$work/line" || true
    do_it "export -R" export_logs -R "$work/public" -o "$work/signed.age"
    cp "$bundle" "$work/signed.gz"
    for type in ed25519 ecdsa; do
        key=$work/$type
        for signed in "$work/signed.gz" "$work/signed.age"; do
            do_it "sign" "$traces" sign "$signed" --key "$key" -i "$work/identity"
            do_it "sign, then ssh-keygen -Y verify" ssh-keygen -Y verify -f "$work/signers" -I "$type@example.org" \
                -n patchwork-traces -s "$signed.sig" <"$work/line"
            rm "$signed.sig" "$work/line.sig" 2>/dev/null || true
            do_it "ssh-keygen -Y sign" ssh-keygen -q -Y sign -f "$key" -n patchwork-traces "$work/line"
            mv "$work/line.sig" "$signed.sig"
            do_it "ssh-keygen -Y sign, then verify" "$traces" verify "$signed" -i "$work/identity" --signers "$work/signers" \
                --signer "$type@example.org"
            rm "$signed.sig"
            checks=$((checks + 2))
        done
    done
    rm "$work/signed.age"
}

# try PROGRAM... : FUNCTION is run if all programs are there.
try() {
    local function=$1 program
    shift
    for program in "$@"; do
        has "$program" || {
            echo "NOT TRIED: $function, as $program is missing" >&2
            return
        }
    done
    local before=$checks
    $function
    echo "ok  $size, $function: $((checks - before)) comparisons"
}

make_keys() {
    printf '%s\n' "$passphrase" >"$work/passphrase"
    printf '%s\n' AGE-SECRET-KEY-15FJH2WEAQ2KHXFLTQ9QJF8NEAFEGK33J65ERR2RAUMHMUALSCPUSX3SZY5 >"$work/identity"
    echo age1unpfk3m3ta7z5vqqmuxz4zgyg0wsyanef0293a4kht7x23ek5q8s2s0yq4 >"$work/public"
    if has age-keygen; then
        age-keygen -y "$work/identity" | cmp - "$work/public" || fail "age-keygen -y: another public key"
    fi
    : >"$work/signers"
    for type in ed25519 ecdsa; do
        if has ssh-keygen; then
            ssh-keygen -q -t $type -N '' -C '' -f "$work/$type"
            echo "$type@example.org $(cat "$work/$type.pub")" >>"$work/signers"
        fi
    done
}

make_logs() {
    local name
    mkdir -p "$work/none/patchwork" "$work/none/ide" "$work/few/patchwork" "$work/few/ide"
    : >"$work/none/patchwork/runs.jsonl"
    printf '{"taskId":"a","createdAt":1777716000000}\r\n{"torn":\n{"taskId":"\xff","createdAt":1777716000001}' \
        >"$work/few/patchwork/runs.jsonl"
    echo '{"id":1,"timestamp":"2026-05-02T10:00:00Z"}' >"$work/few/ide/activity-3100.jsonl"
    # It needs nothing but the standard library.
    rustc --edition 2024 -O "$root/benches/make_logs.rs" -o "$work/make-logs" 2>"$work/log" || {
        cat "$work/log" >&2
        fail "make_logs.rs could not be built"
    }
    "$work/make-logs" "$work/many" "$1"
}

program() {
    if [ $# -gt 0 ]; then
        [ -x "$1" ] || fail "$1 is not a program"
        realpath "$1"
    else
        cargo build --release --quiet --manifest-path "$root/Cargo.toml" >&2 || fail "the program could not be built"
        realpath "${CARGO_TARGET_DIR:-$root/target}/release/patchwork-traces"
    fi
}

"$root/.ci/install" age=age age-keygen=age ssh-keygen=openssh-client node=nodejs python3=python3
traces=$(program "${@:1:1}")
umask 077
make_keys
make_logs "${2:-287}"
checks=0
for size in none few many; do
    logs=$work/$size bundle=$work/$size.gz
    do_it "export" export_logs -o "$bundle"
    try with_age age
    try with_age_and_passphrase age python3
    [ $size = many ] || try with_locked_identity age python3
    try with_node node
    try with_ssh_keygen ssh-keygen
done
