#!/usr/bin/env python3
"""A second reader of trace bundles, written from FORMAT.md alone, with Python's standard library.

    second.py suite DIR [--minor N] [--first]
    second.py verify BUNDLE...
    second.py check BUNDLE PATCHWORK_DIR ACTIVITY_DIR
"""
import base64
import datetime
import functools
import glob
import hashlib
import json
import os
import re
import sys
import zlib

# Limits
MAX_MANIFEST_BYTES = 134217728
MAX_REDACTION_ITEMS = 1000
MAX_FILES = 100000
MAX_LOG_LINE_BYTES = 268435456
MAX_ENVELOPE_BYTES = 536870912
MAX_CHUNK_BYTES = 541065217
MAX_COUNT = 9007199254740991
MAX_DEPTH = 128
MAX_NAME_BYTES = 255
MAX_TIMELINE_BINS = 64
MAX_REWRITTEN_RATIO = 6
MAX_GROWN_BYTES = 67108864
MAX_AROUND_BYTES = 1048576

METADATA_RULES = ("R-45", "R-55", "R-59")

class Fault(Exception):
    """One violated rule: Fault(rule, text)."""

class NotJson(Exception):
    pass

def fault_if(condition, rule, text):
    if condition:
        raise Fault(rule, text)

class Reader:
    """What one reader knows and has found: its minor version, the bundle's, and the faults (rule, text)."""

    def __init__(self, knows=2, verifies=True):
        self.knows = knows          # the minor version that the reader knows
        self.verifies = verifies    # true if it looks for metadata faults
        self.minor = knows          # the minor version as which it reads the bundle
        self.newer = False          # true if the bundle's minor version is higher than its own
        self.faults = []

    def fault(self, rule, text):
        self.faults.append((rule, text))

    def fault_if(self, condition, rule, text):
        if condition:
            self.fault(rule, text)

# JSON (RFC 8259). A value stays the text that stands in the bundle; nothing here recurses.

SPACE = " \t\n\r"
STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
TOKEN = re.compile(r"[ \t\n\r]*(?:([{}\[\],:])|(%s)|(?:%s|true|false|null))" % (STRING, NUMBER))

def scan(text, at):
    """Returns where the JSON value that begins at `at` ends, and how deep its arrays and objects nest."""
    stack, depth, want = [], 0, "value"
    while True:
        token = TOKEN.match(text, at)
        if not token:
            raise NotJson("not a JSON token at character %d" % at)
        at, mark, string = token.end(), token.group(1), token.group(2)
        if want == ",":
            if mark == ",":
                want = "key" if stack[-1] == "}" else "value"
                continue
            if mark != stack.pop():
                raise NotJson("neither a comma nor an end before character %d" % at)
        elif want in ("key", "key or end") and string:
            want = ":"
            continue
        elif want == ":" and mark == ":":
            want = "value"
            continue
        elif (want == "key or end" and mark == "}") or (want == "value or end" and mark == "]"):
            stack.pop()
        elif want in ("value", "value or end") and mark in ("{", "["):
            stack.append("}" if mark == "{" else "]")
            depth = max(depth, len(stack))
            want = "key or end" if mark == "{" else "value or end"
            continue
        elif want not in ("value", "value or end") or mark:
            raise NotJson("a %s is missing before character %d" % (want, at))
        if not stack:
            return at, depth
        want = ","

def skip_space(text, at):
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at

@functools.lru_cache(8192)
def whole_value(text):
    """Returns the one JSON value of a text, without the white space around it, and its depth."""
    start = skip_space(text, 0)
    end, depth = scan(text, start)
    if skip_space(text, end) != len(text):
        raise NotJson("text after the value")
    return text[start:end], depth

@functools.lru_cache(8192)
def elements(array):
    """Returns the texts of the elements of a JSON array."""
    found, at = [], skip_space(array, 1)
    while array[at] != "]":
        end, _ = scan(array, at)
        found.append(array[at:end])
        at = skip_space(array, end)
        at = skip_space(array, at + 1) if array[at] == "," else at
    return found

@functools.lru_cache(8192)
def members(obj):
    """Returns the pairs (key, text of the value) of a JSON object, in order, equal keys included."""
    found, at = [], skip_space(obj, 1)
    while obj[at] != "}":
        end, _ = scan(obj, at)
        key = json.loads(obj[at:end])
        at = skip_space(obj, skip_space(obj, end) + 1)
        end, _ = scan(obj, at)
        found.append((key, obj[at:end]))
        at = skip_space(obj, end)
        at = skip_space(obj, at + 1) if obj[at] == "," else at
    return found

# Forms of values: each takes the reader and the text of a value, and gives the value or raises a Fault.

def count(reader, raw):
    fault_if(not re.fullmatch("0|[1-9][0-9]*", raw), "R-1", "not a count: %.40s" % raw)
    fault_if(len(raw) > 16 or int(raw) > MAX_COUNT, "R-1", "a count above 2^53 - 1: %.40s" % raw)
    return int(raw)

def integer(reader, raw):
    fault_if(not re.fullmatch("0|-?[1-9][0-9]*", raw), "R-1", "not an integer: %.40s" % raw)
    fault_if(len(raw) > 20, "R-58", "an integer beyond 64 bits: %.40s" % raw)
    return int(raw)

def string(reader, raw):
    fault_if(not raw.startswith('"'), "R-6", "not a string: %.40s" % raw)
    value = json.loads(raw)
    fault_if(re.search("[\ud800-\udfff]", value), "R-7", "half of a surrogate pair: %.40s" % raw)
    return value

def pattern(rule, expression):
    def form(reader, raw):
        value = string(reader, raw)
        fault_if(not re.fullmatch(expression, value), rule, "of another form: %.80s" % raw)
        return value
    return form

def digest(reader, raw):
    return pattern("R-6", "[0-9a-fA-F]{64}")(reader, raw).lower()

def checksum(reader, raw):
    return int(pattern("R-6", "[0-9a-fA-F]{8}")(reader, raw), 16)

def name(reader, raw):
    value = string(reader, raw)
    fault_if(not 1 <= len(value.encode()) <= MAX_NAME_BYTES, "R-23", "a name of no or of too many bytes")
    if re.search("[/\\\\\x00-\x1f\x7f-\x9f]", value):
        raise Fault("R-23", "a name with a slash, backslash or control character: %.80s" % raw)
    fault_if(value in (".", ".."), "R-23", "the name of a directory: %s" % raw)
    return value

def boolean(reader, raw):
    fault_if(raw not in ("true", "false"), "R-6", "not a boolean: %.40s" % raw)
    return raw == "true"

def anything(reader, raw):
    return raw

def array_of(form, most=None, least=0):
    def array(reader, raw):
        fault_if(not raw.startswith("["), "R-6", "not an array: %.40s" % raw)
        values = elements(raw)
        fault_if(most is not None and len(values) > most, "R-72", "an array of %d elements" % len(values))
        fault_if(len(values) < least, "R-6", "an array of too few elements")
        return [form(reader, value) for value in values]
    return array

def pair_of(first, second):
    def pair(reader, raw):
        values = array_of(anything)(reader, raw)
        fault_if(len(values) != 2, "R-6", "not a pair: %.40s" % raw)
        return first(reader, values[0]), second(reader, values[1])
    return pair

def object_of(table, check=None):
    """Returns the form of an object with these keys: (key, since which minor version, MUST, form of its value)."""
    keys = {key: (since, must, form) for key, since, must, form in table}

    def obj(reader, raw):
        fault_if(not raw.startswith("{"), "R-6", "not an object: %.40s" % raw)
        found = {}
        for key, value in members(raw):
            fault_if(re.search("[\ud800-\udfff]", key), "R-7", "half of a surrogate pair in a key")
            if key not in keys or keys[key][0] > reader.knows:
                continue
            fault_if(key in found, "R-4", "the key %s twice" % key)
            fault_if(value == "null" and key != "entry", "R-3", "null for the key %s" % key)
            try:
                found[key] = keys[key][2](reader, value)
            except Fault as fault:
                raise Fault(fault.args[0], "%s: %s" % (key, fault.args[1]))
        for key in ("unparsed", "chunks"):                                  # an empty array is not there
            if found.get(key) == []:
                del found[key]
        for key in found:
            fault_if(keys[key][0] > reader.minor, "R-27", "the key %s is of a later minor version" % key)
        for key, (since, must, _) in keys.items():
            fault_if(must and since <= reader.minor and key not in found, "R-6", "the key %s is missing" % key)
        if check:
            check(reader, found)
        return found
    return obj

# Times

FIRST_MS = -62135596800000      # 0001-01-01T00:00:00Z
END_MS = 253370764800000        # 9999-01-01T00:00:00Z, after the last time
TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
                  r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))")

def rfc3339(value):
    """Returns the milliseconds of a time of the grammar, or None (R-54)."""
    match = TIME.fullmatch(value)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    offset_hour, offset_minute = int(match.group(9) or 0), int(match.group(10) or 0)
    try:        # Python's dates have no year 0; 400 years are 146097 days
        days = datetime.date(2000 + year % 400, month, day).toordinal() + (year // 400 - 5) * 146097
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        return None
    second = min(second, 59)
    offset = offset_hour * 60 + offset_minute
    if match.group(8) == "-":
        offset = -offset
    seconds = (days - datetime.date(1970, 1, 1).toordinal()) * 86400 + hour * 3600 + (minute - offset) * 60 + second
    nanoseconds = seconds * 10 ** 9 + int((match.group(7) or "").ljust(9, "0"))
    milliseconds = nanoseconds // 10 ** 6 if nanoseconds >= 0 else -(-nanoseconds // 10 ** 6)   # towards 1970
    return milliseconds if FIRST_MS <= milliseconds < END_MS else None

def time(reader, raw):
    milliseconds = rfc3339(string(reader, raw))
    fault_if(milliseconds is None, "R-54", "not a time: %.60s" % raw)
    return milliseconds

def created_at(raw):
    """Returns the time of a number of milliseconds, or None. Every integer within the years is exact as a double, too."""
    if raw[0] not in "-0123456789":
        return None
    number = float(raw)
    if number != number or abs(number) > 1e18:
        return None
    milliseconds = int(number)
    return milliseconds if FIRST_MS <= milliseconds < END_MS else None

def timestamp(raw):
    return rfc3339(json.loads(raw)) if raw.startswith('"') else None

KNOWN_SOURCES = {
    "runs": ("createdAt",),
    "decision_traces": ("createdAt",),
    "commit_issue_links": ("createdAt",),
    "activity": ("timestamp",),
}

def time_of(source, entry):
    """Returns the time of a row in milliseconds, or None."""
    if not entry.startswith("{"):
        return None
    last = dict(members(entry))         # of equal keys the last one counts
    for key in KNOWN_SOURCES.get(source, ("createdAt", "timestamp")):
        if key in last:
            milliseconds = created_at(last[key]) if key == "createdAt" else timestamp(last[key])
            if milliseconds is not None:
                return milliseconds
    return None

def is_in_other_form(source, entry):
    """Returns True if a row has a string in place of a time that programs may read or not (R-56)."""
    if not entry.startswith("{") or "timestamp" not in KNOWN_SOURCES.get(source, ("timestamp",)):
        return False
    return any(key == "timestamp" and raw[0] == '"' and timestamp(raw) is None for key, raw in members(entry))

# Timeline

STEPS = [1000 * s for s in (1, 2, 10, 30, 60, 120, 600, 1800, 3600, 7200, 21600, 43200)]
STEPS += [86400000 * d for d in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536, 262144)]

def bins_of(times, step):
    bins = {}
    for milliseconds in times:
        bins[milliseconds // step] = bins.get(milliseconds // step, 0) + 1
    return sorted(bins.items())

def timeline_of(times):
    """Returns the timeline with the finest step, as a writer makes it, or None."""
    for step in STEPS:
        bins = bins_of(times, step)
        if len(bins) <= MAX_TIMELINE_BINS:
            return {"stepMs": step, "bins": [list(pair) for pair in bins]} if bins else None

def check_timeline(reader, timeline):
    step, bins = timeline["stepMs"], timeline["bins"]
    fault_if(step not in STEPS, "R-57", "not a step of a timeline: %d" % step)
    fault_if(any(one[0] >= two[0] for one, two in zip(bins, bins[1:])), "R-57", "bins not in order, or one twice")
    for number, rows in bins:
        fault_if(not -2 ** 63 <= number * step < 2 ** 63, "R-58", "a bin beyond 64 bits")
        fault_if(rows > 0 and (number + 1) * step <= FIRST_MS, "R-58", "rows before the year 1")
        fault_if(rows > 0 and number * step >= END_MS, "R-58", "rows after the year 9998")

# Exact lines

def base64_bytes(reader, raw):
    value = string(reader, raw)
    try:
        data = base64.b64decode(value.encode(), validate=True)
    except ValueError:
        raise Fault("R-48", "not base64")
    fault_if(base64.b64encode(data).decode() != value, "R-48", "not the base64 of its bytes")
    return data

def utf8(reader, raw):
    return string(reader, raw).encode()

def check_exact(reader, found):
    fault_if(("text" in found) == ("bytes" in found), "R-47", "both `text` and `bytes`, or neither")
    found["exact"] = found["text"] if "text" in found else found["bytes"]

def check_unparsed(reader, found):
    check_exact(reader, found)
    fault_if(found["line"] < 1, "R-6", "a line 0")
    found["lines"] = found["exact"].split(b"\n")

# Minor version 2

def label(reader, raw):
    value = string(reader, raw)
    fault_if(not 1 <= len(value.encode()) <= 255, "R-6", "a label of no or of too many bytes")
    fault_if(re.search("[\x00-\x1f\x7f-\x9f]", value), "R-6", "a label with a control character")
    return value

def check_history(reader, history):
    if ("previous" in history) != (history["segment"] != 0):
        raise Fault("R-67", "`previous` in segment 0, or none in a later one")

def check_gap(reader, gap):
    ids = [number for pair in gap.get("missingIds", []) for number in pair]
    if any(first > last for first, last in gap.get("missingIds", [])):
        raise Fault("R-6", "a pair of missing ids is not in order")
    if any(last >= first for last, first in zip(ids[1::2], ids[2::2])):
        raise Fault("R-6", "pairs of missing ids are not in order")

def check_follows(reader, file):
    follows = file["follows"]
    state, before = follows["state"], follows["rowsBefore"]
    fault_if(("log" in follows) != (state != "absent"), "R-69", "`log` with `absent`, or none with another state")
    if "log" in follows and follows["log"]["rows"] > follows["overlap"] + file["count"]:
        raise Fault("R-69", "`log.rows` is above `overlap` plus `count`")
    fault_if(("gap" in follows) != (state == "gap"), "R-70", "`gap` with another state, or none with `gap`")
    known = before + file["count"]
    fault_if("gap" in follows and follows["gap"]["afterRow"] > known, "R-70", "`gap.afterRow` is above all known rows")
    fault_if(follows["overlap"] > before, "R-71", "`overlap` is above `rowsBefore`")
    fault_if(follows["trimmed"] > before, "R-71", "`trimmed` is above `rowsBefore`")
    fault_if(state == "first" and before != 0, "R-71", "`rowsBefore` is not 0 with `first`")
    fault_if(state in ("unchanged", "absent") and file["count"] != 0, "R-71", "rows with `unchanged` or `absent`")
    fault_if(state == "absent" and file["bytes"] != 0, "R-71", "`bytes` with `absent`")
    fault_if(state == "absent" and follows["overlap"] != 0, "R-71", "`overlap` with `absent`")

# Manifest: the tables

TIMELINE = object_of([
    ("stepMs", 1, True, count),
    ("bins", 1, True, array_of(pair_of(integer, count), MAX_TIMELINE_BINS)),
], check_timeline)
UNPARSED = object_of([
    ("line", 1, True, count),
    ("text", 1, False, utf8),
    ("bytes", 1, False, base64_bytes),
], check_unparsed)
CHUNK = object_of([
    ("compressed", 1, True, count),
    ("bytes", 1, True, count),
    ("rows", 1, True, count),
    ("crc32", 1, True, checksum),
    ("firstTime", 1, False, time),
    ("lastTime", 1, False, time),
])
LOG = object_of([("bytes", 2, True, count), ("rows", 2, True, count), ("sha256", 2, True, digest)])
GAP = object_of([
    ("afterRow", 2, True, count),
    ("afterTime", 2, False, time),
    ("beforeTime", 2, False, time),
    ("missingIds", 2, False, array_of(pair_of(count, count), 64)),
], check_gap)
FOLLOWS = object_of([
    ("state", 2, True, pattern("R-6", "first|continues|unchanged|gap|altered|absent")),
    ("rowsBefore", 2, True, count),
    ("overlap", 2, True, count),
    ("trimmed", 2, True, count),
    ("log", 2, False, LOG),
    ("gap", 2, False, GAP),
])
FILE_KEYS = [
    ("source", 0, True, name),
    ("relativePath", 0, True, name),
    ("base", 1, True, pattern("R-6", "patchwork|activity")),
    ("count", 0, True, count),
    ("bytes", 0, True, count),
    ("sha256", 1, True, digest),
    ("lineEnding", 1, True, pattern("R-6", "lf|crlf")),
    ("finalNewline", 1, True, boolean),
    ("firstTime", 1, False, time),
    ("lastTime", 1, False, time),
    ("timeline", 1, False, TIMELINE),
    ("unparsed", 1, False, array_of(UNPARSED)),
    ("chunks", 1, False, array_of(CHUNK)),
    ("follows", 2, False, FOLLOWS),
]
DERIVED_FROM = object_of([
    ("how", 2, True, pattern("R-6", "merged|filtered|redacted")),
    ("bundles", 2, True, array_of(digest, MAX_FILES, 1)),
])
REDACTION = object_of([
    ("rules", 2, True, count),
    ("only", 2, False, array_of(string, MAX_REDACTION_ITEMS)),
    ("skip", 2, False, array_of(string, MAX_REDACTION_ITEMS)),
    ("rulesFile", 2, False, digest),
    ("keyId", 2, False, pattern("R-6", "[0-9a-f]{16}")),
    ("sources", 2, False, array_of(string, MAX_REDACTION_ITEMS)),
    ("drop", 2, False, array_of(string, MAX_REDACTION_ITEMS)),
    ("keepOnly", 2, False, array_of(string, MAX_REDACTION_ITEMS)),
    ("replaced", 2, True, count),
    ("lines", 2, True, count),
])
HISTORY = object_of([
    ("id", 2, True, pattern("R-6", "[0-9a-f]{32}")),
    ("segment", 2, True, count),
    ("previous", 2, False, digest),
], check_history)
MANIFEST = object_of([
    ("type", 0, True, string),
    ("version", 0, True, count),
    ("minor", 0, False, count),         # without it, the bundle is of 1.0 (R-27 finds the keys of 1.1)
    ("generator", 1, True, string),
    ("exportedAt", 0, True, time),
    ("sources", 0, True, array_of(name)),
    ("files", 0, True, array_of(object_of(FILE_KEYS))),
    ("totalCount", 0, True, count),
    ("label", 2, False, label),
    ("derivedFrom", 2, False, DERIVED_FROM),
    ("filter", 2, False, array_of(string, MAX_FILES, 1)),
    ("redaction", 2, False, REDACTION),
    ("history", 2, False, HISTORY),
])

# Manifest: the rules below the tables

def check_sums(reader, manifest):
    if manifest["totalCount"] != sum(file["count"] for file in manifest["files"]):
        reader.fault("R-29", "`totalCount` is not the sum of all `count`")
    if sum(file["bytes"] for file in manifest["files"]) > MAX_COUNT:    # imply the other sums
        reader.fault("R-37", "the sum of all `bytes` is above 2^53 - 1")

def check_sources(reader, manifest):
    sources = sorted({file["source"].encode() for file in manifest["files"]})
    if [source.encode() for source in manifest["sources"]] != sources:
        reader.fault("R-30", "`sources` is not the sorted list of the sources of `files`")

def check_names(reader, manifest):
    for key in ("source", "base"):
        names = [(file[key], file["relativePath"]) for file in manifest["files"]]
        reader.fault_if(len(set(names)) != len(names), "R-31", "two files share `%s` and `relativePath`" % key)

def check_chunk_numbers(reader, file):
    if "chunks" in file and sum(chunk["rows"] for chunk in file["chunks"]) != file["count"]:
        reader.fault("R-32", "`rows` of the chunks do not add up to `count`")
    for chunk in file.get("chunks", []):
        reader.fault_if(chunk["rows"] < 1, "R-33", "a chunk without rows")
        reader.fault_if(chunk["bytes"] < 25 * chunk["rows"], "R-33", "a chunk with less than 25 bytes for a row")
        reader.fault_if(chunk["bytes"] > MAX_CHUNK_BYTES, "R-33", "a chunk that is too long")
        reader.fault_if(not 1 <= chunk["compressed"] <= 2 * MAX_CHUNK_BYTES, "R-33", "`compressed` is 0 or too much")

def check_unparsed_lines(reader, file):
    free = 1
    for part in file.get("unparsed", []):
        reader.fault_if(part["line"] < free, "R-34", "`unparsed` is not in order, or names a line twice")
        free = part["line"] + len(part["lines"])
    reader.fault_if(free - 1 > number_of_lines(file), "R-34", "`unparsed` names a line beyond the last one")

def number_of_lines(file):
    return file["count"] + sum(len(part["lines"]) for part in file.get("unparsed", []))

def check_bytes(reader, file):
    reader.fault_if(file["bytes"] < number_of_lines(file), "R-35", "less `bytes` than lines")
    reader.fault_if(number_of_lines(file) == 0 and file["bytes"] != 0, "R-35", "`bytes` without lines")
    reader.fault_if(number_of_lines(file) == 0 and not file["finalNewline"], "R-35", "no `finalNewline` without lines")

def check_timeline_rows(reader, file):
    if "timeline" in file and sum(rows for _, rows in file["timeline"]["bins"]) > file["count"]:
        reader.fault("R-36", "the timeline counts more rows than `count`")

def read_manifest(reader, raw):
    """Returns the manifest, or None if it has a fault."""
    before = len(reader.faults)
    try:
        minor = dict(members(raw)).get("minor", "0")
        if re.fullmatch("0|[1-9][0-9]*", minor):    # anything else is found as a fault below
            reader.newer = len(minor) > 9 or int(minor) > reader.knows
            reader.minor = reader.knows if reader.newer else int(minor)
        manifest = MANIFEST(reader, raw)
        for file in manifest["files"]:
            if reader.minor < 1:            # Version 1.0
                file["base"] = "activity" if file["source"] == "activity" else "patchwork"
            if ("follows" in file) != ("history" in manifest):
                raise Fault("R-68", "`follows` without `history`, or the other way")
            if "follows" in file:
                check_follows(reader, file)
    except Fault as fault:
        reader.fault(*fault.args)
        return None
    check_sums(reader, manifest)
    check_sources(reader, manifest)
    check_names(reader, manifest)
    for file in manifest["files"]:
        check_chunk_numbers(reader, file)
        check_unparsed_lines(reader, file)
        check_timeline_rows(reader, file)
        if reader.minor >= 1:
            check_bytes(reader, file)
    return manifest if len(reader.faults) == before else None

def without_chunks(manifest):
    """Returns true if the chunks of all files count for nothing."""
    return any(file["count"] > 0 and "chunks" not in file for file in manifest["files"])

def chunks_of(manifest):
    """Returns the chunks of all files, in order."""
    if without_chunks(manifest):
        return []
    return [chunk for file in manifest["files"] for chunk in file.get("chunks", [])]

# Entry

TRIMMED = "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" \
          "\u2028\u2029\u202f\u205f\u3000\ufeff"
ESCAPE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
                    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.")

@functools.lru_cache(8192)
def entry_of(line):
    """Returns the text of the entry that a writer makes of a line, or None for an unparsed line."""
    text = line.decode("utf-8", "replace")                                          # step 1
    text = text.strip(TRIMMED)                                                      # step 2
    try:
        text, depth = whole_value(text)                                             # step 3
    except NotJson:
        return None
    if depth > MAX_DEPTH:
        return None
    text = ESCAPE.sub(lambda match: "\ufffd" if match.group(1) else match.group(), text)        # step 4
    text = text.replace("\x85", "\\u0085")
    text = text.replace("\u2028", "\\u2028")
    text = text.replace("\u2029", "\\u2029")
    return text.replace("\r", " ")

# Row

ROW = object_of([
    ("source", 0, True, string),
    ("file", 0, False, string),
    ("entry", 0, True, anything),
    ("original", 1, False, object_of([("text", 1, False, utf8), ("bytes", 1, False, base64_bytes)], check_exact)),
])

def longest_row(reader, manifest):
    """Returns the number of bytes that a row's line can have ("Limits")."""
    if reader.minor >= 1:
        return MAX_ENVELOPE_BYTES
    longest_log = max([MAX_REWRITTEN_RATIO * file["bytes"] + MAX_GROWN_BYTES for file in manifest["files"]] or [0])
    return min(longest_log, MAX_LOG_LINE_BYTES) + MAX_AROUND_BYTES

def read_row(reader, line):
    """Returns the row of a line of the bundle, with `file` filled in. Raises a Fault."""
    try:
        raw, _ = whole_value(line.decode("utf-8"))
    except (NotJson, UnicodeDecodeError) as problem:
        raise Fault("R-41", "a line is not JSON: %s" % problem)
    row = ROW(reader, raw)
    row.setdefault("file", row["source"] + ".jsonl")
    return row

def read_rows(reader, manifest, lines):
    """Sets file["rows"] of each file, to None if one of its rows has a fault."""
    at, longest = 0, longest_row(reader, manifest)
    for file in manifest["files"]:
        file["rows"] = []
        for number in range(1, file["count"] + 1):
            if at == len(lines):
                reader.fault("R-41", "%s: rows are missing" % file["relativePath"])
                file["rows"] = None
                break
            at += 1
            try:
                fault_if(len(lines[at - 1]) > longest, "R-72", "the line is too long")
                row = read_row(reader, lines[at - 1])
                if (row["source"], row["file"]) != (file["source"], file["relativePath"]):
                    raise Fault("R-38", "a row of another file")
                if len(row["original"]["exact"] if "original" in row else row["entry"].encode()) > MAX_LOG_LINE_BYTES:
                    raise Fault("R-72", "the log's line is too long")
                if file["rows"] is not None:
                    file["rows"].append(row)
            except Fault as fault:
                reader.fault(fault.args[0], "%s, row %d: %s" % (file["relativePath"], number, fault.args[1]))
                file["rows"] = None
    reader.fault_if(at < len(lines), "R-41", "more lines than rows (%d)" % (len(lines) - at))

# Metadata faults

def check_entries(reader, file):
    for number, row in enumerate(file["rows"], 1):
        line = row["original"]["exact"] if "original" in row else row["entry"].encode()
        if entry_of(line) != row["entry"]:
            reader.fault("R-45", "%s, row %d: not the entry of its line" % (file["relativePath"], number))
        reader.fault_if(b"\n" in line, "R-45", "%s, row %d: an LF in its line" % (file["relativePath"], number))

def check_unparsed_is_no_row(reader, file):
    for part in file.get("unparsed", []):
        if any(entry_of(line) is not None for line in part["lines"]):
            reader.fault("R-45", "%s: an unparsed line is a row" % file["relativePath"])

def check_times(reader, what, times):
    times = [milliseconds for milliseconds in times if milliseconds is not None]
    if "firstTime" in what and what["firstTime"] != min(times, default=None):
        reader.fault("R-55", "`firstTime` is not the earliest time of the rows")
    if "lastTime" in what and what["lastTime"] != max(times, default=None):
        reader.fault("R-55", "`lastTime` is not the latest time of the rows")

def check_bins(reader, file, times):
    if "timeline" in file:
        bins = [(number, rows) for number, rows in file["timeline"]["bins"] if rows]
        if bins != bins_of([one for one in times if one is not None], file["timeline"]["stepMs"]):
            reader.fault("R-59", "%s: the timeline is not that of the rows" % file["relativePath"])

def check_metadata(reader, manifest):
    for file in manifest["files"]:
        check_unparsed_is_no_row(reader, file)
        if file["rows"] is None:
            continue
        check_entries(reader, file)
        if file["source"] not in KNOWN_SOURCES or reader.newer:
            continue
        times = [time_of(file["source"], row["entry"]) for row in file["rows"]]
        unsure = [is_in_other_form(file["source"], row["entry"]) for row in file["rows"]]
        if not any(unsure):
            check_times(reader, file, times)
            check_bins(reader, file, times)
        at = 0
        for chunk in file.get("chunks", []) if chunks_of(manifest) else []:
            end = at + chunk["rows"]
            if not any(unsure[at:end]):
                check_times(reader, chunk, times[at:end])
            at = end

# Restoring a log

def restore(file, rows):
    ending = b"\r" if file["lineEnding"] == "crlf" else b""
    lines, number, unparsed = [], 1, list(file.get("unparsed", []))
    for row in rows:
        while unparsed and unparsed[0]["line"] <= number:
            part = unparsed.pop(0)
            lines += [(line, b"") for line in part["lines"]]
            number += len(part["lines"])
        if "original" in row:
            lines.append((row["original"]["exact"], b""))
        else:
            lines.append((row["entry"].encode(), ending))
        number += 1
    for part in unparsed:
        lines += [(line, b"") for line in part["lines"]]
    log = b"".join(text + ending + b"\n" for text, ending in lines[:-1])
    if lines:
        log += lines[-1][0]
    if lines and file["finalNewline"]:
        log += lines[-1][1] + b"\n"
    return log

def restore_1_0(file, rows):
    return b"".join(row["entry"].encode() + b"\n" for row in rows)

# Container

HEADER = bytes.fromhex("1f8b08000000000000ff")
END = b"\x03\x00"

def header_end(data, at):
    """Returns where the deflate data of the member at `at` begin; None if its header is cut off. Raises a Fault."""
    if len(data) < at + 10:
        return None
    method, flags = data[at + 2], data[at + 3]
    fault_if(method != 8, "R-20", "a gzip header of another method")
    fault_if(flags & 0xe0, "R-20", "a gzip header with a reserved flag")
    end = at + 10
    if flags & 4:                               # FEXTRA
        end += 2 + int.from_bytes(data[end:end + 2], "little")
    for flag in (8, 16):                        # FNAME, FCOMMENT
        if flags & flag:
            zero = data.find(b"\0", end)
            if zero < 0:
                return None
            end = zero + 1
    if end + (2 if flags & 2 else 0) > len(data):
        return None
    if flags & 2:                               # FHCRC
        fault_if(int.from_bytes(data[end:end + 2], "little") != zlib.crc32(data[at:end]) & 0xffff, "R-20", "a wrong FHCRC")
        end += 2
    return end

def inflate(data):
    """Inflates deflate data as far as it goes. Returns the text, and what follows the data: None if it fails."""
    inflater = zlib.decompressobj(-15)
    try:
        text = inflater.decompress(data)
        return text, inflater.unused_data if inflater.eof else None
    except zlib.error:
        pass
    inflater, text = zlib.decompressobj(-15), []
    try:
        for at in range(len(data)):         # byte by byte, so that all that comes before the error is given
            rest = data[at:at + 1]
            while rest or text[-1:] != [b""]:
                text.append(inflater.decompress(rest, 1))
                rest = inflater.unconsumed_tail
    except zlib.error:
        pass
    return b"".join(text), None

def read_gzip(reader, data):
    """Returns the text of a gzip file, and whether inflating did not fail."""
    text, at = [], 0
    reader.members, reader.padded = 0, False
    while data[at:at + 2] == b"\x1f\x8b":
        try:
            begin = header_end(data, at)
        except Fault as fault:
            reader.fault(*fault.args)
            return b"".join(text), False
        part, rest = inflate(data[begin:]) if begin is not None else (b"", None)
        text.append(part)
        reader.members += 1
        if rest is None or len(rest) < 8:
            reader.fault("R-22", "a member does not inflate or is cut off")
            return b"".join(text), False
        reader.fault_if(int.from_bytes(rest[:4], "little") != zlib.crc32(part), "R-22", "a wrong CRC-32 of a member")
        if int.from_bytes(rest[4:8], "little") != len(part) & 0xffffffff:
            reader.fault("R-22", "a wrong length of a member")
        at = len(data) - len(rest) + 8
    reader.padded = at < len(data)
    reader.fault_if(data[at:].strip(b"\0"), "R-22", "other bytes than zeros after the last member")
    return b"".join(text), True

def inflate_part(data):
    """Returns what a part inflates to by itself; None if it does not, or does not end where a block that is not the
    last one ends."""
    inflater = zlib.decompressobj(-15)
    try:
        text = inflater.decompress(data)
        if inflater.eof:                        # a block marked as the last
            return None
        after = inflater.decompress(END)        # ends the data, and inflates to nothing, only at the border of a block
        return text if inflater.eof and not after and not inflater.unused_data else None
    except zlib.error:
        return None

def flushed(part, text):
    """Returns true if a part inflates to `text` by itself and ends with a full flush."""
    return part.endswith(b"\0\0\xff\xff") and inflate_part(part) == text

def chunk_places(data, chunks):
    """Returns where each chunk begins in the bundle file, and where the last one ends."""
    places = [len(data) - 10 - sum(chunk["compressed"] for chunk in chunks)]
    for chunk in chunks:
        places.append(places[-1] + chunk["compressed"])
    return places

def as_a_writer_makes_it(data, line, text, chunks):
    """Returns true if the container is as a writer makes it; `line` is the manifest with its LF."""
    if not data.startswith(HEADER):
        return False
    if data[-10:-8] != END:                                             # R-18; with R-17 it implies R-16
        return False
    places, at = chunk_places(data, chunks), len(line)
    if places[0] < 10 or not flushed(data[10:places[0]], line):
        return False
    for begin, end, chunk in zip(places, places[1:], chunks):
        if not flushed(data[begin:end], text[at:at + chunk["bytes"]]):
            return False
        at += chunk["bytes"]
    return True

# Chunks and seeking

def check_chunks(reader, chunks, rest):
    """Checks the chunks in `rest`, the text after the manifest. (R-32 and R-41 find what follows the last chunk.)"""
    at = 0
    for number, chunk in enumerate(chunks, 1):
        lines = rest[at:at + chunk["bytes"]]
        at += chunk["bytes"]
        reader.fault_if(len(lines) != chunk["bytes"], "R-64", "chunk %d: the text ends in it" % number)
        reader.fault_if(lines.count(b"\n") != chunk["rows"], "R-64", "chunk %d: another number of rows" % number)
        reader.fault_if(zlib.crc32(lines) != chunk["crc32"], "R-64", "chunk %d: another checksum" % number)
        if not lines.endswith(b"\n"):       # R-42, too
            reader.fault("R-64", "chunk %d: its last line does not end" % number)

def multiply(one, two):
    """Returns the product of two polynomials modulo that of CRC-32, bits reversed."""
    product, bit = 0, 1 << 31
    while bit:
        if one & bit:
            product ^= two
        two = (two >> 1) ^ 0xedb88320 if two & 1 else two >> 1
        bit >>= 1
    return product

def crc32_combine(first, second, length):
    """Returns the CRC-32 of two texts, from that of each and the length of the second."""
    power = 1 << 23                             # x^8
    while length:
        if length & 1:
            first = multiply(power, first)
        power = multiply(power, power)
        length >>= 1
    return first ^ second

def index_fits(data, line, chunks):
    begin = chunk_places(data, chunks)[0]
    if not data.startswith(HEADER) or begin < 10:                       # 1
        return False
    if inflate_part(data[10:begin]) != line:                         # 1
        return False
    if data[-10:-8] != END:                                             # 2
        return False
    length = len(line) + sum(chunk["bytes"] for chunk in chunks)
    if int.from_bytes(data[-4:], "little") != length & 0xffffffff:      # 3
        return False
    crc = zlib.crc32(line)
    for chunk in chunks:
        crc = crc32_combine(crc, chunk["crc32"], chunk["bytes"])
    return int.from_bytes(data[-8:-4], "little") == crc                 # 4

def read_by_index(data, chunks):
    """Returns the lines of all chunks, each read alone, the last one first; None if one does not inflate so."""
    places, texts = chunk_places(data, chunks), []
    for begin, end, chunk in reversed(list(zip(places, places[1:], chunks))):
        text = inflate_part(data[begin:end])
        if text is None or len(text) != chunk["bytes"] or zlib.crc32(text) != chunk["crc32"]:
            return None
        texts.insert(0, text)
    return b"".join(texts)

# Verdicts

class Result:
    def __init__(self, verdict, reader, why="", manifest=None, logs=None):
        self.verdict, self.faults, self.why = verdict, reader.faults, why
        self.manifest, self.logs = manifest, logs or {}
        self.damage = None
        if verdict == "damaged":
            metadata = manifest and all(rule in METADATA_RULES for rule, _ in self.faults)
            self.damage = "metadata" if metadata else "content" if manifest else "manifest"

def restore_logs(reader, manifest):
    """Returns the logs that are proven (of 1.0: what the rows give, if there is no fault at all)."""
    logs = {}
    for file in manifest["files"]:
        if file["rows"] is None:
            continue
        path = file["base"] + "/" + file["relativePath"]
        if reader.minor < 1:
            log = restore_1_0(file, file["rows"])
            if len(log) > MAX_REWRITTEN_RATIO * file["bytes"] + MAX_GROWN_BYTES:
                reader.fault("R-75", "%s: longer than a log of 1.0 can be" % path)
            logs[path] = log
            continue
        log = restore(file, file["rows"])
        proven = True
        if len(log) != file["bytes"]:
            reader.fault("R-52", "%s: another length" % path)
            proven = False
        if hashlib.sha256(log).hexdigest() != file["sha256"]:
            reader.fault("R-52", "%s: another digest" % path)
            proven = False
        if proven:
            logs[path] = log
    if reader.minor < 1 and reader.faults:
        return {}
    return logs

def read_text(reader, manifest, chunks, rest):
    """Reads all that follows the manifest, and returns the logs."""
    check_chunks(reader, chunks, rest)
    lines = rest.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    read_rows(reader, manifest, lines)
    if reader.verifies and reader.minor >= 1:
        check_metadata(reader, manifest)
    return restore_logs(reader, manifest)

def too_many(raw):
    """Returns true if step 10 refuses the manifest: `files` or `sources`, each there once, has too many elements."""
    lists = [(key, value) for key, value in members(raw) if key in ("files", "sources")]
    if sorted(key for key, _ in lists) != ["files", "sources"]:
        return False
    return any(value.startswith("[") and len(elements(value)) > MAX_FILES for _, value in lists)

def verdict(data, reader, by_index=False):
    """Takes the steps of "Verdicts". Returns None by index if the index does not fit."""
    if not data:                                                        # 1
        return Result("refused", reader, "empty")
    packed = data.startswith(b"\x1f\x8b")
    if not packed and not data.startswith(b"{"):                        # 2
        return Result("refused", reader, "neither gzip nor a manifest")
    written = data.startswith(HEADER)
    text, ended = read_gzip(reader, data) if packed else (data, True)
    if not text and not ended:                                          # 3
        return Result("damaged", reader)
    if not text.startswith(b"{"):                                       # 4
        return Result("damaged" if written else "refused", reader, "the text does not begin with {")
    line, line_feed, rest = text.partition(b"\n")
    if len(line) > MAX_MANIFEST_BYTES:                                  # 5, also where inflating fails later
        return Result("refused", reader, "the manifest is too long")
    if not line_feed and not ended:                                     # 6
        return Result("damaged", reader)
    try:
        raw, _ = whole_value(line.decode("utf-8"))
    except (NotJson, UnicodeDecodeError):                               # 7
        return Result("damaged" if written or b'"manifest"' in line else "refused", reader, "not JSON")
    last = dict(members(raw))
    if not last.get("type", "").startswith('"') or json.loads(last["type"]) != "manifest":      # 8
        return Result("damaged" if "source" in last and "entry" in last else "refused", reader, "not a manifest")
    if last.get("version", "null") not in ("null", "1"):                # 9
        return Result("refused", reader, "version %.20s, not 1" % last["version"])
    if too_many(raw):                                                   # 10
        return Result("refused", reader, "too many files or sources")
    manifest = read_manifest(reader, raw)
    if manifest is None:
        return Result("damaged", reader)
    chunks = chunks_of(manifest)
    if by_index:
        reader.faults = []          # of the container the indexed reader knows what R-62 checks
        if not chunks or not index_fits(data, line + b"\n", chunks):
            return None
        rest = read_by_index(data, chunks)
        if rest is None:
            return None
    logs = read_text(reader, manifest, chunks, rest)
    if reader.faults:                                                   # 11
        return Result("damaged", reader, "", manifest, logs)
    if reader.minor == 0:                                               # 12
        return Result("intactWithoutHashes", reader, "", manifest, logs)
    other = not packed or reader.members > 1 or reader.padded or not text.endswith(b"\n")
    if other or not (without_chunks(manifest) or as_a_writer_makes_it(data, line + line_feed, text, chunks)):   # 13
        return Result("intactRecompressed", reader, "", manifest, logs)
    return Result("intact", reader, "", manifest, logs)                 # 14

# Conformance

def sha256(data):
    return hashlib.sha256(data).hexdigest()

def read_file(path):
    with open(path, "rb") as file:
        return file.read()

def unproven(result):
    """Returns the logs that a reader gave though their bytes differ from the manifest's sha256."""
    files = result.manifest["files"] if result.manifest else []
    digests = {file["base"] + "/" + file["relativePath"]: file.get("sha256") for file in files}
    return [path for path, log in result.logs.items() if sha256(log) != digests.get(path)]

def check_bundle(data, expected, knows):
    """Returns what is wrong when a sequential and an indexed reader read a bundle of the suite."""
    failures, sound = [], expected["verdict"] not in ("damaged", "refused")
    proven, damage = expected["logs"], expected.get("damage")
    result = verdict(data, Reader(knows))
    older = expected.get("minMinor", 0) > knows
    if older:
        sound, damage = True, None      # whatever a newer reader finds
        if result.verdict not in ("intact", "intactRecompressed"):
            failures.append("verdict %s, not sound: %s" % (result.verdict, result.faults))
    elif (result.verdict, result.damage) != (expected["verdict"], damage):
        failures.append("verdict %s %s, not %s %s: %s" % (
            result.verdict, result.damage, expected["verdict"], damage, result.faults or result.why))
    by_index = verdict(data, Reader(knows, verifies=False), by_index=True)
    if result.verdict == "intact" and chunks_of(result.manifest) and by_index is None:
        failures.append("the index does not fit")
    for kind, got in (("sequential", result), ("indexed", by_index)):
        if got is None:
            continue
        if sound:
            if got.faults:
                failures.append("%s: not accepted: %s" % (kind, got.faults))
            elif older and (unproven(got) or len(got.logs) != len(got.manifest["files"])):
                failures.append("%s: not all logs" % kind)
            elif not older and {path: sha256(log) for path, log in got.logs.items()} != proven:
                failures.append("%s: other logs" % kind)
        elif damage in (None, "manifest"):
            if got.logs or got.manifest:
                failures.append("%s: something of a bundle of which nothing may be given" % kind)
        elif unproven(got):
            failures.append("%s: logs that differ from their digest: %s" % (kind, unproven(got)))
        elif damage == "content" and got.damage != "content":
            failures.append("%s: the damage is not reported" % kind)
    return failures

def vector_entry(vector):
    line = base64.b64decode(vector["lineBase64"])
    entry = entry_of(line)
    needed = entry is not None and entry.encode() != line
    return entry == vector["entry"] and needed == bool(vector.get("original"))

def vector_restore(vector):
    reader = Reader()
    table = object_of([(key, since, False, form) for key, since, _, form in FILE_KEYS])
    file = table(reader, json.dumps(vector["file"]))
    rows = [read_row(reader, row.encode()) for row in vector["rows"]]
    return restore(file, rows) == base64.b64decode(vector["logBase64"])

VECTORS = {
    "entries.json": vector_entry,
    "times.json": lambda vector: time_of(vector["source"], vector["entry"]) == vector["time"],
    "manifest_times.json": lambda vector: rfc3339(vector["value"]) == vector["time"],
    "timelines.json": lambda vector: timeline_of(vector["times"]) == vector["timeline"],
    "restore.json": vector_restore,
}

def cases(directory, knows):
    """Yields (name, function) of each bundle and each vector of a suite; the function returns what is wrong."""
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*.jsonl.gz"))):
        data, expected = read_file(path), json.loads(read_file(path[:-len(".jsonl.gz")] + ".json"))
        yield os.path.basename(path), lambda data=data, expected=expected: check_bundle(data, expected, knows)
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "vectors", "*.json"))):
        name = os.path.basename(path)
        for number, vector in enumerate(json.loads(read_file(path))):
            test = VECTORS[name]
            yield ("%s, element %d" % (name, number),
                   lambda test=test, vector=vector: [] if test(vector) else [json.dumps(vector)])

def suite(directory, knows, only_first):
    number = failures = 0
    for number, (name, case) in enumerate(cases(directory, knows), 1):
        try:
            found = case()
        except Exception as problem:        # a reader must not stop at any bundle
            found = ["%s: %s" % (type(problem).__name__, problem)]
        for failure in found:
            print("%s: %.300s" % (name, failure))
        failures += len(found)
        if failures and only_first:
            return 1
    if not failures:
        print("%d bundles and vectors, read with minor version %d" % (number, knows))
    return 1 if failures or not number else 0

def verify(paths):
    for path in paths:
        result = verdict(read_file(path), Reader())
        print(json.dumps({
            "verdict": result.verdict,
            "damage": result.damage,
            "faults": [{"rule": rule, "what": what} for rule, what in result.faults],
            "logs": {path: sha256(log) for path, log in result.logs.items()},
        }))
    return 0

# Check: a bundle that a writer made of these logs

def logs_of(patchwork, activity):
    """Returns the logs that a writer takes, as (base, source, name) in the order of "Sources" (R-25)."""
    found = [("patchwork", "runs", "runs.jsonl.1")]
    found += [("patchwork", source, source + ".jsonl") for source in ("runs", "decision_traces", "commit_issue_links")]
    names = sorted(os.listdir(activity), key=os.fsencode)
    found += [("activity", "activity", name) for name in names
              if re.fullmatch(r"activity(-log|-[0-9]+)?\.jsonl", name, re.IGNORECASE)]
    known = [name for _, _, name in found[:4]]
    for name in sorted(os.listdir(patchwork), key=os.fsencode):
        if name.endswith(".jsonl") and name not in known:
            found.append(("patchwork", name if name[:-6] in KNOWN_SOURCES else name[:-6], name))
    directories = {"patchwork": patchwork, "activity": activity}
    return [(base, source, name, os.path.join(directories[base], name)) for base, source, name in found
            if os.path.isfile(os.path.join(directories[base], name))]

def exact_form(line):
    try:
        return "text" if "\0" not in line.decode("utf-8") else "bytes"
    except UnicodeDecodeError:
        return "bytes"

def check_lines(file, log):
    """Checks that each line of a log is in the bundle as "Entry" says, and returns the failures."""
    failures, rows = [], iter(file["rows"])
    unparsed = {}
    for part in file.get("unparsed", []):
        for number, line in enumerate(part["lines"], part["line"]):
            unparsed[number] = (line, "text" if "text" in part else "bytes")
    lines = log.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, line in enumerate(lines, 1):
        entry = entry_of(line)
        if entry is None:
            if unparsed.pop(number, None) != (line, exact_form(line)):
                failures.append("line %d: not unparsed, or not in the right form" % number)
            continue
        row = next(rows, None)
        if row is None or row["entry"] != entry:
            failures.append("line %d: another entry" % number)
            continue
        last = number == len(lines) and not log.endswith(b"\n")
        ending = b"\r" if file["lineEnding"] == "crlf" and not last else b""
        if ("original" in row) != (entry.encode() + ending != line):
            failures.append("line %d: `original` without need, or none" % number)
        if "original" in row and (row["original"]["exact"] != line or exact_form(line) not in row["original"]):
            failures.append("line %d: `original` is not the line, or of another form" % number)
    if next(rows, None) is not None or unparsed:
        failures.append("more rows or unparsed lines than the log has")
    if file["lineEnding"] != ("crlf" if log.partition(b"\n")[0].endswith(b"\r") and b"\n" in log else "lf"):
        failures.append("another `lineEnding`")
    if file["finalNewline"] != (not log or log.endswith(b"\n")):
        failures.append("another `finalNewline`")
    return failures

def first_and_last(times):
    times = [one for one in times if one is not None]
    return min(times, default=None), max(times, default=None)

def check_file_times(file):
    """Checks that all times and timelines are there and are those of the rows, and returns the failures."""
    if any(is_in_other_form(file["source"], row["entry"]) for row in file["rows"]):
        return []
    times = [time_of(file["source"], row["entry"]) for row in file["rows"]]
    failures, at = [], 0
    if (file.get("firstTime"), file.get("lastTime")) != first_and_last(times):
        failures.append("other times than the rows")
    timeline = file.get("timeline")
    if timeline:
        timeline = {"stepMs": timeline["stepMs"], "bins": [list(pair) for pair in timeline["bins"]]}
    if timeline != timeline_of([one for one in times if one is not None]):
        failures.append("another timeline")
    for chunk in file.get("chunks", []):
        part = times[at:at + chunk["rows"]]
        at += chunk["rows"]
        if (chunk.get("firstTime"), chunk.get("lastTime")) != first_and_last(part):
            failures.append("a chunk with other times than its rows")
    return failures

def row_as_written(raw, source):
    """Returns a row as a writer writes it, with the texts of its values (R-39, R-43)."""
    values = dict(members(raw))
    if "original" in values:
        values["original"] = "{%s}" % ",".join('"%s":%s' % pair for pair in members(values["original"]))
    keys = [key for key in ("source", "file", "entry", "original") if key in values]
    if source == "activity" and "file" not in values:
        return None
    return "{%s}" % ",".join('"%s":%s' % (key, values[key]) for key in keys)

def check_writer(text):
    """Checks the rules for writers that no reader checks, and returns the failures."""
    failures = []
    line, _, rest = text.decode("utf-8").partition("\n")
    if re.search("[\r\x85\u2028\u2029]", text.decode("utf-8")):
        failures.append("R-8: a line separator that is not an escape")
    for key in ("sha256", "crc32"):
        if re.search('"%s":"[0-9a-f]*[A-F]' % key, line):
            failures.append("R-2: %s in upper case" % key)
    for key in ("firstTime", "lastTime", "exportedAt"):
        for value in re.findall('"%s":"([^"]*)"' % key, line):
            if not re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z", value):
                failures.append("R-53: %s" % value)
    for number, row in enumerate(rest.split("\n")[:-1], 1):
        if row != row_as_written(row, json.loads(dict(members(row))["source"])):
            failures.append("R-39 or R-43: row %d" % number)
    return failures

def check(bundle, patchwork, activity):
    data = read_file(bundle)
    result = verdict(data, Reader())
    if result.verdict != "intact":
        print("%s: %s" % (result.verdict, result.faults or result.why))
        return 1
    failures, files = check_writer(read_gzip(Reader(), data)[0]), result.manifest["files"]
    logs = logs_of(patchwork, activity)
    if [(file["base"], file["source"], file["relativePath"]) for file in files] != [log[:3] for log in logs]:
        print("other logs, or in another order, than in the directories")
        return 1
    for file, (base, _, name, path) in zip(files, logs):
        log = read_file(path)
        if result.logs[base + "/" + name] != log:
            failures.append("%s: not restored byte for byte" % path)
        if bool(file.get("chunks")) != (file["count"] > 0):
            failures.append("%s: rows without chunks, or chunks without rows" % path)
        failures += ["%s: %s" % (path, failure) for failure in check_lines(file, log) + check_file_times(file)]
    chunks = chunks_of(result.manifest)
    if chunks and verdict(data, Reader(), by_index=True) is None:
        failures.append("the chunks cannot be read alone")
    for failure in failures:
        print(failure)
    if not failures:
        print("%d logs, %d chunks" % (len(logs), len(chunks)))
    return 1 if failures else 0

def main(arguments):
    if len(arguments) >= 2 and arguments[0] == "suite":
        knows = int(arguments[arguments.index("--minor") + 1]) if "--minor" in arguments else 2
        return suite(arguments[1], knows, "--first" in arguments)
    if len(arguments) >= 2 and arguments[0] == "verify":
        return verify(arguments[1:])
    if len(arguments) == 4 and arguments[0] == "check":
        return check(*arguments[1:])
    print(__doc__.strip(), file=sys.stderr)
    return 2

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
