#!/usr/bin/env bash
# Packs the program with its man pages, completions and licences for a release page, from which `cargo binstall` takes it,
# too. Prints the path of the archive.
#
# Usage: packaging/archive.sh PROGRAM TARGET NOTICES
#
# PROGRAM is for TARGET, such as x86_64-unknown-linux-gnu. Its pages are printed by PROGRAM itself, or by the program that
# the environment variable PAGES_FROM names, if PROGRAM does not run here.
set -euo pipefail
# The files are for all users.
umask 022
program=$(realpath "$1") triple=$2 notices=$(realpath "$3")
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=patchwork-traces-$version-$triple
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/$name" packaging/out
install -m 755 "$program" "$work/$name/patchwork-traces"
install -m 644 LICENSE README.md "$notices" "$work/$name/"
packaging/pages.sh "${PAGES_FROM:-$program}" "$work/$name"
# Without times, owners and the order of the directory: the same program gives the same archive.
tar --directory "$work" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --create "$name" |
    gzip --best --no-name >"packaging/out/$name.tar.gz"
echo "packaging/out/$name.tar.gz"
