#!/usr/bin/env python3
"""Writes logs of a busy machine, the same each time: make_logs.py DIRECTORY MIB

DIRECTORY gets `patchwork/` and `ide/`. Of every 16 bytes about 7 are runs, 8 activity (four ports) and 1 the rest, in
rows of the length and vocabulary that Patchwork's have. One row in 20,000 is torn.
"""

import json
import os
import random
import sys

PORTS = (3100, 3101, 3102, 3103)


def vocabulary(rng):
    words = [f"{rng.getrandbits(rng.choice((12, 16, 24, 32))):x}" for _ in range(1500)]
    return words + "the error test build review branch merge fix import module function 東京 café 🚀".split() * 30


def identifier(rng):
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def text(rng, words, low, high):
    return " ".join(rng.choices(words, k=rng.randrange(low, high)))


def run(rng, words, number, millis):
    return {
        "seq": number, "taskId": identifier(rng), "recipeName": rng.choice(words[:40]), "trigger": "cron",
        "status": rng.choice(("done", "error", "interrupted")), "createdAt": millis, "startedAt": millis + 5,
        "doneAt": millis + 9000, "model": "local", "outputTail": text(rng, words, 20, 160),
    }


def decision(rng, words, number, millis):
    return {
        "seq": number, "createdAt": millis, "ref": f"#{rng.randrange(9999)}", "problem": text(rng, words, 10, 40),
        "solution": text(rng, words, 10, 60), "workspace": "/home/me/code/project", "tags": [], "sessionId": identifier(rng),
    }


def link(rng, words, number, millis):
    return {
        "seq": number, "sha": f"{rng.getrandbits(160):040x}", "ref": f"#{rng.randrange(9999)}", "linkType": "closes",
        "resolved": True, "workspace": "/home/me/code/project", "subject": text(rng, words, 4, 14), "createdAt": millis,
    }


def event(rng, words, number, millis):
    seconds, rest = divmod(millis, 1000)
    days, seconds = divmod(seconds - 1767225600, 86400)
    month, day = divmod(days, 28)
    stamp = f"2026-{month % 12 + 1:02}-{day + 1:02}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}Z"
    row = {
        "kind": "tool", "id": number, "timestamp": stamp, "tool": rng.choice(("Bash", "Read", "Edit", "Grep", "runTests")),
        "durationMs": rng.randrange(20000), "status": "success", "sessionId": identifier(rng),
    }
    if rng.random() < 0.1:
        row.update(status="error", errorMessage=text(rng, words, 4, 16))
    return row


def write(path, size, seed, make):
    rng = random.Random(seed)
    words = vocabulary(rng)
    written, number, millis = 0, 0, 1767225600000
    with open(path, "wb") as log:
        while written < size:
            number += 1
            millis += rng.randrange(1, 60_000)
            line = json.dumps(make(rng, words, number, millis), ensure_ascii=False, separators=(",", ":")).encode()
            if number % 20_000 == 0:
                line = line[: len(line) // 2]
            written += log.write(line + b"\n")


def main():
    directory, size = sys.argv[1], int(sys.argv[2]) << 20
    patchwork, ide = os.path.join(directory, "patchwork"), os.path.join(directory, "ide")
    os.makedirs(patchwork, exist_ok=True)
    os.makedirs(ide, exist_ok=True)
    write(f"{patchwork}/runs.jsonl", size * 7 // 16, 1, run)
    write(f"{patchwork}/decision_traces.jsonl", size // 32, 2, decision)
    write(f"{patchwork}/commit_issue_links.jsonl", size // 32, 3, link)
    for port in PORTS:
        write(f"{ide}/activity-{port}.jsonl", size // 8, port, event)


main()
