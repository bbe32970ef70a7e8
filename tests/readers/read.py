"""Counts the rows of a bundle with Python.

Usage: read.py manifest|gzip|zlib|splitlines|duckdb BUNDLE

Prints one log a line, sorted: source, file, rows, and the sum of the rows' "id". `manifest` prints what the manifest
says instead, without the sum and without logs that have no rows.
"""

import gzip
import json
import sys
import zlib


def lines_by_gzip(bundle):
    """The module's usual way, line by line."""
    with gzip.open(bundle, "rt", encoding="utf-8") as lines:
        yield from lines


def lines_by_zlib(bundle):
    """One member and not a byte more."""
    with open(bundle, "rb") as file:
        member = zlib.decompressobj(wbits=31)
        text = member.decompress(file.read()) + member.flush()
    if not member.eof or member.unused_data:
        sys.exit("the bundle is not one gzip member")
    yield from text.decode("utf-8").removesuffix("\n").split("\n")


def lines_by_splitlines(bundle):
    """Whatever Unicode calls a line."""
    with gzip.open(bundle, "rt", encoding="utf-8", newline="") as text:
        yield from text.read().splitlines()


def counts_of_lines(lines):
    counts = {}
    manifest, *rows = map(json.loads, lines)
    if manifest["type"] != "manifest":
        sys.exit("the first line is no manifest")
    for row in rows:
        name = (row["source"], row.get("file", row["source"] + ".jsonl"))
        rows, ids = counts.get(name, (0, 0))
        entry = row["entry"]
        counts[name] = (rows + 1, ids + (entry.get("id", 0) if isinstance(entry, dict) else 0))
    return [(*name, *count) for name, count in counts.items()]


def counts_by_duckdb(bundle):
    import duckdb

    query = """
        SELECT source, coalesce(file, source || '.jsonl'), count(*), sum(coalesce((entry->>'$.id')::BIGINT, 0))
        FROM read_json($bundle, format = 'newline_delimited', compression = 'gzip',
                       columns = {source: 'VARCHAR', file: 'VARCHAR', entry: 'JSON'})
        WHERE source IS NOT NULL
        GROUP BY ALL
    """
    return duckdb.execute(query, {"bundle": bundle}).fetchall()


def counts_in_manifest(bundle):
    files = json.loads(next(lines_by_gzip(bundle)))["files"]
    return [(file["source"], file["relativePath"], file["count"]) for file in files if file["count"]]


def main():
    way, bundle = sys.argv[1:]
    readers = {
        "manifest": counts_in_manifest,
        "gzip": lambda bundle: counts_of_lines(lines_by_gzip(bundle)),
        "zlib": lambda bundle: counts_of_lines(lines_by_zlib(bundle)),
        "splitlines": lambda bundle: counts_of_lines(lines_by_splitlines(bundle)),
        "duckdb": counts_by_duckdb,
    }
    for line in sorted("\t".join(map(str, count)) for count in readers[way](bundle)):
        print(line)


main()
