#!/usr/bin/env bash
# Writes the manual pages and the completion scripts, which the program itself prints, to where packages take them from.
#
# Usage: packaging/pages.sh PROGRAM DIRECTORY
set -euo pipefail
# The files are for all users.
umask 022

program=$(realpath "$1")
mkdir -p "$2/man" "$2/completions"
cd "$2"

name=patchwork-traces
"$program" man >"man/$name.1"
# The program's own page lists the commands, each of which has a page.
commands=$(sed -n 's/^patchwork\\-traces\\-\([a-z]*\)(1)$/\1/p' "man/$name.1" | sort)
[ "$(wc -w <<<"$commands")" -ge 10 ] || {
    echo "the manual page of $name does not list its commands" >&2
    exit 1
}
for command in $commands; do
    "$program" man "$command" >"man/$name-$command.1"
done
# Without the time of compression, so that the same program gives the same package.
gzip --force --best --no-name man/*.1

"$program" completions bash >"completions/$name.bash"
"$program" completions zsh >"completions/_$name"
"$program" completions fish >"completions/$name.fish"
"$program" completions elvish >"completions/$name.elv"
"$program" completions powershell >"completions/_$name.ps1"
