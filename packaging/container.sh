#!/usr/bin/env bash
# Makes the files of a container image from a static program: packaging/out/container, with a Dockerfile. Prints the path.
#
# Usage: packaging/container.sh PROGRAM NOTICES
#
#   docker build -t patchwork-traces packaging/out/container
#   docker run --rm -v ~/.patchwork:/home/.patchwork:ro -v ~/.claude:/home/.claude:ro -v "$PWD:/work" --user "$(id -u):$(id -g)" \
#       patchwork-traces export -o traces.jsonl.gz
set -euo pipefail
# The files are for all users.
umask 022
program=$(realpath "$1") notices=$(realpath "$2")
cd "$(dirname "$0")/.."

out=packaging/out/container
rm -rf "$out"
mkdir -p "$out/root"/{home,work,usr/bin,usr/share/doc/patchwork-traces}
install -d -m 1777 "$out/root/tmp"
install -m 755 "$program" "$out/root/usr/bin/patchwork-traces"
install -m 644 LICENSE "$notices" "$out/root/usr/share/doc/patchwork-traces/"
tar --directory "$out/root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --create --file "$out/root.tar" .
rm -rf "$out/root"
cp packaging/Dockerfile "$out/"
echo "$out"
