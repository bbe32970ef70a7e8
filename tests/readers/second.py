"""A second implementation, written from FORMAT.md alone, checks a bundle against the logs that it was made of.

Usage: second.py BUNDLE PATCHWORK_DIR ACTIVITY_DIR

For every log: classifies its lines and compares what it would write with what the bundle has; restores the log from
the bundle and compares the bytes; reads every chunk by the index, each alone.
"""

import base64
import hashlib
import json
import os
import re
import sys
import zlib

TRIMMED = "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|u....|.)")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def check(holds, what):
    if not holds:
        sys.exit(what)


# --- Entry -----------------------------------------------------------------------------------------------------------


def depth(text):
    deepest = level = 0
    for bracket in re.findall(r"[][{}]", STRING.sub("", text)):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def not_json(name):
    raise ValueError(name)


def entry_of(line):
    """The entry that a line gives, or None when it is no row."""
    text = line.decode("utf-8", "replace").strip(TRIMMED)
    try:
        json.loads(text, parse_constant=not_json)
    except (ValueError, RecursionError):
        return None
    if depth(text) > 128:
        return None
    text = ESCAPE.sub(lambda escape: "\ufffd" if escape[1] else escape[0], text)
    for character in "\x85\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.replace("\r", " ")


def exact(value):
    return value["text"].encode() if "text" in value else base64.b64decode(value["bytes"], validate=True)


# --- Row -------------------------------------------------------------------------------------------------------------

DECODER = json.JSONDecoder()


def row_of(line):
    """The keys of a row, of which `entry` stays text."""
    keys, at = {}, line.index("{") + 1
    while line[at] != "}":
        key, at = DECODER.raw_decode(line, at)
        at = line.index(":", at) + 1
        value, end = DECODER.raw_decode(line, at)
        keys[key] = line[at:end] if key == "entry" else value
        at = end + (line[end] == ",")
    return keys


# --- Restoring a log -------------------------------------------------------------------------------------------------


def restored(file, rows):
    ending = {"lf": b"", "crlf": b"\r"}[file["lineEnding"]]
    lines, unparsed = [], list(file.get("unparsed", []))
    number = 1
    for row in rows:
        while unparsed and unparsed[0]["line"] <= number:
            text = exact(unparsed.pop(0))
            lines.append((text, b""))
            number += text.count(b"\n") + 1
        if "original" in row:
            lines.append((exact(row["original"]), b""))
        else:
            lines.append((row["entry"].encode(), ending))
        number += 1
    lines += [(exact(value), b"") for value in unparsed]
    ends = [before + b"\n" for _, before in lines]
    if ends and not file["finalNewline"]:
        ends[-1] = b""
    return b"".join(text + end for (text, _), end in zip(lines, ends))


# --- What the bundle must have ---------------------------------------------------------------------------------------


def check_classes(file, rows, log):
    """Compares each line of the log with its place in the bundle."""
    lines = log.split(b"\n")
    terminated = [True] * (len(lines) - 1) + [False]
    if not lines[-1]:
        lines.pop()
    ending = {"lf": b"", "crlf": b"\r"}[file["lineEnding"]]
    rows, others = iter(rows), {}
    for number, (line, has_lf) in enumerate(zip(lines, terminated), 1):
        entry = entry_of(line)
        if entry is None:
            others[number] = line
            continue
        row = next(rows, {})
        at = f"{file['relativePath']}: line {number}"
        check(row.get("entry") == entry, f"{at}: other entry")
        is_exact = entry.encode() + (ending if has_lf else b"") == line
        check(("original" in row) != is_exact, f"{at}: original")
        check(is_exact or exact(row["original"]) == line, f"{at}: other original")
    check(next(rows, None) is None, f"{file['relativePath']}: more rows")
    found = {}
    for value in file.get("unparsed", []):
        found.update(enumerate(exact(value).split(b"\n"), value["line"]))
    check(found == others, f"{file['relativePath']}: other unparsed lines")


def check_index(bundle, manifest_line, chunks):
    """Reads every chunk alone. Returns their text."""
    begin = len(bundle) - 10 - sum(chunk["compressed"] for chunk in chunks)
    check(bundle[:10] == bytes.fromhex("1f8b08000000000000ff"), "header")
    check(begin >= 14 and bundle[begin - 4 : begin] == b"\0\0\xff\xff", "no flush before the first chunk")
    check(bundle[-10:-8] == b"\x03\0", "no empty last block")
    text = b""
    for chunk in chunks:
        content = zlib.decompressobj(wbits=-15).decompress(bundle[begin : begin + chunk["compressed"]])
        check(len(content) == chunk["bytes"], "a chunk's bytes")
        check(content.count(b"\n") == chunk["rows"], "a chunk's rows")
        check(f"{zlib.crc32(content):08x}" == chunk["crc32"], "a chunk's crc32")
        text += content
        begin += chunk["compressed"]
    whole = manifest_line + b"\n" + text
    trailer = zlib.crc32(whole).to_bytes(4, "little") + (len(whole) & 0xFFFFFFFF).to_bytes(4, "little")
    check(bundle[-8:] == trailer, "trailer")
    return text


def main():
    path, *directories = sys.argv[1:]
    with open(path, "rb") as file:
        bundle = file.read()
    text = zlib.decompress(bundle, wbits=31)
    for separator in ["\r", "\x85", "\u2028", "\u2029"]:
        check(separator not in text.decode(), f"{separator!r} stands in the text")
    manifest_line, rest = text.split(b"\n", 1)
    manifest = json.loads(manifest_line)
    chunks = [chunk for file in manifest["files"] for chunk in file.get("chunks", [])]
    check(check_index(bundle, manifest_line, chunks) == rest, "the chunks are not all that follows the manifest")
    lines = rest.decode().split("\n")
    check(lines.pop() == "", "no LF at the end")
    for file in manifest["files"]:
        rows = [row_of(line) for line in lines[: file["count"]]]
        lines = lines[file["count"] :]
        name = (file["source"], file["relativePath"])
        for row in rows:
            check((row["source"], row.get("file", row["source"] + ".jsonl")) == name, f"{name}: a row of another log")
        with open(os.path.join(directories[file["base"] == "activity"], name[1]), "rb") as log:
            log = log.read()
        check(restored(file, rows) == log, f"{name}: not restored")
        check(len(log) == file["bytes"] and hashlib.sha256(log).hexdigest() == file["sha256"], f"{name}: sha256")
        check_classes(file, rows, log)
    check(not lines, "more rows than declared")
    print(f"{len(manifest['files'])} logs, {len(chunks)} chunks")


main()
