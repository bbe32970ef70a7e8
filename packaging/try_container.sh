#!/usr/bin/env bash
# Tries the files of the container image without a container engine: as an ordinary user, in a root directory of their own.
#
# Usage: packaging/try_container.sh    (as root, after packaging/container.sh)
set -euo pipefail
cd "$(dirname "$0")/.."

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
tar --directory "$root" -xf packaging/out/container/root.tar
mkdir -p "$root"/{dev,proc,home/.patchwork,home/.claude/ide}
cp fixtures/sample-logs/patchwork/* "$root/home/.patchwork"
cp fixtures/sample-logs/ide/* "$root/home/.claude/ide"
chown -R 1000:1000 "$root/home" "$root/work"
# As an engine does it, in mounts of this process.
ROOT=$root unshare --mount bash -euc '
    mount --bind /dev "$ROOT/dev"
    mount -t proc proc "$ROOT/proc"
    for command in demo "export -o /work/traces.jsonl.gz" "verify /work/traces.jsonl.gz" "keep /work/history" "verify /work/history" status; do
        env -i HOME=/home TMPDIR=/tmp "$(command -v chroot)" --userspec=1000:1000 "$ROOT" /usr/bin/patchwork-traces $command >"$ROOT/out" || {
            cat "$ROOT/out"
            exit 1
        }
    done
    cat "$ROOT/out"'
echo "the container image works"
