#!/usr/bin/env bash
# Packs and unpacks the fuzzing corpora. Each target has one archive, fuzz/corpus/TARGET.tar.gz; the fuzzers read and
# write the directory next to it, which is not committed.
#
# Usage: fuzz/corpus.sh unpack [TARGET...]   adds the inputs of the archive to the directory
#        fuzz/corpus.sh pack [TARGET...]     replaces the archive by the inputs of the directory
set -euo pipefail
cd "$(dirname "$0")/corpus"

action=${1:-}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(basename --suffix=.tar.gz -- *.tar.gz)

for target in "${targets[@]}"; do
    case $action in
    unpack)
        mkdir -p "$target"
        tar --extract --gzip --file "$target.tar.gz" --directory "$target"
        ;;
    pack)
        # The same inputs give the same archive.
        (cd "$target" && find . -type f | LC_ALL=C sort) |
            tar --create --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=644 --directory "$target" --files-from - |
            gzip --best --no-name >"$target.tar.gz.new"
        mv "$target.tar.gz.new" "$target.tar.gz"
        ;;
    *)
        sed -n 's/^# \{0,1\}//p' "../corpus.sh" | tail -n +2 >&2
        exit 2
        ;;
    esac
done
