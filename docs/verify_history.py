#!/usr/bin/env python3
"""Checks names, numbers, chain and checkpoints of a history, or the proof of a segment. Needs only Python 3.8 or newer.

Reads the first line of each segment; its SHA-256 proves the rows, which docs/verify_bundle.py checks."""
import argparse, base64, gzip, hashlib, json, os, re, sys, zlib
HASH, ID, COUNT = r"([0-9A-Za-z+/]{43}=\n)", r"([0-9a-f]{32})\n", r"(0|[1-9][0-9]*)\n"
sha = lambda data: hashlib.sha256(data).digest()

def need(holds, problem):
    if not holds:
        raise ValueError(problem)

def head(leaves):
    if len(leaves) < 2:
        return sha(b"".join(b"\0" + leaf for leaf in leaves))
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1" + head(leaves[:k]) + head(leaves[k:]))

def parts(path, pattern, kind):
    with open(path, encoding="utf-8", newline="") as file:
        found = re.fullmatch(pattern, file.read(), re.S)
    need(found, f"{path}: this is not a {kind}")
    return found[1], int(found[2]), *found.groups()[2:]

def first_line(path):
    with gzip.open(path) as text:
        line = text.readline()
    need(line.endswith(b"\n"), f"{path}: the first line is incomplete")
    place = json.loads(line).get("history")
    need(isinstance(place, dict), f"{path}: this bundle is not a segment of a history")
    return place, sha(line[:-1])

def check_history(directory, since):
    files = [(len(name), name, year) for year, _, names in os.walk(directory + "/segments") for name in names]
    segments = sorted(file for file in files if re.fullmatch(r"\d{9,}-[0-9a-f]{16}\.jsonl\.gz", file[1]))
    sealed = {os.path.join(year, name[:-4]) for _, name, year in files if name.endswith(".jsonl.gz.age")}
    for path in sorted(sealed - {os.path.join(year, name) for _, name, year in segments}):
        need(False, f"{path}.age: this segment is encrypted; in a copy of the history, write it to {path} with age -d")
    need(segments, f"{directory}: this is not a history: it has no segments/<year>/*.jsonl.gz")
    history, leaves, own = None, [], os.path.join(directory, "checkpoint")
    for number, (_, name, year) in enumerate(segments):
        place, digest = first_line(path := os.path.join(year, name))
        history = history or place["id"]
        need(place["id"] == history, f"{path}: this segment belongs to another history, {place['id']}")
        need(place["segment"] == number, f"{path}: this is segment {place['segment']}, but {number} is next")
        need(place.get("previous") == (leaves[-1].hex() if leaves else None), f"{path}: `previous` is another segment")
        need(name == f"{number:09}-{digest.hex()[:16]}.jsonl.gz", f"{path}: the name does not match the digest")
        leaves.append(digest)
    for path in [own] * os.path.exists(own) + [since] * bool(since):
        origin, size, root, _ = parts(path, "patchwork-traces/" + ID + COUNT + HASH + r"(\n.*)?", "checkpoint")
        need(origin == history, f"{path}: this checkpoint belongs to another history, {origin}")
        need(size <= len(leaves), f"{path}: the history was cut off: it had {size} segments, but has {len(leaves)}")
        need(head(leaves[:size]) == base64.b64decode(root), f"{path}: the history was rewritten before segment {size}")
    extends = f", extends {since}" if since else "; without --since, missing newest segments go unnoticed"
    return f"{directory}: consistent: {len(leaves)} segments of history {history}{extends}"

def check_proof(path, segment, since):
    history, number, size, hashes, _ = parts(path, f"patchwork-traces-proof 1\n{ID}{COUNT}{COUNT}({HASH}*)", "proof")
    origin, total, root, _ = parts(since, "patchwork-traces/" + ID + COUNT + HASH + r"(\n.*)?", "checkpoint")
    place, digest = first_line(segment)
    need(history == origin == place["id"], f"{path}: proof, segment and checkpoint are not of one history")
    need(int(size) == total, f"{path}: the proof is for {size.strip()} segments, but the checkpoint is for {total}")
    need(number == place["segment"], f"{path}: the proof is for segment {number}, not {place['segment']}")
    node, last, found = number, total - 1, sha(b"\0" + digest)
    for sibling in map(base64.b64decode, hashes.split()):
        is_right = node % 2 == 1 or node == last
        found = sha(b"\1" + (sibling + found if is_right else found + sibling))
        while is_right and node % 2 == 0 and last > 0:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    need(last == 0 and found == base64.b64decode(root), f"{path}: the proof does not lead from {segment} to {since}")
    return f"{segment}: segment {number} of the {total} of history {history}; its rows were not checked"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("history", nargs="?", default="", help="the directory of the history")
parser.add_argument("--since", metavar="CHECKPOINT", help="an older checkpoint that the history must extend")
parser.add_argument("--proof", nargs=3, metavar=("PROOF", "SEGMENT", "CHECKPOINT"), help="a proof to check instead")
options = parser.parse_args()
try:
    print(check_proof(*options.proof) if options.proof else check_history(options.history, options.since))
except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RecursionError, zlib.error) as error:
    sys.exit(f"FAILED: {error}")
