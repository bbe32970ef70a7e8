#!/usr/bin/env bash
# Makes the npm packages in packaging/out/npm and prints their paths: `patchwork-traces`, and one for each system with its
# program, of which npm installs the right one. Publishes nothing.
#
# Usage: packaging/npm/build.sh PLATFORM=PROGRAM...
#
# PLATFORM is linux-x64 or linux-arm64, PROGRAM a static program for it, which packaging/static.sh makes, with NOTICES beside
# it. The first PROGRAM runs on this machine and prints the manual pages. Needs Node.js and npm.
set -euo pipefail
# The files are for all users.
umask 022
[ $# -gt 0 ] || {
    echo "usage: packaging/npm/build.sh PLATFORM=PROGRAM..." >&2
    exit 2
}
programs=()
for argument; do programs+=("${argument%%=*}=$(realpath "${argument#*=}")"); done
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
out=$PWD/packaging/out/npm
rm -rf "$out"
mkdir -p "$out"

# Writes a package.json: the fields that all packages share, and those of the given object.
manifest() {
    node -e 'const [version, own] = process.argv.slice(1);
        const { name, description, ...rest } = JSON.parse(own);
        console.log(JSON.stringify({ name, version, description, license: "MIT", ...rest }, null, 2));' "$version" "$1"
}

optional=
for program in "${programs[@]}"; do
    platform=${program%%=*} path=${program#*=} name=@patchwork-traces/${program%%=*}
    case $platform in
    linux-x64) machine=X86-64 ;;
    linux-arm64) machine=AArch64 ;;
    *) machine=unknown ;;
    esac
    readelf --file-header "$path" | grep -q "Machine: .*$machine" || {
        echo "$path is not a program for $platform" >&2
        exit 1
    }
    dir=$out/$platform
    mkdir -p "$dir/bin"
    install -m 755 "$path" "$dir/bin/patchwork-traces"
    install -m 644 LICENSE "$(dirname "$path")/NOTICES" "$dir/"
    printf '# %s\n\nThe program of [patchwork-traces](https://www.npmjs.com/package/patchwork-traces) for this system.\n' \
        "$name" >"$dir/README.md"
    manifest "{\"name\": \"$name\", \"description\": \"The program of patchwork-traces for $platform\",
        \"os\": [\"${platform%-*}\"], \"cpu\": [\"${platform#*-}\"], \"preferUnplugged\": true}" >"$dir/package.json"
    optional+="${optional:+, }\"$name\": \"$version\""
done

dir=$out/package
cp -r packaging/npm/package "$dir"
install -m 644 LICENSE "$dir/"
packaging/pages.sh "${programs[0]#*=}" "$dir"
npm install --prefix packaging/npm --silent --no-audit --no-fund
node packaging/npm/types.mjs schema "$dir"
pages=$(cd "$dir" && printf '"man/%s", ' $(ls man))
manifest "{\"name\": \"patchwork-traces\", \"description\": \"Bundle, restore, verify and search the trace logs of Patchwork OS\",
    \"type\": \"module\", \"exports\": {\".\": {\"types\": \"./index.d.ts\", \"default\": \"./index.js\"}},
    \"bin\": {\"patchwork-traces\": \"bin/patchwork-traces.js\"}, \"man\": [${pages%, }],
    \"engines\": {\"node\": \">=18\"}, \"optionalDependencies\": {$optional},
    \"keywords\": [\"patchwork\", \"jsonl\", \"gzip\", \"logs\", \"audit\", \"backup\"]}" >"$dir/package.json"

for dir in "$out"/*/; do
    (cd "$dir" && npm pack --silent --pack-destination "$out" | sed "s|^|packaging/out/npm/|")
done
