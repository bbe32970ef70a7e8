#!/usr/bin/env python3
"""Measures patchwork-traces beside the public tools that a user would pick, and prints the tables that the README quotes.

    benches/compare.py [MIB...]        the size of the logs: 256 without

With two sizes it also says how the times grow from one to the other. The exit code is 1 where an aim is missed.

One run on one machine. Whatever is measured is checked first: that the bundle is intact, that the imported logs are the
ones that were bundled, that jq and gunzip see the same rows, that threads change no byte. Commands are timed in rounds,
each once a round, so that all of them meet the machine in the same moods; a figure is the median, and a ratio the median
of the rounds' ratios.

Wants hyperfine, GNU time, jq, pigz, gzip and sha256sum. For 4096, about 20 GB of disk are needed.
"""

import datetime
import filecmp
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = os.path.join(ROOT, "target/release/patchwork-traces")
SELECT = "jq -c 'select(.source == \"decision_traces\") | .entry'"
HOME = "--patchwork-dir home/patchwork --activity-dir home/ide"
LOGS = "--patchwork-dir logs/patchwork --activity-dir logs/ide"

# name: (command, what is done before it)
COMMANDS = {
    "export": (f"{OURS} export {LOGS} --force -o new.gz", None),
    "pigz": ("pigz -p2 -c all.jsonl > pigz.gz", None),
    "gzip -6": ("gzip -6 -c all.jsonl > gzip.gz", None),
    "gunzip": ("gunzip -c bundle.gz | cat > /dev/null", None),
    "gunzip | sha256sum": ("gunzip -c bundle.gz | sha256sum", None),
    "gunzip | jq": (f"gunzip -c bundle.gz | {SELECT} > /dev/null", None),
    "import": (f"{OURS} import bundle.gz {HOME}", "rm -rf home"),
    "import again": (f"{OURS} import bundle.gz {HOME}", None),
    "merge": (f"{OURS} import bundle.gz {HOME}", "rm -rf home && cp -r half home"),
    "verify": (f"{OURS} verify bundle.gz", None),
    "cat": (f"{OURS} cat bundle.gz | cat > /dev/null", None),
    "cat --source": (f"{OURS} cat bundle.gz --source decision_traces", None),
    "cat of one alone": (f"{OURS} cat alone.gz --source decision_traces", None),
    "cat - --source": (f"{OURS} cat - --source decision_traces < bundle.gz > /dev/null", None),
    "recover": (f"{OURS} recover bundle.gz --force -o new.gz", None),
    "inspect": (f"{OURS} inspect bundle.gz", None),
}

# ours, the other, what it is at most
TARGETS = (
    ("export", "pigz", 0.75),
    ("export", "gzip -6", 1 / 3),
    ("import", "gunzip | sha256sum", 0.6),
    ("verify", "gunzip | sha256sum", 0.55),
    ("cat --source", "gunzip | jq", 1 / 300),
    ("cat --source", "cat of one alone", 1.2),
    ("cat", "gunzip", 0.5),
    ("import again", "import", 2),
)

# What else is measured, and at most what. A size that is 16 times as large may take 17 times as long.
MOST_CPU_OF_INSPECT = 0.010
MOST_MIB = 64
MOST_MERGE_BYTES_A_LINE = 24
MOST_GROWTH = 17 / 16

missed = []


def run(command):
    environment = {**os.environ, "LC_ALL": "C"}
    bash = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(bash, check=True, capture_output=True, env=environment).stdout


def judge(name, value, most, form="{:.2f}"):
    """A row of the table of aims. Notes where one is missed."""
    as_fraction = most < 0.34
    shown, limit = (f"1/{1 / value:.1f}", f"1/{1 / most:.0f}") if as_fraction else (form.format(value), f"{most:g}")
    if value > most:
        missed.append(name)
    print(f"| {name} | {shown} | {limit} |{'' if value <= most else ' **missed**'}")


def expect(is_so, what):
    if not is_so:
        sys.exit(f"compare.py: {what}")


def prepare(size):
    run(f"rustc --edition 2024 -O -o make_logs {ROOT}/benches/make_logs.rs && ./make_logs logs {size}")
    run("cat logs/*/*.jsonl > all.jsonl")
    run(f"{OURS} export {LOGS} --force -o bundle.gz && {OURS} export {LOGS} --force --source decision_traces -o alone.gz")
    # What a machine may have that is merged with: three of four lines, and a new one.
    run("mkdir -p half/patchwork half/ide")
    run("for log in logs/*/*.jsonl; do awk 'NR % 4 != 1' $log > half/${log#logs/}; echo '{}' >> half/${log#logs/}; done")


def check():
    """Everything that is measured does what it should."""
    run(f"{OURS} verify bundle.gz")
    run(f"{OURS} import bundle.gz {HOME} && diff -r logs home")
    again = json.loads(run(f"{OURS} import bundle.gz {HOME} --json && diff -r logs home > /dev/null"))
    expect(again["unchanged"], "a second import changes something")
    run("rm -rf home && cp -r half home")
    run(f"{OURS} import bundle.gz {HOME}")
    merged = run("for log in logs/*/*.jsonl; do cmp <(grep -avxF '{}' home/${log#logs/} | sort) <(sort $log); done; echo same")
    expect(merged == b"same\n", "a merge loses or doubles a row")
    run("cmp <(gunzip -c bundle.gz | tail -n +2) " + f"<({OURS} cat --envelope bundle.gz)")
    # Of lone surrogates jq reads what stands in the bundle, but not what stood in the log.
    traces = f"{OURS} cat bundle.gz --source decision_traces"
    run(f"cmp <(gunzip -c bundle.gz | {SELECT}) <({traces} --envelope | jq -c .entry)")
    log = "logs/patchwork/decision_traces.jsonl"
    run(f"[ -s {log} ] && [ -z \"$(diff -a {log} <({traces}) | grep -a '^>')\" ]")
    for threads in (1, 3):
        run(f"SOURCE_DATE_EPOCH=0 {OURS} export {LOGS} --force --threads {threads} -o {threads}.gz")
    expect(filecmp.cmp("1.gz", "3.gz", shallow=False), "the number of threads changes the bundle")
    run(f"{OURS} recover bundle.gz --force -o new.gz && {OURS} verify new.gz")
    run("rm -rf home 1.gz 3.gz")


def seconds(name):
    """Wall and CPU time of one run, or of some where one takes hardly any time."""
    command, before = COMMANDS[name]
    # Those that take milliseconds are run without a shell, whose own time would be as long. Output goes to /dev/null.
    is_short = name in ("cat --source", "cat of one alone", "inspect")
    options = ["--style", "none", "--export-json", "time.json", "--output", "null"]
    options += ["-N", "--runs", "21", "--warmup", "1"] if is_short else ["--shell", "bash", "--runs", "1"]
    if before:
        options += ["--prepare", before]
    subprocess.run(["hyperfine", *options, command], check=True, capture_output=True)
    with open("time.json", encoding="utf-8") as out:
        result = json.load(out)["results"][0]
    return result["median"], result["user"] + result["system"]


def memory(name):
    """The most memory that a process of ours takes, in KiB."""
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
    """Prints the tables, and gives the median wall times."""
    model = next(line.split(": ")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if "model name" in line)
    lines = int(run("cat logs/*/*.jsonl | wc -l"))
    half = int(run("cat half/*/*.jsonl | wc -l"))
    print(f"{size} MiB of logs, {lines:,} lines; {os.cpu_count()} cores, {model}; {datetime.date.today()}\n")
    print("| command | wall | CPU | memory |\n|---|---|---|---|")
    for name, all_times in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*all_times))
        peak = f"{peaks[name] / 1024:.0f} MiB" if name in peaks else ""
        print(f"| `{name}` | {wall:.3f} s | {cpu:.3f} s | {peak} |")
    print("\n| what | measured | at most |\n|---|---|---|")
    for ours, other, most in TARGETS:
        ratio = statistics.median(a[0] / b[0] for a, b in zip(times[ours], times[other]))
        judge(f"`{ours}`, of the time of `{other}`", ratio, most)
    sizes = {name: os.path.getsize(name) for name in ("bundle.gz", "gzip.gz")}
    judge("the bundle, of what `gzip -6` makes", sizes["bundle.gz"] / sizes["gzip.gz"], 1, "{:.3f}")
    cpu = statistics.median(cpu for _, cpu in times["inspect"])
    judge("CPU time of `inspect`, ms", cpu * 1000, MOST_CPU_OF_INSPECT * 1000, "{:.0f}")
    most = max((peak, name) for name, peak in peaks.items() if name != "merge")
    judge(f"memory, most of all with `{most[1]}`, MiB", most[0] / 1024, MOST_MIB, "{:.0f}")
    extra = (peaks["merge"] - peaks["import"]) * 1024 / (lines + half)
    judge("memory of `merge` beside that of `import`, bytes a line", extra, MOST_MERGE_BYTES_A_LINE, "{:.1f}")
    print(f"\nThe bundle has {sizes['bundle.gz']:,} bytes, what `gzip -6` makes of the same logs {sizes['gzip.gz']:,}.")
    print(f"The merge is of {lines:,} lines into {half:,}.\n")
    return {name: statistics.median(wall for wall, _ in all_times) for name, all_times in times.items()}


def main():
    sizes = [int(size) for size in sys.argv[1:]] or [256]
    for tool in ("hyperfine", "/usr/bin/time", "jq", "pigz", "gzip", "sha256sum"):
        expect(shutil.which(tool), f"{tool} is missing")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], check=True, cwd=ROOT)
    medians = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as work:
            os.chdir(work)
            prepare(size)
            check()
            medians[size] = report(size, *measure(2 if size > 1024 else 7))
            os.chdir(ROOT)
    if len(sizes) == 2:
        small, large = medians[sizes[0]], medians[sizes[1]]
        print(f"| {sizes[1]} MiB, of the time of {sizes[0]} MiB | measured | at most |\n|---|---|---|")
        for name in COMMANDS:
            growth = large[name] / small[name]
            if OURS in COMMANDS[name][0]:
                judge(f"`{name}`", growth, MOST_GROWTH * sizes[1] / sizes[0], "{:.1f}")
            else:
                print(f"| `{name}` | {growth:.1f} | |")
    if missed:
        sys.exit("compare.py: missed: " + ", ".join(missed))


if __name__ == "__main__":
    main()
