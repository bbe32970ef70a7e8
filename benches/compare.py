#!/usr/bin/env python3
"""Compares patchwork-traces with the public tools that a user would pick, and prints tables for README.md and docs/.

First checks the results: the bundle is intact, the imported logs equal the exported ones, jq and gunzip read the same
rows, and the number of threads does not change the bundle. Then times the commands in rounds, each command once a
round, so that other load on the machine affects all of them alike. Prints medians over the rounds; a comparison of two
commands is the median of the ratios of each round.

Needs hyperfine, GNU time, jq, pigz, zstd, GNU tar, gzip and coreutils:

    apt-get install hyperfine time jq pigz zstd

256 MiB of logs take about 2 GB of disk, 4096 MiB about 25 GB. Last come histories: ten years of nightly bundles, and a run
of keep beside an export.
"""

import argparse
import datetime
import filecmp
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import histories

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = os.path.join(ROOT, "target/dist/patchwork-traces")
TOOLS = ("hyperfine", "/usr/bin/time", "jq", "pigz", "zstd", "tar", "gzip", "sha256sum")
SELECT = "jq -c 'select(.source == \"decision_traces\") | .entry'"
WHERE = "jq -c 'select(.entry.status == \"error\" and .entry.recipeName == \"recipe-7\") | .entry'"
OUR_WHERE = "--where status=error --where recipeName=recipe-7"
# Run with a Python that has DuckDB, if --duckdb names one.
DUCKDB = """import duckdb
columns = "columns={source: 'VARCHAR', entry: 'JSON'}"
rows = f"read_json('bundle.gz', format='newline_delimited', compression='gzip', {columns})"
where = "entry->>'$.status' = 'error' AND entry->>'$.recipeName' = 'recipe-7'"
duckdb.sql(f"COPY (SELECT entry FROM {rows} WHERE {where}) TO 'duckdb.csv'")
"""
HOME = "--patchwork-dir home/patchwork --activity-dir home/ide"
LOGS = "--patchwork-dir logs/patchwork --activity-dir logs/ide"

# Name: (command, preparation)
COMMANDS = {
    "export": (f"{OURS} export {LOGS} --force -o new.gz", None),
    "tar | zstd -3 -T2": ("tar -c logs | zstd -q -3 -T2 > logs.tar.zst", None),
    "pigz -p2": ("pigz -p2 -c all.jsonl > pigz.gz", None),
    "gzip -6": ("gzip -6 -c all.jsonl > gzip.gz", None),
    "gunzip": ("gunzip -c bundle.gz | cat > /dev/null", None),
    "gunzip | sha256sum": ("gunzip -c bundle.gz | sha256sum", None),
    "gunzip | jq": (f"gunzip -c bundle.gz | {SELECT} > /dev/null", None),
    "gunzip | jq where": (f"gunzip -c bundle.gz | {WHERE} > /dev/null", None),
    "import": (f"{OURS} import bundle.gz {HOME}", "rm -rf home"),
    "import again": (f"{OURS} import bundle.gz {HOME}", None),
    "merge": (f"{OURS} import bundle.gz {HOME}", "rm -rf home && cp -r half home"),
    "verify": (f"{OURS} verify bundle.gz", None),
    "cat": (f"{OURS} cat bundle.gz | cat > /dev/null", None),
    "cat --source": (f"{OURS} cat bundle.gz --source decision_traces", None),
    "cat --where": (f"{OURS} cat bundle.gz {OUR_WHERE} > /dev/null", None),
    "cat of a bundle with one source": (f"{OURS} cat one-source.gz --source decision_traces", None),
    "cat - --source": (f"{OURS} cat - --source decision_traces < bundle.gz > /dev/null", None),
    "recover": (f"{OURS} recover bundle.gz --force -o new.gz", None),
    "inspect": (f"{OURS} inspect bundle.gz", None),
}

# These take milliseconds, so they run without a shell, whose start would take as long. Their output goes to /dev/null.
SHORT_COMMANDS = ("cat --source", "cat of a bundle with one source", "inspect")

# Our command, the other one, and the maximum of our time divided by the other's
MAX_TIME_RATIOS = (
    ("export", "pigz -p2", 0.62),
    ("export", "gzip -6", 1 / 3),
    ("import", "gunzip | sha256sum", 0.6),
    ("verify", "gunzip | sha256sum", 0.55),
    ("cat --source", "gunzip | jq", 1 / 300),
    ("cat --where", "gunzip | jq where", 1 / 20),
    ("cat --where", "DuckDB", 1),
    ("cat --source", "cat of a bundle with one source", 1.2),
    ("cat", "gunzip", 0.5),
    ("import again", "import", 2),
)

# Compared without an aim
OTHER_RATIOS = (("export", "tar | zstd -3 -T2"),)

MAX_INSPECT_CPU_SECONDS = 0.010
MAX_MIB = 64
MAX_MERGE_BYTES_PER_LINE = 24
# Logs of 16 times the size may take 17 times as long.
MAX_GROWTH = 17 / 16

missed = []


def run(command):
    environment = {**os.environ, "LC_ALL": "C"}
    bash = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(bash, check=True, capture_output=True, env=environment).stdout


def escaped(name):
    """Escapes a command's name for a cell of a Markdown table."""
    return name.replace("|", "\\|")


def judge(name, value, limit, unit="", digits=0):
    """Prints a row of a table of aims, and records the aim as missed if `value` is above `limit`."""
    if value > limit:
        missed.append(name)
    print(f"| {name} | {value:,.{digits}f}{unit} | {limit:,.{digits}f}{unit} |{' **missed**' if value > limit else ''}")


def judge_time(times, ours, other, limit=None):
    """Prints a row that compares the times of two commands, and records the aim as missed if it is."""
    ratio = statistics.median(a[0] / b[0] for a, b in zip(times[ours], times[other]))
    speed = f", {1 / ratio:.{1 if ratio > 0.1 else 0}f}× faster" if ratio < 1 else ""
    print(f"| `{escaped(ours)}` | `{escaped(other)}` | {ratio:.2g}× the time{speed} |", end="")
    print(f" {limit:.2g}× |" if limit else " |", end="")
    if limit and ratio > limit:
        missed.append(f"{ours} beside {other}")
        print(" **missed**", end="")
    print()


def expect(holds, problem):
    if not holds:
        sys.exit(f"compare.py: {problem}")


def prepare(size):
    run(f"rustc --edition 2024 -O -o make_logs {ROOT}/benches/make_logs.rs && ./make_logs logs {size}")
    run("cat logs/*/*.jsonl > all.jsonl")
    run(f"{OURS} export {LOGS} --force -o bundle.gz")
    run(f"{OURS} export {LOGS} --force --source decision_traces -o one-source.gz")
    # The logs to merge into: three of four lines, and one line that the bundle lacks.
    run("mkdir -p half/patchwork half/ide")
    run("for log in logs/*/*.jsonl; do awk 'NR % 4 != 1' $log > half/${log#logs/}; echo '{}' >> half/${log#logs/}; done")


def check():
    """Checks the results of the commands that will be timed."""
    run(f"{OURS} verify bundle.gz")
    run(f"{OURS} import bundle.gz {HOME} && diff -r logs home")
    again = json.loads(run(f"{OURS} import bundle.gz {HOME} --json && diff -r logs home > /dev/null"))
    expect(again["unchanged"], "a second import changes something")
    run("rm -rf home && cp -r half home")
    run(f"{OURS} import bundle.gz {HOME}")
    merged = run("for log in logs/*/*.jsonl; do cmp <(grep -avxF '{}' home/${log#logs/} | sort) <(sort $log); done; echo same")
    expect(merged == b"same\n", "a merge loses or doubles a row")
    run("cmp <(gunzip -c bundle.gz | tail -n +2) " + f"<({OURS} cat --envelope bundle.gz)")
    # jq changes lone surrogates, so its rows are compared with the envelopes as jq prints them, not with the log.
    traces = f"{OURS} cat bundle.gz --source decision_traces"
    run(f"cmp <(gunzip -c bundle.gz | {SELECT}) <({traces} --envelope | jq -c .entry)")
    run(f"cmp <(gunzip -c bundle.gz | {WHERE}) <({OURS} cat bundle.gz {OUR_WHERE} --envelope | jq -c .entry)")
    log = "logs/patchwork/decision_traces.jsonl"
    run(f"[ -s {log} ] && [ -z \"$(diff -a {log} <({traces}) | grep -a '^>')\" ]")
    for threads in (1, 3):
        run(f"SOURCE_DATE_EPOCH=0 {OURS} export {LOGS} --force --threads {threads} -o {threads}.gz")
    expect(filecmp.cmp("1.gz", "3.gz", shallow=False), "the number of threads changes the bundle")
    run(f"{OURS} recover bundle.gz --force -o new.gz && {OURS} verify new.gz")
    run("rm -rf home 1.gz 3.gz")


def seconds(name):
    """Returns the wall and CPU time of one run, or the medians of 21 runs of a short command."""
    command, before = COMMANDS[name]
    options = ["--style", "none", "--export-json", "time.json", "--output", "null"]
    options += ["-N", "--runs", "21", "--warmup", "1"] if name in SHORT_COMMANDS else ["--shell", "bash", "--runs", "1"]
    if before:
        options += ["--prepare", before]
    subprocess.run(["hyperfine", *options, command], check=True, capture_output=True)
    with open("time.json", encoding="utf-8") as out:
        result = json.load(out)["results"][0]
    return result["median"], result["user"] + result["system"]


def memory(name):
    """Returns the peak memory of our process, in KiB."""
    command, before = COMMANDS[name]
    run(before or "true")
    run(command.replace(OURS, f"/usr/bin/time -f %M -o memory.txt {OURS}"))
    with open("memory.txt", encoding="utf-8") as out:
        return int(out.read())


def measure(rounds):
    times = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name in COMMANDS:
            times[name].append(seconds(name))
    peaks = {name: memory(name) for name, (command, _) in COMMANDS.items() if OURS in command}
    return times, peaks


def report(size, times, peaks):
    """Prints the tables and returns the median wall times."""
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        model = next(line.split(": ")[1].strip() for line in cpuinfo if "model name" in line)
    lines = int(run("cat logs/*/*.jsonl | wc -l"))
    half = int(run("cat half/*/*.jsonl | wc -l"))
    print(f"{size} MiB of logs, {lines:,} lines; {os.cpu_count()} cores, {model}; {datetime.date.today()}\n")
    print("| command | wall | CPU | memory |\n|---|---|---|---|")
    for name, all_times in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*all_times))
        peak = f"{peaks[name] / 1024:.0f} MiB" if name in peaks else ""
        print(f"| `{escaped(name)}` | {wall:.3f} s | {cpu:.3f} s | {peak} |")
    print("\n| command | other | measured | maximum |\n|---|---|---|---|")
    for ours, other, limit in MAX_TIME_RATIOS:
        if other in times:
            judge_time(times, ours, other, limit)
    for ours, other in OTHER_RATIOS:
        judge_time(times, ours, other)
    sizes = {name: os.path.getsize(name) for name in ("bundle.gz", "gzip.gz", "logs.tar.zst")}
    print("\n| figure | measured | maximum |\n|---|---|---|")
    judge("bytes of the bundle; maximum: 1.005 times `gzip -6` over the logs", sizes["bundle.gz"], sizes["gzip.gz"] * 1.005)
    print(f"| bytes of `tar \\| zstd -3 -T2` | {sizes['logs.tar.zst']:,} | |")
    cpu = statistics.median(cpu for _, cpu in times["inspect"])
    judge("CPU time of `inspect`", cpu * 1000, MAX_INSPECT_CPU_SECONDS * 1000, " ms", 1)
    peak, name = max((peak, name) for name, peak in peaks.items() if name != "merge")
    judge(f"peak memory of all commands but `merge` (`{name}`)", peak / 1024, MAX_MIB, " MiB")
    extra = (peaks["merge"] - peaks["import"]) * 1024 / (lines + half)
    judge("memory that `merge` takes beyond `import`, per line", extra, MAX_MERGE_BYTES_PER_LINE, " bytes", 1)
    print(f"\n`merge` merges {lines:,} lines into {half:,}. Its wall time includes the 3 s watch of logs above 1 MiB.\n")
    return {name: statistics.median(wall for wall, _ in all_times) for name, all_times in times.items()}


def report_growth(sizes, small, large):
    """Prints how the median wall times grow from the first size to the second."""
    print(f"| time of {sizes[1]} MiB, relative to {sizes[0]} MiB | measured | maximum |\n|---|---|---|")
    for name, (command, _) in COMMANDS.items():
        growth = large[name] / small[name]
        if OURS in command:
            judge(f"`{escaped(name)}`", growth, MAX_GROWTH * sizes[1] / sizes[0], "×", 1)
        else:
            print(f"| `{escaped(name)}` | {growth:.1f}× | |")


def judge_history(name, value, limit):
    """Records an aim of histories as missed if `value` is above `limit`, and returns whether it is."""
    is_missed = limit is not None and value > limit
    if is_missed:
        missed.append(name)
    return is_missed


def measure_histories(nights):
    for report_of in (lambda: histories.report_years(OURS, nights, judge_history),
                      lambda: histories.report_run(OURS, judge_history)):
        with tempfile.TemporaryDirectory() as work:
            os.chdir(work)
            report_of()
            os.chdir(ROOT)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exits with 1 if an aim is missed.",
    )
    sizes_help = "size of the logs [default: 256]; given two sizes, also prints how the times grow"
    parser.add_argument("sizes", metavar="MIB", nargs="*", type=int, default=[256], help=sizes_help)
    parser.add_argument("--rounds", type=int, help="number of rounds [default: 7, or 2 above 1024 MiB]")
    parser.add_argument("--nights", type=int, default=3650, help="length of the history [default: 3650]; 0 for none")
    parser.add_argument("--duckdb", metavar="PYTHON", help="a Python that has DuckDB, to compare with its read_json")
    args = parser.parse_args()
    if args.duckdb:
        COMMANDS["DuckDB"] = (f"{os.path.abspath(args.duckdb)} duckdb_where.py", None)
    for tool in TOOLS:
        expect(shutil.which(tool), f"{tool} is missing; run: apt-get install hyperfine time jq pigz zstd")
    subprocess.run(["cargo", "build", "--profile", "dist", "--locked", "--quiet"], check=True, cwd=ROOT)
    medians = []
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as work:
            os.chdir(work)
            prepare(size)
            with open("duckdb_where.py", "w", encoding="utf-8") as script:
                script.write(DUCKDB)
            check()
            medians.append(report(size, *measure(args.rounds or (2 if size > 1024 else 7))))
            os.chdir(ROOT)
    if len(args.sizes) == 2:
        report_growth(args.sizes, *medians)
    if args.nights:
        measure_histories(args.nights)
    if missed:
        sys.exit("compare.py: missed: " + ", ".join(missed))


if __name__ == "__main__":
    main()
