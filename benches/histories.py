"""Measures histories for compare.py: ten years of nightly bundles, and a run of `keep` beside an export."""

import glob
import json
import os
import random
import statistics
import subprocess
import time

DIRS = "--patchwork-dir patchwork --activity-dir ide"
START = 1_600_000_000
DAY = 24 * 3600
MAX_LOG_BYTES = 1 << 20

MAX_SECONDS = {
    "verify --quick": 1.0,
    "cat --since": 0.5,
    "inspect": None,
    "cat": None,
    "verify": None,
}
MAX_KEEP_RATIO = 1 / 8
MAX_MIB = 64


def row(number, seconds, text):
    return json.dumps({"taskId": f"t{number}", "createdAt": seconds * 1000, "output": text}) + "\n"


def append(name, rows, archive=None):
    """Appends rows as Patchwork's writers do: a log above 1 MiB first loses its older half, to the archive if it has one."""
    path = os.path.join("patchwork", name)
    if os.path.exists(path) and os.path.getsize(path) > MAX_LOG_BYTES:
        with open(path, encoding="ascii") as log:
            lines = log.readlines()
        kept = lines[len(lines) - len(lines) // 2:]
        if archive:
            with open(os.path.join("patchwork", archive), "a", encoding="ascii") as log:
                log.writelines(lines[: len(lines) - len(kept)])
        with open(path + ".tmp", "w", encoding="ascii") as log:
            log.writelines(kept)
        os.rename(path + ".tmp", path)
    with open(path, "a", encoding="ascii") as log:
        log.writelines(rows)


def words(generator, vocabulary, number):
    return " ".join(generator.choices(vocabulary, k=number))


def make_nights(ours, nights):
    """Exports a bundle for each night, and returns the rows that were ever in each log."""
    generator = random.Random(1)
    vocabulary = [f"{generator.getrandbits(32):x}" for _ in range(3000)]
    everything = {"runs": [], "decision_traces": []}
    os.makedirs("patchwork")
    os.makedirs("ide")
    os.makedirs("nights")
    for night in range(nights):
        now = START + night * DAY
        for source, rows in everything.items():
            new = [row(len(rows) + n, now - DAY + n, words(generator, vocabulary, 40)) for n in range(4)]
            rows += new
            append(source + ".jsonl", new, "runs.jsonl.1" if source == "runs" else None)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(now)}
        command = f"{ours} export {DIRS} -q -o nights/{night:05}.jsonl.gz"
        subprocess.run(command.split(), check=True, env=environment)
    return everything


def timed(command, runs, prepare=None):
    """Returns the median wall time of a command, in seconds. Its output goes to /dev/null."""
    options = ["--style", "none", "--export-json", "time.json", "--output", "null", "-N", "--runs", str(runs)]
    options += ["--warmup", "1", *(["--prepare", prepare] if prepare else [])]
    subprocess.run(["hyperfine", *options, command], check=True, capture_output=True)
    with open("time.json", encoding="utf-8") as out:
        return json.load(out)["results"][0]["median"]


def peak(command):
    """Returns the peak memory of a command, in KiB."""
    subprocess.run(["/usr/bin/time", "-f", "%M", "-o", "memory.txt", *command.split()], check=True, capture_output=True)
    with open("memory.txt", encoding="utf-8") as out:
        return int(out.read())


def report_years(ours, nights, judge):
    """Makes a history of nightly bundles, checks it, and prints what commands on it take."""
    everything = make_nights(ours, nights)
    bundles = sorted(glob.glob("nights/*.jsonl.gz"))
    subprocess.run([ours, "keep", "history", "-q", "--from", *bundles], check=True)
    for source, rows in everything.items():
        kept = subprocess.run([ours, "cat", "history", "--source", source], check=True, capture_output=True).stdout
        assert kept == "".join(rows).encode(), f"the history does not have each row of {source} once"
    subprocess.run([ours, "verify", "history", "--require-complete", "-q"], check=True)
    segments = glob.glob("history/segments/*/*")
    sizes = [sum(os.path.getsize(path) for path in paths) for paths in (bundles, segments)]
    print(f"{nights:,} nightly bundles: {sizes[0] / 1e6:,.1f} MB; as a history: {sizes[1] / 1e6:,.1f} MB\n")
    os.environ["SOURCE_DATE_EPOCH"] = str(START + nights * DAY)
    commands = {
        "verify --quick": f"{ours} verify history --quick",
        "cat --since": f"{ours} cat history --since 1d",
        "inspect": f"{ours} inspect history",
        "cat": f"{ours} cat history",
        "verify": f"{ours} verify history",
        "keep": f"{ours} keep history {DIRS} -q",
    }
    print(f"| command on {nights:,} segments | wall | maximum | memory |\n|---|---|---|---|")
    for name, command in commands.items():
        wall, limit = timed(command, 7), MAX_SECONDS.get(name)
        memory = peak(command) / 1024
        missed = judge(f"`{name}` of a history", wall, limit) or judge(f"memory of `{name}`", memory, MAX_MIB)
        aim = f"{limit:.1f} s" if limit else ""
        print(f"| `{name}` | {wall:.3f} s | {aim} | {memory:.0f} MiB |{' **missed**' if missed else ''}")
    print()


def report_run(ours, judge):
    """Prints the time of a run with 9 MiB of logs and 100 new rows, relative to an export of the same logs."""
    generator = random.Random(2)
    vocabulary = [f"{generator.getrandbits(32):x}" for _ in range(3000)]
    os.makedirs("patchwork")
    os.makedirs("ide")
    for name, rows in (("runs.jsonl.1", 9000), ("runs.jsonl", 1000), ("decision_traces.jsonl", 800)):
        with open(os.path.join("patchwork", name), "w", encoding="ascii") as log:
            log.writelines(row(n, START + n, words(generator, vocabulary, 90)) for n in range(rows))
    with open("new.jsonl", "w", encoding="ascii") as log:
        log.writelines(row(n, START + DAY + n, words(generator, vocabulary, 30)) for n in range(100))
    size = sum(os.path.getsize(os.path.join("patchwork", name)) for name in os.listdir("patchwork"))
    # Logs that were written to just now are read again by the next run.
    time.sleep(3)
    subprocess.run(f"{ours} keep history {DIRS} -q".split(), check=True)
    prepare = "sh -c 'cat new.jsonl >> patchwork/decision_traces.jsonl'"
    ratios, walls = [], []
    for _ in range(11):
        keep = timed(f"{ours} keep history {DIRS} -q", 2, prepare)
        export = timed(f"{ours} export {DIRS} -q --force -o new.gz", 2)
        walls.append((keep, export))
        ratios.append(keep / export)
    ratio = statistics.median(ratios)
    keep, export = (statistics.median(column) for column in zip(*walls))
    missed = " **missed**" if judge("`keep` beside `export`", ratio, MAX_KEEP_RATIO) else ""
    print(f"`keep` with {size / (1 << 20):.1f} MiB of logs and 100 new rows: {keep * 1000:.0f} ms, {ratio:.2g} of the "
          f"{export * 1000:.0f} ms of `export` (maximum {MAX_KEEP_RATIO:.2g}){missed}\n")
