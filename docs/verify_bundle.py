#!/usr/bin/env python3
"""Checks a trace bundle and restores its logs. Needs only Python 3.8 or newer. Checks the gzip checksums, the manifest,
every chunk's CRC-32, every row, and every log's SHA-256, as FORMAT.md defines them. Does not check times, timelines,
`compressed`, or the `entry` of a row with an `original`: no restored byte depends on them."""
import argparse, base64, collections, gzip, hashlib, itertools, json, os, re, sys, zlib

DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RecursionError, zlib.error)
NAME = re.compile(r"(?!\.\.?\Z)[^/\\\x00-\x1f\x7f-\x9f]+")
MARK = re.compile(r"[ \t\r\n]*([{},:])?[ \t\r\n]*")
NUMBERS = {"parse_constant": lambda text: need(False, f"{text} is not JSON")}
KEYS = set("type version minor sources files totalCount source relativePath base count bytes sha256 lineEnding finalNewline unparsed"
           " chunks line text compressed rows crc32 file entry original".split())
DECODER = json.JSONDecoder(parse_int=str, parse_float=str, **NUMBERS)

def need(holds, problem):
    if not holds:
        raise ValueError(problem)

def unique(pairs):
    known = collections.Counter(key for key, _ in pairs if key in KEYS)  # other keys may occur twice
    return dict(pairs) if max(known.values(), default=1) == 1 else need(False, "a key occurs twice")

def reason(error):
    kinds = {KeyError: "missing key ", EOFError: "truncated: ", zlib.error: "gzip: ", gzip.BadGzipFile: "gzip: "}
    return kinds.get(type(error), "") + (str(error) or repr(error))

def exact_bytes(value):
    need(("text" in value) != ("bytes" in value), "not an exact line")
    data = value["text"].encode() if "text" in value else base64.b64decode(value["bytes"], validate=True)
    need("text" in value or base64.b64encode(data).decode() == value["bytes"], "malformed base64")
    return data

def parse_row(line):
    """Returns the keys of a row and the log it names. `entry` is its text in the bundle, unparsed."""
    row, mark, expected = {}, MARK.match(line), "{"
    while mark[1] != "}":
        need(mark[1] == expected, "not a row")
        key, end = DECODER.raw_decode(line, mark.end())
        mark, expected = MARK.match(line, end), ","
        need(mark[1] == ":" and (key not in row or key not in KEYS), "not a row")
        key.encode()  # fails for an unpaired surrogate
        row[key], end = DECODER.raw_decode(line, mark.end())
        text, mark = line[mark.end():end], MARK.match(line, end)
        if key in ("entry", "original"):
            row[key] = text.encode() if key == "entry" else exact_bytes(json.loads(text, object_pairs_hook=unique))
    need(mark.end() == len(line), "text follows the row")
    return row, (row["source"], row.get("file", row["source"] + ".jsonl"))

def parse_manifest(line):
    manifest = json.loads(line.decode(), object_pairs_hook=unique, **NUMBERS) if line[:1] == b"{" else {}
    need(manifest.get("type") == "manifest", "not a trace bundle")
    need(repr(manifest.get("version")) == "1", f"version {manifest.get('version')}; this script knows version 1")
    files = manifest["files"]
    for file in files:
        new_keys = file.keys() & {"base", "sha256", "lineEnding", "finalNewline"}
        base = file.setdefault("base", "activity" if file["source"] == "activity" else "patchwork")
        names, chunks = (file["source"], file["relativePath"]), file.get("chunks", [])
        need(len(new_keys) == (4 if manifest.get("minor") else 0), f"{names[1]}: its keys do not match format 1.0 or 1.1")
        is_sound = all(NAME.fullmatch(name) and len(name.encode()) < 256 for name in names)
        need(is_sound and base in ("patchwork", "activity"), f"bad name in {names}, or bad base {base!r}")
        rows = sum(chunk["rows"] for chunk in chunks if re.fullmatch("[0-9A-Fa-f]{8}", chunk["crc32"]))
        need(not chunks or rows == file["count"], f"{names[1]}: a malformed crc32, or chunks that do not have `count` rows")
    need(manifest["totalCount"] == sum(file["count"] for file in files), "totalCount is not the sum of all counts")
    need(manifest["sources"] == sorted({file["source"] for file in files}, key=str.encode), "wrong list of sources")
    return manifest

def rows_of(stream, chunks, problems):
    """Yields the rows, and compares each chunk of their lines with the manifest."""
    crc = size = rows = chunk = 0
    for number, line in enumerate(iter(lambda: stream.readline(1 << 29), b""), 2):
        need(line.endswith(b"\n") or not chunks, f"line {number}: its line feed is missing")
        try:
            yield parse_row(line.decode())
        except DAMAGE as error:
            raise ValueError(f"line {number}: {reason(error)}") from error
        crc, size, rows = zlib.crc32(line, crc), size + len(line), rows + 1
        if chunk < len(chunks) and rows == chunks[chunk]["rows"]:
            declared, found = chunks[chunk], f"{size} bytes with CRC-32 {crc:08x}"
            expected = f"{declared['bytes']} bytes with CRC-32 {declared['crc32'].lower()}"
            problems += [f"chunk {chunk + 1}, line {number}: found {found}, expected {expected}"] if found != expected else []
            crc, size, rows, chunk = 0, 0, 0, chunk + 1 if size == declared["bytes"] else len(chunks)

def restored(file, rows):
    """Yields the bytes of a log: FORMAT.md, "Restoring a log"."""
    row_ending = {"lf": b"\n", "crlf": b"\r\n"}[file.get("lineEnding", "lf")]
    unparsed = [(value["line"], exact_bytes(value)) for value in file.get("unparsed", [])][::-1]
    ending, number, count = b"", 1, 0
    for row in itertools.chain((row for row, _ in rows), [None]):
        while unparsed and (row is None or unparsed[-1][0] <= number):
            yield ending + unparsed[-1][1]
            ending, number = b"\n", number + unparsed.pop()[1].count(b"\n") + 1
        if row is not None:
            need("original" not in row or "sha256" in file, "`original` is not a key of format 1.0")
            yield ending + row.get("original", row["entry"])
            ending, number, count = b"\n" if "original" in row else row_ending, number + 1, count + 1
    yield ending if file.get("finalNewline", True) else b""
    need(count == file["count"], f"{count} rows found, {file['count']} declared")

def restore(file, rows, is_hashed, path):
    """Restores a log. Its name ends in `.unverified` until its SHA-256 is found to match."""
    sha256, size, (base, name) = hashlib.sha256(), 0, os.path.split(path or "")
    short_name = name.encode()[:244].decode(errors="ignore")  # a name has at most 255 bytes
    unverified = os.path.join(base, short_name + ".unverified") if path else os.devnull
    with open(unverified, "xb" if path else "wb") as out:
        for data in restored(file, rows):
            sha256.update(data)
            size += out.write(data)
    found = f"{size} bytes with SHA-256 {sha256.hexdigest()}"
    expected = f"{file['bytes']} bytes with SHA-256 {file['sha256'].lower()}" if is_hashed else found
    need(found == expected, f"found {found}, expected {expected}")
    need(is_hashed or size <= 6 * file["bytes"] + (64 << 20), "longer than any 1.0 log of this size can be")
    os.rename(unverified, path) if is_hashed and path else None

def verify(stream, args, problems):
    line = stream.readline(1 << 27).rstrip(b"\n")
    digest, manifest = hashlib.sha256(line).hexdigest(), parse_manifest(line)
    print(f"digest {digest} (SHA-256 of the manifest line, not of the file)")
    problems += [f"digest mismatch: expected {args.expect}"] if args.expect and args.expect.lower() != digest else []
    files, is_hashed = manifest["files"], manifest.get("minor", 0) > 0
    has_chunks = all(file.get("chunks") for file in files if file["count"])
    chunks = [chunk for file in files for chunk in file.get("chunks", []) if has_chunks]
    groups = itertools.groupby(rows_of(stream, chunks, problems), key=lambda row: row[1])
    log, rows = next(groups, (None, ()))
    [os.makedirs(os.path.join(args.extract, base), 0o700) for base in ("patchwork", "activity") if args.extract]
    for file in files:
        name, is_next = f"{file['base']}/{file['relativePath']}", log == (file["source"], file["relativePath"])
        try:
            restore(file, rows if is_next else (), is_hashed, args.extract and os.path.join(args.extract, name))
            print("OK        " if is_hashed else "UNVERIFIED", name)
        except DAMAGE as error:
            problems.append(f"{name}: {reason(error)}")
        log, rows = next(groups, (None, ())) if is_next else (log, rows)
    need(log is None, f"unexpected rows of {log}")
    return f"{manifest['totalCount']} rows, " + ("all logs match their SHA-256" if is_hashed else
            "as declared; format 1.0 has no SHA-256, so an edited row can't be told from an original one")

parser = argparse.ArgumentParser(description="Checks a trace bundle. Exit code 0: intact; 1: damaged or unreadable.")
parser.add_argument("bundle")
parser.add_argument("--expect", metavar="DIGEST", help="fail unless the first line has this SHA-256")
parser.add_argument("--extract", metavar="DIR", help="restore the logs into this new directory")
args, problems = parser.parse_args(), []
try:
    start = (file := open(args.bundle, "rb")).peek(4)[:4]
    need(start[:2] != b"\x1f\x8b" or start[3:] < b"\x20", "the gzip header has a reserved flag")
    result = verify(gzip.GzipFile(fileobj=file) if start[:2] == b"\x1f\x8b" else file, args, problems)
except DAMAGE as error:
    problems.append(reason(error))
failed = "".join(f"FAILED     {problem}\n" for problem in problems)
sys.exit(f"{failed}{args.bundle}: damaged, or not a bundle") if problems else print(f"{args.bundle}: {result}")
