#!/usr/bin/env bash
# Measures patchwork-traces beside the public tools that a user would pick, in one run on one machine, and prints a table
# in Markdown: compare.sh [MIB]. Wants gzip, pigz, jq, sha256sum, GNU time and python3; leaves out what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-256}
command -v /usr/bin/time > /dev/null || { echo "GNU time is missing (apt-get install time)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --release --locked --quiet
ours=$PWD/target/release/patchwork-traces
python3 benches/make_logs.py "$work/logs" "$size"
cd "$work"
cat logs/*/*.jsonl > all.jsonl
export=("$ours" export --patchwork-dir logs/patchwork --activity-dir logs/ide --force -o)
"${export[@]}" bundle.gz > /dev/null
rows=$(cat all.jsonl | wc -l)

# measure LABEL COMMAND: the best of three runs in seconds, and the most memory that one process of them took.
measure() {
  local label=$1 best="" peak=0 seconds kib
  shift
  for _ in 1 2 3; do
    if ! /usr/bin/time -f '%e %M' -o time.txt "$@" > /dev/null 2> /dev/null; then
      printf '| %s | not installed, or failed | |\n' "$label"
      return
    fi
    read -r seconds kib < <(tail -n 1 time.txt)
    if [ -z "$best" ] || awk "BEGIN { exit !($seconds < $best) }"; then best=$seconds; fi
    if [ "$kib" -gt "$peak" ]; then peak=$kib; fi
  done
  printf '| %s | %s s | %s MiB |\n' "$label" "$best" "$((peak / 1024))"
}

printf '%s MiB of logs, %s lines; %s cores, %s; %s\n\n' "$size" "$rows" "$(nproc)" \
  "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(date +%F)"
printf '| what | time | memory |\n|---|---|---|\n'
measure '`patchwork-traces export`' "${export[@]}" new.gz
measure '`pigz` over the same logs' bash -o pipefail -c 'pigz -c all.jsonl > new.gz'
measure '`gzip -6` over the same logs' bash -c 'gzip -6 -c all.jsonl > new.gz'
measure '`patchwork-traces cat`, all rows' "$ours" cat bundle.gz
measure '`gunzip -c` of the bundle' bash -o pipefail -c 'gunzip -c bundle.gz'
measure '`gunzip -c \| sha256sum`' bash -o pipefail -c 'gunzip -c bundle.gz | sha256sum'
measure '`patchwork-traces cat --source decision_traces`' "$ours" cat bundle.gz --source decision_traces
measure 'the same from standard input' bash -c "$ours cat - --source decision_traces < bundle.gz"
measure '`gunzip -c \| jq` for one source' bash -o pipefail -c $'gunzip -c bundle.gz | jq -c \'select(.source=="decision_traces") | .entry\''
measure '`patchwork-traces inspect`' "$ours" inspect bundle.gz
measure '`patchwork-traces verify`' "$ours" verify bundle.gz
measure '`patchwork-traces import` into an empty home' \
  bash -c "rm -rf new; $ours import bundle.gz --patchwork-dir new/patchwork --activity-dir new/ide"
measure 'the same again' "$ours" import bundle.gz --patchwork-dir new/patchwork --activity-dir new/ide
printf '\n| file | bytes |\n|---|---|\n'
printf '| bundle | %s |\n' "$(stat -c %s bundle.gz)"
printf '| `gzip -6` of the same logs | %s |\n' "$(gzip -6 -c all.jsonl | wc -c)"
