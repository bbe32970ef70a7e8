#!/usr/bin/env bash
# Installs the wheel that build.sh made into new environments, and uses it as a user would.
#
# Usage: packaging/pypi/test.sh [PYTHON...]
#
# PYTHON is a Python to use instead of python3. uv is tried, too, if it is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

wheel=$(realpath packaging/out/pypi/*.whl)
logs=$PWD/fixtures/sample-logs/patchwork
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work PIP_DISABLE_PIP_VERSION_CHECK=1
[ $# -gt 0 ] || set -- python3

cat >use.py <<'END'
import subprocess
import sys

import patchwork_traces

assert patchwork_traces.run(["verify", "b.jsonl.gz"])["bundles"][0]["good"] is True
assert patchwork_traces.run(["verify", "cut.jsonl.gz"])["good"] is False
try:
    patchwork_traces.run(["inspect", "missing.gz"])
except subprocess.CalledProcessError as error:
    assert error.returncode == 1 and b"missing.gz" in error.stderr, error.stderr
else:
    sys.exit("a missing file was no error")
END

for python; do
    rm -rf environment target b.jsonl.gz
    "$python" --version
    "$python" -m venv environment
    environment/bin/pip install --quiet --no-index "$wheel"
    environment/bin/patchwork-traces demo | grep -q "Restore the logs on a new machine"
    environment/bin/python -m patchwork_traces --version
    [ -e environment/share/man/man1/patchwork-traces-export.1.gz ]
    environment/bin/patchwork-traces export --patchwork-dir "$logs" --activity-dir "$logs" -o b.jsonl.gz >/dev/null
    head --bytes=-40 b.jsonl.gz >cut.jsonl.gz
    environment/bin/python use.py
    environment/bin/python -m patchwork_traces verify cut.jsonl.gz >/dev/null 2>&1 && exit 1 || [ $? = 3 ]
    "$python" -m pip install --quiet --no-index --target target "$wheel"
    PYTHONPATH=target "$python" use.py
    # An environment that sees the package of another one, as uv makes them.
    "$python" -m venv --without-pip layered
    environment/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
        >"$(layered/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/other.pth"
    layered/bin/python use.py
    rm -rf layered
done
if command -v uvx >/dev/null; then
    uvx --offline --from "$wheel" patchwork-traces --version
fi
echo "the wheel works"
