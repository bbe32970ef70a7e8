#!/usr/bin/env python3
"""Shows that the conformance suite catches plausible bugs: puts one after another into second.py, and runs the suite.

    mutate.py DIR [NAME...]

Prints the bugs that no bundle or vector of DIR catches, and exits with 1 if there are any. With NAMEs, it only tries
the bugs whose names contain one of them.
"""
import functools
import os
import sys
import tempfile
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 60                # seconds for one bug
CRASHES = "may crash"       # marks a bug that may raise an exception: this counts as caught, too

TRIM = r'''"\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a" \
          "\u2028\u2029\u202f\u205f\u3000\ufeff"'''
TRIMMED = [r"\x0b", r"\x0c", r"\xa0", r"\u1680", r"\u2000", r"\u2001", r"\u2002", r"\u2003",
           r"\u2004", r"\u2005", r"\u2006", r"\u2007", r"\u2008", r"\u2009", r"\u200a", r"\u2028", r"\u2029",
           r"\u202f", r"\u205f", r"\u3000", r"\ufeff"]
NOT_TRIMMED = [r"\0", r"\x08", r"\x1c", r"\x1f", r"\x7f", r"\x85", r"\u180e", r"\u200b", r"\u2060", r"\ufffe"]

# Tab, CR and space are not in TRIMMED: a JSON parser skips them in any case. Nor does the list have bugs that change neither a
# verdict nor a restored log, as another check finds the same: the flush of the last part, the manifest's place, the length
# and checksum of a chunk that is read alone (its log's SHA-256 proves it), a line 0, white space before plain text, rows
# of an absent log (which has no bytes).
# Each bug: name, old text (once in second.py), new text, and perhaps CRASHES.
BUGS = [("trim: U+%s is kept" % c.strip("\\"), TRIM, TRIM.replace(c, "", 1)) for c in TRIMMED]
BUGS += [("trim: U+%s is cut" % c.strip("\\"), TRIM, '"%s" ' % c + TRIM) for c in NOT_TRIMMED]

# JSON and forms
BUGS += [
    ("JSON: NaN is a number", "true|false|null))", "true|false|null|NaN))"),
    ("JSON: Infinity is a number", "true|false|null))", "true|false|null|-?Infinity))"),
    ("JSON: a number may begin with 0", 'r"-?(?:0|[1-9][0-9]*)', 'r"-?(?:[0-9]+)'),
    ("JSON: a number may begin with +", 'r"-?(?:0|', 'r"[-+]?(?:0|'),
    ("JSON: a number may end with a point", r'(?:\.[0-9]+)?(?:[eE]', r'(?:\.[0-9]*)?(?:[eE]'),
    ("JSON: an exponent may be empty", '[eE][+-]?[0-9]+)?"', '[eE][+-]?[0-9]*)?"'),
    ("JSON: E is refused", '[eE][+-]?[0-9]+)?"', '[e][+-]?[0-9]+)?"'),
    ("JSON: an exponent's + is refused", '[eE][+-]?[0-9]+)?"', '[eE]-?[0-9]+)?"'),
    ("JSON: control characters in strings", r'''STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"''',
     r'''STRING = r'"[^"\\]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*)*"''', CRASHES),
    ("JSON: a tab in strings", r'''STRING = r'"[^"\\\x00-\x1f]*''', r'''STRING = r'"[^"\\\x00-\x08\x0a-\x1f]*''', CRASHES),
    ("JSON: U+007F in strings is refused", r'''STRING = r'"[^"\\\x00-\x1f]*''', r'''STRING = r'"[^"\\\x00-\x1f\x7f]*'''),
    ("JSON: the escape \\/ is refused", r'''["\\/bfnrt]''', r'''["\\bfnrt]'''),
    ("JSON: every escape is accepted", r'''(?:["\\/bfnrt]|u''', r'''(?:[^u]|u''', CRASHES),
    ("JSON: hexadecimal digits in upper case are refused", r'|u[0-9a-fA-F]{4})[^"', r'|u[0-9a-f]{4})[^"'),
    ("JSON: a comma may stand before an end", '''                want = "key" if stack[-1] == "}" else "value"''',
     '''                want = "key or end" if stack[-1] == "}" else "value or end"''', CRASHES),
    ("JSON: text after the value", '''    if skip_space(text, end) != len(text):''', '''    if False:'''),
    ("JSON: U+00A0 is white space", r'''[ \t\n\r]*(?:([{}''', r'''[ \t\n\r\xa0]*(?:([{}''', CRASHES),
    ("JSON: a brace may close a bracket", '''            if mark != stack.pop():''', '''            stack.pop()
            if mark not in ("}", "]"):''', CRASHES),
    ("R-1: a count above 2^53 - 1", ' or int(raw) > MAX_COUNT, "R-1"', ', "R-1"'),
    ("R-1: a count of 2^53 - 1 is refused", 'int(raw) > MAX_COUNT, "R-1"', 'int(raw) >= MAX_COUNT, "R-1"'),
    ("R-1: a count as a fraction", '''re.fullmatch("0|[1-9][0-9]*", raw), "R-1"''', '''re.fullmatch(r"(0|[1-9][0-9]*)(\\.0)?", raw), "R-1"''', CRASHES),
    ("R-1: a count that is -0", '''re.fullmatch("0|[1-9][0-9]*", raw), "R-1"''', '''re.fullmatch("-?0|[1-9][0-9]*", raw), "R-1"'''),
    ("R-1: a count with an exponent", '''re.fullmatch("0|[1-9][0-9]*", raw), "R-1", "not a count: %.40s" % raw)
''', '''re.fullmatch("0|[1-9][0-9]*(e[0-9])?", raw), "R-1", "not a count: %.40s" % raw)
    raw = str(int(float(raw)))
'''),
    ("R-1: a count as a string", '''def count(reader, raw):
''', '''def count(reader, raw):
    raw = raw.strip('"')
'''),
    ("R-1: a bin as a fraction", '''    fault_if(not re.fullmatch("0|-?[1-9][0-9]*", raw), "R-1"''', '''    raw = str(int(float(raw)))
    fault_if(not re.fullmatch("0|-?[1-9][0-9]*", raw), "R-1"'''),
    ("R-1: a bin that is -0", '''"0|-?[1-9][0-9]*", raw), "R-1"''', '''"-?0|-?[1-9][0-9]*", raw), "R-1"'''),
    ("R-1: negative bins are refused", '''"0|-?[1-9][0-9]*", raw), "R-1"''', '''"0|[1-9][0-9]*", raw), "R-1"'''),
    ("R-2: digests in upper case are refused", '''"[0-9a-fA-F]{64}")''', '''"[0-9a-f]{64}")'''),
    ("R-2: digests are compared with their case", "(reader, raw).lower()       # R-2", "(reader, raw)"),
    ("R-2: checksums in upper case are refused", '''"[0-9a-fA-F]{8}")''', '''"[0-9a-f]{8}")'''),
    ("R-2: a checksum of 7 digits", '''"[0-9a-fA-F]{8}")''', '''"[0-9a-fA-F]{1,8}")'''),
    ("R-6: a digest of any length", '''"[0-9a-fA-F]{64}")''', '''"[0-9a-fA-F]*")'''),
    ("R-6: a digest of any letters", '''"[0-9a-fA-F]{64}")''', '''"[0-9a-zA-Z]{64}")'''),
    ("R-3: null is accepted", '''fault_if(value == "null" and key != "entry", "R-3", "null for the key %s" % key)''',
     '''if value == "null" and key != "entry":
                continue'''),
    ("R-3: null for an entry is refused", '''value == "null" and key != "entry", "R-3"''', '''value == "null", "R-3"'''),
    ("R-4: of equal keys the last one counts", '''            fault_if(key in found, "R-4", "the key %s twice" % key)
''', ""),
    ("R-4: of equal keys the first one counts", '''            fault_if(key in found, "R-4", "the key %s twice" % key)
''', '''            if key in found:
                continue
'''),
    ("R-4: keys are compared with their escapes", "        key = json.loads(obj[at:end])", "        key = obj[at + 1:end - 1]"),
    ("R-5: unknown keys are refused", '''            if key not in keys or keys[key][0] > reader.knows:              # R-5
''', '''            fault_if(key not in keys, "R-5", "an unknown key")
            if keys[key][0] > reader.knows:
'''),
    ("R-5: unknown keys must be there once", '''            if key not in keys or keys[key][0] > reader.knows:              # R-5
                continue
''', '''            if key not in keys or keys[key][0] > reader.knows:
                fault_if(key in found, "R-4", "an unknown key twice")
                found[key] = value
                continue
''', CRASHES),
    ("R-5: unknown keys must have no null", '''            if key not in keys or keys[key][0] > reader.knows:              # R-5
''', '''            fault_if(value == "null" and key != "entry", "R-3", "null for an unknown key")
            if key not in keys or keys[key][0] > reader.knows:
'''),
    ("R-5: unknown values must be valid Unicode", '''            if key not in keys or keys[key][0] > reader.knows:              # R-5
''', '''            fault_if(key not in keys and re.search("[\\ud800-\\udfff]", str(json.loads(value))), "R-7", "surrogate")
            if key not in keys or keys[key][0] > reader.knows:
''', CRASHES),
    ("R-5: unknown values must nest at most 127 deep", '''            if key not in keys or keys[key][0] > reader.knows:              # R-5
''', '''            fault_if(key not in keys and scan(value, 0)[1] > 127, "R-5", "an unknown value nests too deep")
            if key not in keys or keys[key][0] > reader.knows:
'''),
    ("R-5: keys of the next minor version are checked", "keys[key][0] > reader.knows:              # R-5", "False:"),
    ("R-6: missing keys are accepted", '''            fault_if(must and since <= reader.minor and key not in found, "R-6", "the key %s is missing" % key)''',
     '''            pass''', CRASHES),
    ("R-6: keys of 1.1 are missing in 1.0", "must and since <= reader.minor and key not in found", "must and key not in found"),
    ("R-6: an empty array is there", '''            if found.get(key) == []:
                del found[key]
''', '''            pass
'''),
    ("R-6: an empty `chunks` is there", '''("unparsed", "chunks"):''', '''("unparsed",):'''),
    ("R-6: a string for a boolean", '''raw not in ("true", "false")''', '''raw.strip('"') not in ("true", "false")'''),
    ("R-6: a number for a boolean", '''    fault_if(raw not in ("true", "false"), "R-6", "not a boolean: %.40s" % raw)
    return raw == "true"''', '''    return raw not in ("false", "0", "null", '""')'''),
    ("R-6: any type for a string", '''    fault_if(not raw.startswith('"'), "R-6", "not a string: %.40s" % raw)
    value = json.loads(raw)''', '''    value = json.loads(raw) if raw.startswith('"') else raw'''),
    ("R-6: a pair of three", "len(values) != 2", "len(values) < 2"),
    ("R-7: half of a surrogate pair in a string", '''    fault_if(re.search("[\\ud800-\\udfff]", value), "R-7", "half of a surrogate pair: %.40s" % raw)
''', '''    value = re.sub("[\\ud800-\\udfff]", "\\ufffd", value)
'''),
    ("R-7: half of a surrogate pair in a key", '''            fault_if(re.search("[\\ud800-\\udfff]", key), "R-7", "half of a surrogate pair in a key")
''', ""),
    ("R-7: every escape of a surrogate is refused", '''    value = json.loads(raw)
    fault_if(re''', '''    value = json.loads(raw)
    fault_if(re.search("\\\\\\\\u[dD][89a-fA-F]", raw), "R-7", "an escape of a surrogate")
    fault_if(re'''),
    ("R-8: a separator in the manifest is refused", '''    last = dict(members(raw))
    if not''', '''    if re.search("[\\r\\x85\\u2028\\u2029]", raw):
        return Result("damaged", reader)
    last = dict(members(raw))
    if not'''),
    ("R-8: lines end at U+2028, too", '''    lines = rest.split(b"\\n")
''', '''    lines = [line.encode() for line in re.split("[\\n\\u2028]", rest.decode("utf-8", "replace"))]
'''),
    ("R-8: lines end at CR, too", '''    lines = rest.split(b"\\n")
''', '''    lines = rest.replace(b"\\r", b"\\n").split(b"\\n")
'''),
]

# Verdicts
BUGS += [
    ("step 1: an empty file is damaged", '''        return Result("refused", reader, "empty")''', '''        return Result("damaged", reader)'''),
    ("step 2: a byte order mark is skipped", '''    packed = data.startswith''', '''    data = data.removeprefix(b"\\xef\\xbb\\xbf")
    packed = data.startswith'''),
    ("step 3: refused", '''    if not text and not ended:                                          # 3
        return Result("damaged", reader)''', '''    if not text and not ended:
        return Result("refused", reader)'''),
    ("step 4: no `{` is always refused", '''"damaged" if written else "refused", reader, "the text does''', '''"refused", reader, "the text does'''),
    ("step 4: no `{` is always damaged", '''"damaged" if written else "refused", reader, "the text does''', '''"damaged", reader, "the text does'''),
    ("step 4: white space may stand before the manifest", '''    if not text.startswith(b"{"):''', '''    if not text.lstrip().startswith(b"{"):'''),
    ("step 4: the header's ten bytes are not all compared", '''written = data.startswith(HEADER)''', '''written = data.startswith(HEADER[:4])'''),
    ("step 6: a manifest that is cut off is read", '''    if not line_feed and not ended:                                     # 6''', '''    if False:'''),
    ("step 6: refused", '''    if not line_feed and not ended:                                     # 6
        return Result("damaged", reader)''', '''    if not line_feed and not ended:
        return Result("refused", reader)'''),
    ("step 6: the first line must end", '''    if not line_feed and not ended:                                     # 6''', '''    if not line_feed:'''),
    ("step 7: text that is not JSON is always refused", '''"damaged" if written or b'"manifest"' in line else "refused"''', '''"refused"'''),
    ("step 7: the header is not looked at", '''written or b'"manifest"' in line''', '''b'"manifest"' in line'''),
    ("step 7: `manifest` in quotes is not looked for", '''written or b'"manifest"' in line''', '''written'''),
    ("step 7: manifest without quotes", '''written or b'"manifest"' in line''', '''written or b'manifest' in line'''),
    ("step 7: invalid UTF-8 is replaced", '''        raw, _ = whole_value(line.decode("utf-8"))
    except (NotJson, UnicodeDecodeError):                               # 7''', '''        raw, _ = whole_value(line.decode("utf-8", "replace"))
    except (NotJson, UnicodeDecodeError):'''),
    ("step 8: always refused", '''"damaged" if "source" in last and "entry" in last else "refused"''', '''"refused"'''),
    ("step 8: the header decides", '''"damaged" if "source" in last and "entry" in last else "refused"''', '''"damaged" if written else "refused"'''),
    ("step 8: `entry` is not looked for", '''"source" in last and "entry" in last''', '''"source" in last'''),
    ("step 8: `source` is not looked for", '''"source" in last and "entry" in last''', '''"entry" in last'''),
    ("step 8: `type` is compared with its escapes", '''not last.get("type", "").startswith('"') or json.loads(last["type"]) != "manifest"''', '''last.get("type", "") != '"manifest"\''''),
    ("step 8: `type` is not looked at", '''    if not last.get("type", "").startswith('"') or json.loads(last["type"]) != "manifest":''', '''    if not last.get("type", "").startswith('"'):'''),
    ("step 8: the first `type` counts", '''    last = dict(members(raw))
    if not''', '''    last = dict(reversed(members(raw)))
    if not'''),
    ("step 9: version 1.0", '''not in ("null", "1")''', '''not in ("null", "1", "1.0")'''),
    ("step 9: version as a string", '''not in ("null", "1")''', '''not in ("null", "1", '"1"')''', CRASHES),
    ("step 9: null is refused", '''not in ("null", "1")''', '''not in ("1",)''', CRASHES),
    ("step 9: version 2", '''not in ("null", "1")''', '''not in ("null", "1", "2")'''),
    ("step 9: version 0", '''not in ("null", "1")''', '''not in ("null", "1", "0")'''),
    ("step 9: no version is refused", '''last.get("version", "null") not in''', '''last.get("version", "2") not in''', CRASHES),
    ("steps 7 and 9 are swapped: faults before the version", '''    if last.get("version", "null") not in ("null", "1"):                # 9''',
     '''    if last.get("version", "null") not in ("null", "1") and read_manifest(reader, raw):'''),
    ("step 10: not left out", '''    if too_many(raw):                                                   # 10''', '''    if False:'''),
    ("step 10: 100000 is refused", "len(elements(value)) > MAX_FILES for", "len(elements(value)) >= MAX_FILES for"),
    ("step 10: sources are not counted", '''value.startswith("[") and len(elements(value)) > MAX_FILES for _, value in lists''',
     '''value.startswith("[") and len(elements(value)) > MAX_FILES for key, value in lists if key == "files"'''),
    ("step 10: files are not counted", '''value.startswith("[") and len(elements(value)) > MAX_FILES for _, value in lists''',
     '''value.startswith("[") and len(elements(value)) > MAX_FILES for key, value in lists if key != "files"'''),
    ("step 10: counts a key that is there twice", '''sorted(key for key, _ in lists) != ["files", "sources"]''', '''False'''),
    ("steps 10 and 11 are swapped: faults before the limit", '''    if too_many(raw):                                                   # 10''', '''    if too_many(raw) and read_manifest(reader, raw):'''),
    ("step 12: after step 13", '''    if reader.minor == 0:                                               # 12
        return Result("intactWithoutHashes", reader, "", manifest, logs)
''', ""),
    ("step 12: only without `minor`", '''    if reader.minor == 0:                                               # 12''', '''    if "minor" not in last:'''),
    ("step 13: plain text is intact", "other = not packed or reader.members > 1 or reader.padded or", "other = packed and (reader.members > 1 or reader.padded) or"),
    ("step 13: several members are intact", "reader.members > 1 or", ""),
    ("step 13: zeros after the last member are intact", "reader.padded or", ""),
    ("step 13: a missing last LF is intact", '''or not text.endswith(b"\\n")
    if other''', '''
    if other'''),
    ("step 13: bundles without chunks are recompressed", "without_chunks(manifest) or as_a_writer", "as_a_writer"),
    ("step 13: all bundles are intact", '''or not (without_chunks(manifest) or as_a_writer_makes_it(data, line + line_feed, text, chunks)):''', ''':'''),
    ("R-13: logs of a bundle with a fault in the manifest", '''return manifest if len(reader.faults) == before else None''', '''return manifest''', CRASHES),
    ("R-13: the manifest's faults stop sound bundles only", '''    if manifest is None:                                                # R-13
        return Result("damaged", reader)''', '''    if manifest is None:
        return Result("damaged", reader, "", {"files": []})'''),
    ("R-15: the header is not compared", '''    if not data.startswith(HEADER):                                     # R-15
        return False
''', ""),
    ("R-17: a chunk's place is not checked", '''        if not flushed(data[begin:end], text[at:at + chunk["bytes"]]):
            return False
''', ""),
    ("R-18: another last block", '''    if data[-10:-8] != END:                                             # R-18; with R-17 it implies R-16
        return False
''', ""),
]

# Container
BUGS += [
    ("R-14: plain text is refused", '''    if not packed and not data.startswith(b"{"):''', '''    if not packed:'''),
    ("R-20: another method", '''    fault_if(method != 8, "R-20", "a gzip header of another method")
''', ""),
    ("R-20: a reserved flag", "flags & 0xe0", "flags & 0"),
    ("R-20: only one of the reserved flags is refused", "flags & 0xe0", "flags & 0x80"),
    ("R-20: FTEXT is refused", "flags & 0xe0", "flags & 0xe1"),
    ("R-20: every flag is refused", "flags & 0xe0", "flags"),
    ("R-20: a modification time is refused", '''    fault_if(method != 8,''', '''    fault_if(any(data[at + 4:at + 8]), "R-20", "a time")
    fault_if(method != 8,'''),
    ("R-20: FEXTRA is not skipped", "    if flags & 4: ", "    if False: "),
    ("R-20: FEXTRA's length is big-endian", '''data[end:end + 2], "little")
    for flag''', '''data[end:end + 2], "big")
    for flag'''),
    ("R-20: FEXTRA's length includes itself", "end += 2 + int.from_bytes", "end += int.from_bytes"),
    ("R-20: FNAME is not skipped", "for flag in (8, 16):", "for flag in (16,):"),
    ("R-20: FCOMMENT is not skipped", "for flag in (8, 16):", "for flag in (8,):"),
    ("R-20: FNAME and FCOMMENT are one string", '''    for flag in (8, 16):                        # FNAME, FCOMMENT
        if flags & flag:''', '''    if True:
        if flags & 24:'''),
    ("R-20: FEXTRA comes after FNAME", '''    if flags & 4:                               # FEXTRA
        end += 2 + int.from_bytes(data[end:end + 2], "little")
    for flag in (8, 16):''', '''    for flag in (8, 4, 16):
        if flag == 4:
            end += 2 + int.from_bytes(data[end:end + 2], "little") if flags & 4 else 0
            continue'''),
    ("R-20: FHCRC is not skipped", '''        end += 2
    return end''', '''    return end'''),
    ("R-20: FHCRC is not checked", '''        fault_if(int.from_bytes(data[end:end + 2], "little") != zlib.crc32(data[at:end]) & 0xffff, "R-20", "a wrong FHCRC")
''', ""),
    ("R-20: FHCRC is that of the ten bytes", "zlib.crc32(data[at:end]) & 0xffff", "zlib.crc32(data[at:at + 10]) & 0xffff"),
    ("R-20: FHCRC is the upper half of the CRC-32", "zlib.crc32(data[at:end]) & 0xffff", "zlib.crc32(data[at:end]) >> 16"),
    ("R-20: FHCRC is big-endian", '''data[end:end + 2], "little") != zlib''', '''data[end:end + 2], "big") != zlib'''),
    ("R-20: a forbidden header is not a failure", '''            reader.fault(*fault.args)
            return b"".join(text), False''', '''            reader.fault(*fault.args)
            return b"".join(text), True'''),
    ("R-21: members are not continued", '''    while data[at:at + 2] == b"\\x1f\\x8b":       # R-21''', '''    while at == 0:'''),
    ("R-21: an empty member is the end", '''        reader.members += 1
''', '''        reader.members += 1
        if not part:
            break
'''),
    ("R-21: padding is refused", '''data[at:].strip(b"\\0"), "R-22"''', '''data[at:], "R-22"'''),
    ("R-21: one byte of padding is refused", '''data[at:].strip(b"\\0"), "R-22"''', '''data[at:].strip(b"\\0") or len(data) == at + 1, "R-22"'''),
    ("R-21: anything may follow the last member", '''    reader.fault_if(data[at:].strip(b"\\0"), "R-22", "other bytes than zeros after the last member")
''', ""),
    ("R-21: anything may follow zeros", '''data[at:].strip(b"\\0"), "R-22"''', '''data[at:at + 1].strip(b"\\0"), "R-22"'''),
    ("R-21: members may follow zeros", '''        at = len(data) - len(rest) + 8
''', '''        at = len(data) - len(rest[8:].lstrip(b"\\0")) if rest[8:].strip(b"\\0") else len(data) - len(rest) + 8
'''),
    ("R-21: each member begins a line", '''        text.append(part)
        reader''', '''        text.append(part if part.endswith(b"\\n") or not part else part + b"\\n")
        reader'''),
    ("R-22: a wrong CRC-32", '''!= zlib.crc32(part), "R-22"''', '''!= zlib.crc32(part) and False, "R-22"'''),
    ("R-22: only the first member's CRC-32 is checked", '''!= zlib.crc32(part), "R-22"''', '''!= zlib.crc32(part) and not at, "R-22"'''),
    ("R-22: the CRC-32 is that of all members", '''!= zlib.crc32(part), "R-22"''', '''!= zlib.crc32(b"".join(text)), "R-22"'''),
    ("R-22: a wrong length", '''!= len(part) & 0xffffffff:''', '''!= len(part) and False:'''),
    ("R-22: a member that is cut off", '''        if rest is None or len(rest) < 8:
''', '''        if rest is None:
            reader.padded = True
            return b"".join(text), True
        if len(rest) < 8:
'''),
    ("R-22: nothing of a member that does not inflate", '''    return b"".join(text), None

def read_gzip''', '''    return b"", None

def read_gzip'''),
    ("R-22: a wrong CRC-32 is a failure before the text", '''        text.append(part)
        reader''', '''        if rest is not None and int.from_bytes(rest[:4], "little") != zlib.crc32(part):
            reader.fault("R-22", "a wrong CRC-32")
            return b"", False
        text.append(part)
        reader'''),
]

# Names, versions, the manifest's rules
BUGS += [
    ("R-23: names are counted in characters", "1 <= len(value.encode()) <= MAX_NAME_BYTES", "1 <= len(value) <= MAX_NAME_BYTES"),
    ("R-23: names are counted in UTF-16", "1 <= len(value.encode()) <= MAX_NAME_BYTES", '1 <= len(value.encode("utf-16-le")) // 2 <= MAX_NAME_BYTES'),
    ("R-23: a name of 0 bytes", "1 <= len(value.encode()) <= MAX_NAME_BYTES", "len(value.encode()) <= MAX_NAME_BYTES"),
    ("R-23: names of 255 bytes are refused", "1 <= len(value.encode()) <= MAX_NAME_BYTES", "1 <= len(value.encode()) < MAX_NAME_BYTES"),
    ("R-23: names of 256 bytes", "1 <= len(value.encode()) <= MAX_NAME_BYTES", "1 <= len(value.encode()) <= MAX_NAME_BYTES + 1"),
    ("R-23: names of one byte are refused", "1 <= len(value.encode()) <= MAX_NAME_BYTES", "2 <= len(value.encode()) <= MAX_NAME_BYTES"),
    ("R-23: a slash", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[\\\\\x00-\x1f\x7f-\x9f]"),
    ("R-23: a backslash", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/\x00-\x1f\x7f-\x9f]"),
    ("R-23: control characters", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/\\\\\x00\x7f-\x9f]"),
    ("R-23: U+001F", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/\\\\\x00-\x1e\x7f-\x9f]"),
    ("R-23: U+007F", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/\\\\\x00-\x1f\x80-\x9f]"),
    ("R-23: U+0080 to U+009F", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/\\\\\x00-\x1f\x7f]"),
    ("R-23: U+00A0 is refused", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/\\\\\x00-\x1f\x7f-\xa0]"),
    ("R-23: a space is refused", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/\\\\\x00-\x20\x7f-\x9f]"),
    ("R-23: a colon is refused", r"[/\\\\\x00-\x1f\x7f-\x9f]", r"[/:\\\\\x00-\x1f\x7f-\x9f]"),
    ("R-23: the name .", '''value in (".", "..")''', '''value in ("..",)'''),
    ("R-23: the name ..", '''value in (".", "..")''', '''value in (".",)'''),
    ("R-23: names that begin with a point are refused", '''value in (".", "..")''', '''value.startswith(".")'''),
    ("R-23: files are any strings", '''    ("relativePath", 0, True, name),''', '''    ("relativePath", 0, True, string),'''),
    ("R-23: names are compared in NFC", '''    value = string(reader, raw)
    fault_if(not 1 <= len(value.encode()) <= MAX_NAME_BYTES''', '''    value = __import__("unicodedata").normalize("NFC", string(reader, raw))
    fault_if(not 1 <= len(value.encode()) <= MAX_NAME_BYTES'''),
    ("R-23: names are compared without case", '''(file[key], file["relativePath"]) for''', '''(file[key].lower(), file["relativePath"].lower()) for'''),
    ("R-26: unknown sources are refused", '''        check_chunk_numbers(reader, file)
''', '''        check_chunk_numbers(reader, file)
        reader.fault_if(file["source"] not in KNOWN_SOURCES, "R-26", "an unknown source")
'''),
    ("R-26: files of other names are refused", '''        check_chunk_numbers(reader, file)
''', '''        check_chunk_numbers(reader, file)
        reader.fault_if(not re.search("(?i)[.]jsonl([.]1)?$", file["relativePath"]), "R-26", "another name")
'''),
    ("R-26: an activity log must be of the activity directory", '''        check_chunk_numbers(reader, file)
''', '''        check_chunk_numbers(reader, file)
        reader.fault_if((file["source"] == "activity") != (file["base"] == "activity"), "R-26", "another base")
'''),
    ("R-27: keys of later minor versions", '''            fault_if(keys[key][0] > reader.minor, "R-27", "the key %s is of a later minor version" % key)''', '''            pass''', CRASHES),
    ("R-27: keys of 1.1 in 1.0 are accepted", "keys[key][0] > reader.minor, \"R-27\"", "keys[key][0] > max(reader.minor, 1), \"R-27\"", CRASHES),
    ("R-27: keys of 1.2 in 1.1 are accepted", "keys[key][0] > reader.minor, \"R-27\"", "keys[key][0] > 1 > reader.minor, \"R-27\"", CRASHES),
    ("R-27: `minor` must be the lowest", '''        manifest = MANIFEST(reader, raw)
''', '''        manifest = MANIFEST(reader, raw)
        fault_if(reader.minor == 2 and not {"label", "history", "derivedFrom"} & set(manifest), "R-27", "1.1 would do")
'''),
    ("R-27: `minor` 0 is refused", '''        manifest = MANIFEST(reader, raw)
''', '''        manifest = MANIFEST(reader, raw)
        fault_if(manifest.get("minor") == 0, "R-27", "minor 0")
'''),
    ("R-28: a higher `minor` is refused", '''        manifest = MANIFEST(reader, raw)
''', '''        fault_if(reader.newer, "R-28", "a newer minor version")
        manifest = MANIFEST(reader, raw)
'''),
    ("R-28: a higher `minor` is read as 1.0", "reader.minor = reader.knows if reader.newer else int(minor)", "reader.minor = 0 if reader.newer else int(minor)", CRASHES),
    ("R-28: `minor` above 9 digits", "len(minor) > 9 or int(minor) > reader.knows", "len(minor) < 9 and int(minor) > reader.knows", CRASHES),
    ("R-28: nothing of a higher `minor` is checked", "def check_names(reader, manifest):\n", "def check_names(reader, manifest):\n    if reader.newer:\n        reader.faults = []\n"),
    ("R-29: `totalCount` is not checked", '''    if manifest["totalCount"] != sum(file["count"] for file in manifest["files"]):''', '''    if False:'''),
    ("R-30: sources are not checked", '''    if [source.encode() for source in manifest["sources"]] != sources:''', '''    if False:'''),
    ("R-30: sources are a set", '''[source.encode() for source in manifest["sources"]] != sources''', '''sorted(set(source.encode() for source in manifest["sources"])) != sources'''),
    ("R-30: sources may be twice", '''[source.encode() for source in manifest["sources"]] != sources''', '''list(dict.fromkeys(source.encode() for source in manifest["sources"])) != sources'''),
    ("R-30: sources may be in any order", '''[source.encode() for source in manifest["sources"]] != sources''', '''sorted(source.encode() for source in manifest["sources"]) != sources'''),
    ("R-30: sources without a file", '''[source.encode() for source in manifest["sources"]] != sources''', '''not set(sources) <= set(source.encode() for source in manifest["sources"])'''),
    ("R-30: files of a source that is not listed", '''[source.encode() for source in manifest["sources"]] != sources''', '''not set(source.encode() for source in manifest["sources"]) <= set(sources) or sorted(manifest["sources"], key=str.encode) != manifest["sources"]'''),
    ("R-30: sources are sorted by UTF-16", '''    sources = sorted({file["source"].encode() for file in manifest["files"]})''',
     '''    sources = [source.encode() for source in sorted({file["source"] for file in manifest["files"]}, key=lambda source: source.encode("utf-16-be"))]'''),
    ("R-30: sources are in the order of the files", '''    sources = sorted({file["source"].encode() for file in manifest["files"]})''',
     '''    sources = list(dict.fromkeys(file["source"].encode() for file in manifest["files"]))'''),
    ("R-31: two files share source and name", '''for key in ("source", "base"):''', '''for key in ("base",):'''),
    ("R-31: two files share base and name", '''for key in ("source", "base"):''', '''for key in ("source",):'''),
    ("R-31: one name in both bases is refused", '''names = [(file[key], file["relativePath"])''', '''names = [file["relativePath"]'''),
    ("R-32: rows of chunks are not summed", '''!= file["count"]:
        reader.fault("R-32"''', '''!= file["count"] and False:
        reader.fault("R-32"'''),
    ("R-33: chunks without rows", '''chunk["rows"] < 1, "R-33"''', '''chunk["rows"] < 0, "R-33"'''),
    ("R-33: less than 25 bytes for a row", '''chunk["bytes"] < 25 * chunk["rows"], "R-33"''', '''False, "R-33"'''),
    ("R-33: 25 bytes for a row are refused", '''chunk["bytes"] < 25 * chunk["rows"], "R-33"''', '''chunk["bytes"] <= 25 * chunk["rows"], "R-33"'''),
    ("R-33: 26 bytes for a row are needed", '''chunk["bytes"] < 25 * chunk["rows"], "R-33"''', '''chunk["bytes"] < 26 * chunk["rows"], "R-33"'''),
    ("R-33: chunks of any length", '''chunk["bytes"] > MAX_CHUNK_BYTES, "R-33"''', '''False, "R-33"'''),
    ("R-33: `compressed` 0", '''not 1 <= chunk["compressed"] <= 2 *''', '''not 0 <= chunk["compressed"] <= 2 *'''),
    ("R-33: any `compressed`", '''not 1 <= chunk["compressed"] <= 2 * MAX_CHUNK_BYTES''', '''not 1 <= chunk["compressed"]'''),
    ("R-34: unparsed lines twice", '''part["line"] < free, "R-34"''', '''part["line"] < free - 1, "R-34"'''),
    ("R-34: unparsed lines out of order", '''    reader.fault_if(free - 1 > number_of_lines(file), "R-34"''', '''    reader.faults = [fault for fault in reader.faults if fault[0] != "R-34"]
    reader.fault_if(free - 1 > number_of_lines(file), "R-34"'''),
    ("R-34: the lines of an object are not counted", '''        free = part["line"] + len(part["lines"])''', '''        free = part["line"] + 1'''),
    ("R-34: unparsed one beyond the end", '''free - 1 > number_of_lines(file), "R-34"''', '''free - 2 > number_of_lines(file), "R-34"'''),
    ("R-34: unparsed as the last line is refused", '''free - 1 > number_of_lines(file), "R-34"''', '''free > number_of_lines(file) > 1, "R-34"'''),
    ("R-34: unparsed beyond the end", '''    reader.fault_if(free - 1 > number_of_lines(file), "R-34", "`unparsed` names a line beyond the last one")
''', ""),
    ("R-35: less bytes than lines", '''file["bytes"] < number_of_lines(file), "R-35"''', '''False, "R-35"'''),
    ("R-35: as many bytes as lines are refused", '''file["bytes"] < number_of_lines(file), "R-35"''', '''file["bytes"] <= number_of_lines(file) > 0, "R-35"'''),
    ("R-35: only rows are counted", '''file["bytes"] < number_of_lines(file), "R-35"''', '''file["bytes"] < file["count"], "R-35"'''),
    ("R-35: bytes without lines", '''number_of_lines(file) == 0 and file["bytes"] != 0, "R-35"''', '''False, "R-35"'''),
    ("R-35: no final newline without lines", '''number_of_lines(file) == 0 and not file["finalNewline"], "R-35"''', '''False, "R-35"'''),
    ("R-35: also in 1.0", '''        if reader.minor >= 1:
            check_bytes(reader, file)''', '''        file.setdefault("finalNewline", True)
        check_bytes(reader, file)'''),
    ("R-36: rows of timelines are not summed", '''for _, rows in file["timeline"]["bins"]) > file["count"]:''', '''for _, rows in file["timeline"]["bins"]) < 0:'''),
    ("R-36: a timeline must count every row", '''for _, rows in file["timeline"]["bins"]) > file["count"]:''', '''for _, rows in file["timeline"]["bins"]) != file["count"]:'''),
    ("R-37: bytes are not summed", '''    if sum(file["bytes"] for file in manifest["files"]) > MAX_COUNT:''', '''    if False:'''),
    ("R-37: only the bytes of 1.1 are summed", '''    if sum(file["bytes"] for file in manifest["files"]) > MAX_COUNT:''', '''    if reader.minor and sum(file["bytes"] for file in manifest["files"]) > MAX_COUNT:'''),
    ("R-37: a sum of 2^53 - 1 is refused", '''for file in manifest["files"]) > MAX_COUNT:''', '''for file in manifest["files"]) >= MAX_COUNT:'''),
]

# Rows
BUGS += [
    ("R-38: the file of a row is not compared", '''                if (row["source"], row["file"]) != (file["source"], file["relativePath"]):''', '''                if row["source"] != file["source"]:'''),
    ("R-38: the source of a row is not compared", '''                if (row["source"], row["file"]) != (file["source"], file["relativePath"]):''', '''                if row["file"] != file["relativePath"]:'''),
    ("R-38: nothing of a row is compared", '''                if (row["source"], row["file"]) != (file["source"], file["relativePath"]):''', '''                if False:'''),
    ("R-39: `file` is any file when absent", '''    row.setdefault("file", row["source"] + ".jsonl")
''', '''    row.setdefault("file", "runs.jsonl")
'''),
    ("R-39: an unnecessary `file` is refused", '''    row.setdefault("file", row["source"] + ".jsonl")
''', '''    fault_if(row.get("file") == row["source"] + ".jsonl" and row["source"] != "activity", "R-39", "`file` without need")
    row.setdefault("file", row["source"] + ".jsonl")
'''),
    ("R-40: an unnecessary `original` is refused", '''        if entry_of(line) != row["entry"]:
''', '''        if entry_of(line) != row["entry"] or "original" in row and line == row["entry"].encode():
'''),
    ("R-41: missing rows", '''                reader.fault("R-41", "%s: rows are missing" % file["relativePath"])
                file["rows"] = None
                break''', '''                break'''),
    ("R-41: more lines than rows", '''    reader.fault_if(at < len(lines), "R-41", "more lines than rows (%d)" % (len(lines) - at))
''', ""),
    ("R-41: blank lines are skipped", '''        lines.pop()
    read_rows''', '''        lines.pop()
    lines = [line for line in lines if line.strip()]
    read_rows'''),
    ("R-41: empty lines are skipped", '''        lines.pop()
    read_rows''', '''        lines.pop()
    lines = [line for line in lines if line]
    read_rows'''),
    ("R-41: blank lines at the end are skipped", '''    if lines[-1] == b"":
        lines.pop()
    read_rows''', '''    while lines and lines[-1] == b"":
        lines.pop()
    read_rows'''),
    ("R-41: invalid UTF-8 in a row is replaced", '''        raw, _ = whole_value(line.decode("utf-8"))
    except (NotJson, UnicodeDecodeError) as problem:''', '''        raw, _ = whole_value(line.decode("utf-8", "replace"))
    except (NotJson, UnicodeDecodeError) as problem:'''),
    ("R-42: a missing last LF is always accepted", '''        if not lines.endswith(b"\\n"):       # R-42, too
''', '''        if False:
''' ),
    ("R-42: a missing last LF is always a fault", '''    lines = rest.split(b"\\n")
''', '''    lines = rest.split(b"\\n")
    reader.fault_if(lines[-1], "R-42", "the last LF is missing")
'''),
    ("R-42: the LF of a manifest without rows", '''    logs = read_text(reader, manifest, chunks, rest)
    if reader.faults''', '''    reader.fault_if(not line_feed, "R-42", "the last LF is missing")
    logs = read_text(reader, manifest, chunks, rest)
    if reader.faults'''),
    ("R-43: another order of keys is refused", '''    row.setdefault("file", row["source"] + ".jsonl")
''', '''    order = [key for key, _ in members(raw) if key in ("source", "file", "entry", "original")]
    fault_if(order != [key for key in ("source", "file", "entry", "original") if key in order], "R-43", "another order")
    row.setdefault("file", row["source"] + ".jsonl")
'''),
    ("R-43: white space is refused", '''    row.setdefault("file", row["source"] + ".jsonl")
''', '''    fault_if(not re.match('[{]"', raw) or line != line.strip(), "R-43", "white space")
    row.setdefault("file", row["source"] + ".jsonl")
'''),
]

# Entry and exact lines
DECODE = '''    text = line.decode("utf-8", "replace")                                          # step 1'''
BUGS += [
    ("entry: a U+FFFD for each invalid byte", DECODE, '''    text = re.sub("[\\udc80-\\udcff]", "\\ufffd", line.decode("utf-8", "surrogateescape"))'''),
    ("entry: a U+FFFD for several invalid bytes", DECODE, '''    text = re.sub("[\\udc80-\\udcff]+", "\\ufffd", line.decode("utf-8", "surrogateescape"))'''),
    ("entry: a U+FFFD for a surrogate in UTF-8", DECODE, '''    text = re.sub(b"\\xed[\\xa0-\\xbf][\\x80-\\xbf]", b"\\xef\\xbf\\xbd", line).decode("utf-8", "replace")'''),
    ("entry: a U+FFFD for an overlong form", DECODE, '''    text = re.sub(b"[\\xc0\\xc1][\\x80-\\xbf]", b"\\xef\\xbf\\xbd", line).decode("utf-8", "replace")'''),
    ("entry: a U+FFFD for bytes above U+10FFFF", DECODE, '''    text = re.sub(b"\\xf4[\\x90-\\xbf][\\x80-\\xbf]{2}|[\\xf5-\\xf7][\\x80-\\xbf]{3}", b"\\xef\\xbf\\xbd", line).decode("utf-8", "replace")'''),
    ("entry: invalid bytes are left out", DECODE, '''    text = line.decode("utf-8", "ignore")'''),
    ("entry: invalid UTF-8 is not a row", DECODE, '''    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return None'''),
    ("entry: Python's white space is cut", "    text = text.strip(TRIMMED)", "    text = text.strip()"),
    ("entry: only the beginning is cut", "    text = text.strip(TRIMMED)", "    text = text.lstrip(TRIMMED)"),
    ("entry: only the end is cut", "    text = text.strip(TRIMMED)", "    text = text.rstrip(TRIMMED)"),
    ("entry: it is cut before it is decoded", DECODE, '''    text = line.strip().decode("utf-8", "replace")
    if text != text.strip(TRIMMED.replace("\\ufeff", "")):
        return None'''),
    ("entry: 129 levels", "    if depth > MAX_DEPTH:", "    if depth > MAX_DEPTH + 1:"),
    ("entry: 128 levels are refused", "    if depth > MAX_DEPTH:", "    if depth >= MAX_DEPTH:"),
    ("entry: levels are counted in strings", "    if depth > MAX_DEPTH:", '''    if max(__import__("itertools").accumulate((c in "[{") - (c in "]}") for c in text), default=0) > MAX_DEPTH:'''),
    ("entry: only objects are levels", '''            depth = max(depth, len(stack))''', '''            depth = max(depth, stack.count("}"))'''),
    ("entry: only arrays are levels", '''            depth = max(depth, len(stack))''', '''            depth = max(depth, stack.count("]"))'''),
    ("entry: brackets are levels", '''            depth = max(depth, len(stack))''', '''            depth += 1'''),
    ("entry: only objects are rows", '''    if depth > MAX_DEPTH:''', '''    if depth > MAX_DEPTH or text[0] != "{":'''),
    ("entry: null is not a row", '''    if depth > MAX_DEPTH:''', '''    if depth > MAX_DEPTH or text == "null":'''),
    ("entry: strings are not rows", '''    if depth > MAX_DEPTH:''', '''    if depth > MAX_DEPTH or text[0] == '"':'''),
    ("entry: surrogates are not cleaned", '''"\\ufffd" if match.group(1) else match.group()''', '''match.group()'''),
    ("entry: surrogates become escapes of U+FFFD", '''"\\ufffd" if match.group(1) else match.group()''', '''"\\\\ufffd" if match.group(1) else match.group()'''),
    ("entry: halves of pairs are cleaned", '''ESCAPE = re.compile(r"\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}"
                    r"|(''', '''ESCAPE = re.compile(r"('''),
    ("entry: two halves in the wrong order are a pair", '''\\\\u[dD][c-fC-F][0-9a-fA-F]{2}"
''', '''\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
'''),
    ("entry: a low half and any other are a pair", '''r"\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u''', '''r"\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}\\\\u'''),
    ("entry: only high halves are cleaned", '''|(\\\\u[dD][89a-fA-F][0-9a-fA-F]{2})''', '''|(\\\\u[dD][89abAB][0-9a-fA-F]{2})'''),
    ("entry: only low halves are cleaned", '''|(\\\\u[dD][89a-fA-F][0-9a-fA-F]{2})''', '''|(\\\\u[dD][c-fC-F][0-9a-fA-F]{2})'''),
    ("entry: surrogates in upper case are not cleaned", '''|(\\\\u[dD][89a-fA-F][0-9a-fA-F]{2})''', '''|(\\\\u[d][89a-f][0-9a-f]{2})'''),
    ("entry: escaped backslashes are not skipped", '''[0-9a-fA-F]{2})|\\\\.")''', '''[0-9a-fA-F]{2})")'''),
    ("entry: U+0085 is not escaped", '''    text = text.replace("\\x85", "\\\\u0085")
''', ""),
    ("entry: U+2028 is not escaped", '''    text = text.replace("\\u2028", "\\\\u2028")
''', ""),
    ("entry: U+2029 is not escaped", '''    text = text.replace("\\u2029", "\\\\u2029")
''', ""),
    ("entry: CR stays", '''    return text.replace("\\r", " ")''', '''    return text'''),
    ("entry: CR is cut", '''    return text.replace("\\r", " ")''', '''    return text.replace("\\r", "")'''),
    ("entry: CR becomes an escape", '''    return text.replace("\\r", " ")''', '''    return text.replace("\\r", "\\\\r")'''),
    ("entry: parsed and serialised", '''    return text.replace("\\r", " ")''', '''    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))''', CRASHES),
    ("R-45: entries are not checked", '''        if entry_of(line) != row["entry"]:''', '''        if False:'''),
    ("R-45: only entries with `original` are checked", '''        if entry_of(line) != row["entry"]:''', '''        if "original" in row and entry_of(line) != row["entry"]:'''),
    ("R-45: only entries without `original` are checked", '''        if entry_of(line) != row["entry"]:''', '''        if "original" not in row and entry_of(line) != row["entry"]:'''),
    ("R-45: an LF in a line", '''        reader.fault_if(b"\\n" in line, "R-45", "%s, row %d: an LF in its line" % (file["relativePath"], number))
''', ""),
    ("R-45: unparsed lines are not checked", '''        if any(entry_of(line) is not None for line in part["lines"]):''', '''        if False:'''),
    ("R-45: only the first of unparsed lines is checked", '''        if any(entry_of(line) is not None for line in part["lines"]):''', '''        if entry_of(part["lines"][0]) is not None:'''),
    ("R-45: also in 1.0", "    if reader.verifies and reader.minor >= 1:", "    if reader.verifies:", CRASHES),
    ("R-45: a fault of content", '''METADATA_RULES = ("R-45", "R-55", "R-59")''', '''METADATA_RULES = ("R-55", "R-59")'''),
    ("R-55: a fault of content", '''METADATA_RULES = ("R-45", "R-55", "R-59")''', '''METADATA_RULES = ("R-45", "R-59")'''),
    ("R-59: a fault of content", '''METADATA_RULES = ("R-45", "R-55", "R-59")''', '''METADATA_RULES = ("R-45", "R-55")'''),
    ("R-52: a metadata fault", '''METADATA_RULES = ("R-45", "R-55", "R-59")''', '''METADATA_RULES = ("R-45", "R-52", "R-55", "R-59")'''),
    ("damage: one metadata fault makes it metadata", "manifest and all(rule in", "manifest and any(rule in"),
    ("damage: a fault of the manifest is content", '''else "content" if manifest else "manifest"''', '''else "content"'''),
    ("R-46: rows nest at most 128 deep", '''    row = ROW(reader, raw)
''', '''    fault_if(scan(raw, 0)[1] > 128, "R-46", "a row nests too deep")
    row = ROW(reader, raw)
'''),
    ("R-47: `text` and `bytes`", '''    fault_if(("text" in found) == ("bytes" in found), "R-47"''', '''    fault_if("text" not in found and "bytes" not in found, "R-47"'''),
    ("R-47: neither `text` nor `bytes`", '''    fault_if(("text" in found) == ("bytes" in found), "R-47", "both `text` and `bytes`, or neither")
''', '''    fault_if("text" in found and "bytes" in found, "R-47", "both `text` and `bytes`")
    found.setdefault("text", b"") if "bytes" not in found else None
'''),
    ("R-48: unused bits", '''    fault_if(base64.b64encode(data).decode() != value, "R-48", "not the base64 of its bytes")
''', ""),
    ("R-48: base64 without padding", '''        data = base64.b64decode(value.encode(), validate=True)''', '''        value += "=" * (-len(value) % 4)
        data = base64.b64decode(value.encode(), validate=True)'''),
    ("R-48: base64 of URLs", '''        data = base64.b64decode(value.encode(), validate=True)''', '''        value = value.replace("-", "+").replace("_", "/")
        data = base64.b64decode(value.encode(), validate=True)'''),
    ("R-48: white space in base64", '''        data = base64.b64decode(value.encode(), validate=True)''', '''        value = "".join(value.split())
        data = base64.b64decode(value.encode(), validate=True)'''),
    ("R-49: `bytes` of text is refused", '''    fault_if(base64.b64encode(data).decode() != value, "R-48", "not the base64 of its bytes")
''', '''    fault_if(base64.b64encode(data).decode() != value, "R-48", "not the base64 of its bytes")
    try:
        fault_if("\\0" not in data.decode(), "R-49", "`bytes` of text")
    except UnicodeDecodeError:
        pass
''', CRASHES),
    ("R-49: NUL in `text` is refused", '''    return string(reader, raw).encode()
''', '''    fault_if("\\0" in string(reader, raw), "R-49", "NUL in `text`")
    return string(reader, raw).encode()
'''),
]

# Restoring
BUGS += [
    ("restore: crlf is not used", '''    ending = b"\\r" if file["lineEnding"] == "crlf" else b""
    lines, number''', '''    ending = b""
    lines, number'''),
    ("restore: crlf after every line", '''            lines.append((row["original"]["exact"], b""))''', '''            lines.append((row["original"]["exact"], ending))'''),
    ("restore: crlf after unparsed lines", '''            lines += [(line, b"") for line in part["lines"]]
            number''', '''            lines += [(line, ending) for line in part["lines"]]
            number'''),
    ("restore: crlf after the last unparsed lines", '''    for part in unparsed:
        lines += [(line, b"") for line in part["lines"]]''', '''    for part in unparsed:
        lines += [(line, ending) for line in part["lines"]]'''),
    ("restore: a last line without LF has its CR", '''        log += lines[-1][0]
''', '''        log += lines[-1][0] + (b"" if file["finalNewline"] else lines[-1][1])
'''),
    ("restore: a last LF is always written", '''    if lines and file["finalNewline"]:''', '''    if lines:'''),
    ("restore: a last LF is never written", '''    if lines and file["finalNewline"]:''', '''    if False:'''),
    ("restore: a log without lines gets an LF", '''    if lines and file["finalNewline"]:
        log +=''', '''    if file["finalNewline"]:
        log += b"\\n" if not lines else''', CRASHES),
    ("restore: unparsed lines one too early", '''unparsed[0]["line"] <= number:''', '''unparsed[0]["line"] <= number + 1:'''),
    ("restore: unparsed lines one too late", '''unparsed[0]["line"] <= number:''', '''unparsed[0]["line"] < number:'''),
    ("restore: unparsed lines count as one", '''            number += len(part["lines"])''', '''            number += 1'''),
    ("restore: unparsed lines do not count", '''            number += len(part["lines"])''', '''            number += 0'''),
    ("restore: rows do not count", '''ending))               # R-51
        number += 1''', '''ending))
        number += 0'''),
    ("restore: one object of unparsed lines before a row", '''        while unparsed and unparsed[0]''', '''        if unparsed and unparsed[0]'''),
    ("restore: unparsed lines after the last row are lost", '''    for part in unparsed:
        lines += [(line, b"") for line in part["lines"]]''', '''    unparsed = []'''),
    ("restore: unparsed text is split at CR LF", '''found["exact"].split(b"\\n")''', '''found["exact"].replace(b"\\r\\n", b"\\n").split(b"\\n")'''),
    ("restore: `original` is not used", '''        if "original" in row:
            lines.append((row["original"]["exact"], b""))
        else:''', '''        if True:'''),
    ("R-51: `entry` is parsed and serialised", '''            lines.append((row["entry"].encode(), ending))               # R-51''',
     '''            lines.append((json.dumps(json.loads(row["entry"]), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"), ending))''', CRASHES),
    ("R-51: white space is cut out of `entry`", '''            lines.append((row["entry"].encode(), ending))               # R-51''',
     '''            lines.append((re.sub(r'("(?:[^"\\\\]|\\\\.)*")|\\s+', r"\\1", row["entry"]).encode(), ending))'''),
    ("R-52: the length is not checked", '''        if len(log) != file["bytes"]:''', '''        if False:'''),
    ("R-52: the digest is not checked", '''        if hashlib.sha256(log).hexdigest() != file["sha256"]:''', '''        if False:'''),
    ("R-12: unproven logs are given", '''        if proven:                                                      # R-12''', '''        if True:'''),
    ("R-74: rows of 1.0 end with CR LF", '''return b"".join(row["entry"].encode() + b"\\n" for row in rows)''', '''return b"".join(row["entry"].encode() + b"\\r\\n" for row in rows)'''),
    ("R-74: rows of 1.0 are parsed and serialised", '''return b"".join(row["entry"].encode() + b"\\n" for row in rows)''', '''return b"".join(json.dumps(json.loads(row["entry"])).encode() + b"\\n" for row in rows)''', CRASHES),
    ("R-74: the last LF of 1.0 is missing", '''return b"".join(row["entry"].encode() + b"\\n" for row in rows)''', '''return b"\\n".join(row["entry"].encode() for row in rows)'''),
    ("1.0: the length proves something", '''            logs[path] = log
            continue''', '''            logs[path] = log
            reader.fault_if(len(log) != file["bytes"], "R-52", "another length")
            continue'''),
    ("1.0: the base is always patchwork", '''file["base"] = "activity" if file["source"] == "activity" else "patchwork"''', '''file["base"] = "patchwork"'''),
    ("1.0: entries nest at most 128 deep", '''    row = ROW(reader, raw)
''', '''    row = ROW(reader, raw)
    fault_if(reader.minor == 0 and scan(row["entry"], 0)[1] > 128, "R-46", "an entry nests too deep")
'''),
    ("R-75: no limit", '''            if len(log) > MAX_REWRITTEN_RATIO * file["bytes"] + MAX_GROWN_BYTES:''', '''            if False:'''),
    ("R-75: a log of 1.0 is at most as long as `bytes`", '''            if len(log) > MAX_REWRITTEN_RATIO * file["bytes"] + MAX_GROWN_BYTES:''', '''            if len(log) > file["bytes"]:'''),
]

# Times
BUGS += [
    ("R-54: offsets have the wrong sign", "(minute - offset) * 60", "(minute + offset) * 60"),
    ("R-54: offsets are ignored", "(minute - offset) * 60", "minute * 60"),
    ("R-54: only the offset's hours count", "offset = offset_hour * 60 + offset_minute", "offset = offset_hour * 60"),
    ("R-54: an offset of 24 hours", "offset_hour > 23", "offset_hour > 24"),
    ("R-54: an offset of 23 hours is refused", "offset_hour > 23", "offset_hour > 14"),
    ("R-54: an offset of 60 minutes", "offset_minute > 59", "offset_minute > 60"),
    ("R-54: an offset of 59 minutes is refused", "offset_minute > 59", "offset_minute > 45"),
    ("R-54: hour 24", "hour > 23 or minute", "hour > 24 or minute"),
    ("R-54: minute 60", "minute > 59 or second", "minute > 60 or second"),
    ("R-54: second 60 is refused", "second > 60", "second > 59"),
    ("R-54: second 61", "second > 60", "second > 61"),
    ("R-54: second 60 is the next minute", "    second = min(second, 59)\n", ""),
    ("R-54: second 60 has no decimals", "    second = min(second, 59)\n", '    second, decimals = min(second, 59), "" if second == 60 else match.group(7)\n    match = type("Match", (), {"group": lambda self, n, m=match: decimals if n == 7 else m.group(n)})()\n'),
    ("R-54: second 60 only at 23:59", "second > 60", "second > (60 if (hour, minute) == (23, 59) else 59)"),
    ("R-54: every day of a month up to 31", '''        days = datetime.date(2000 + year % 400, month, day)''', '''        days = datetime.date(2000 + year % 400, month, min(day, 28))'''),
    ("R-54: every fourth year is a leap year", '''datetime.date(2000 + year % 400, month, day)''', '''datetime.date(2000 + year % 4, month, day)'''),
    ("R-54: years of 100 are not leap years", '''    except ValueError:
        return None
    if hour''', '''    except ValueError:
        return None
    if year % 100 == 0 and (month, day) == (2, 29):
        return None
    if hour'''),
    ("R-54: a small t is refused", "[Tt]([0-9]{2})", "[T]([0-9]{2})"),
    ("R-54: a space for T", "[Tt]([0-9]{2})", "[Tt ]([0-9]{2})"),
    ("R-54: a small z is refused", "(?:[Zz]|", "(?:[Z]|"),
    ("R-54: no zone", '''([0-9]{2}):([0-9]{2}))")''', '''([0-9]{2}):([0-9]{2}))?")'''),
    ("R-54: an offset without a colon", '''([0-9]{2}):([0-9]{2}))")''', '''([0-9]{2}):?([0-9]{2}))")'''),
    ("R-54: an offset of hours alone", '''([0-9]{2}):([0-9]{2}))")''', '''([0-9]{2})(?::([0-9]{2}))?)")'''),
    ("R-54: -00:00 is refused", '''    if match.group(8) == "-":
''', '''    if match.group(8) == "-" and offset == 0:
        return None
    if match.group(8) == "-":
'''),
    ("R-54: ten decimals", "[0-9]{1,9}))?", "[0-9]{1,}))?", CRASHES),
    ("R-54: nine decimals are refused", "[0-9]{1,9}))?", "[0-9]{1,6}))?"),
    ("R-54: exactly three decimals", "[0-9]{1,9}))?", "[0-9]{3}))?"),
    ("R-54: a point without decimals", "[0-9]{1,9}))?", "[0-9]{0,9}))?"),
    ("R-54: a comma for the point", r'(?:\.([0-9]{1,9}', r'(?:[.,]([0-9]{1,9}'),
    ("R-54: digits of other scripts", '''TIME = re.compile(r"([0-9]{4})''', r'''TIME = re.compile(r"(\d{4})'''),
    ("R-54: a line break at the end", "match = TIME.fullmatch(value)", 'match = re.match("(?:%s)$" % TIME.pattern, value)'),
    ("R-54: white space around", "match = TIME.fullmatch(value)", 'match = TIME.fullmatch(value.strip())'),
    ("R-54: text after the time", "match = TIME.fullmatch(value)", 'match = TIME.match(value)'),
    ("R-54: no seconds", ":([0-9]{2})(?:\\.([0-9]{1,9}))?", "(?::([0-9]{2}))?(?:\\.([0-9]{1,9}))?", CRASHES),
    ("R-54: fractions are rounded", "milliseconds = nanoseconds // 10 ** 6 if", "milliseconds = (nanoseconds + 500000) // 10 ** 6 if"),
    ("R-54: fractions before 1970 are cut off towards the past", "if nanoseconds >= 0 else -(-nanoseconds // 10 ** 6)", "if True else 0"),
    ("R-54: fractions are numbers of milliseconds", '''(match.group(7) or "").ljust(9, "0")''', '''(match.group(7) or "").rjust(3, "0").ljust(9, "0")'''),
    ("R-54: the limits are those of the local time", '''    second = min(second, 59)
''', '''    second = min(second, 59)
    if not 1 <= year <= 9998:
        return None
'''),
    ("R-54: the limits are not checked", "return milliseconds if FIRST_MS <= milliseconds < END_MS else None\n\ndef time(", "return milliseconds\n\ndef time("),
    ("R-54: the year 0", "FIRST_MS = -62135596800000 ", "FIRST_MS = -62167219200000 "),
    ("R-54: the year 9999", "END_MS = 253370764800000 ", "END_MS = 253402300800000 "),
    ("R-54: the last millisecond is refused", "END_MS = 253370764800000 ", "END_MS = 253370764799999 "),
    ("R-54: the first millisecond is refused", "FIRST_MS = -62135596800000 ", "FIRST_MS = -62135596799999 "),
    ("R-54: the limits are checked before fractions are cut off", '''    milliseconds = nanoseconds // 10 ** 6 if''', '''    if not FIRST_MS * 10 ** 6 <= nanoseconds < END_MS * 10 ** 6:
        return None
    milliseconds = nanoseconds // 10 ** 6 if'''),
    ("R-54: times of the manifest are any strings", '''    fault_if(milliseconds is None, "R-54", "not a time: %.60s" % raw)
''', ""),
    ("R-54: times in numbers", '''    milliseconds = rfc3339(string(reader, raw))''', '''    milliseconds = int(raw) if raw.isdigit() else rfc3339(string(reader, raw))'''),
    ("row times: numbers in strings", '''    if raw[0] not in "-0123456789":
        return None
    number = float(raw)''', '''    raw = raw.strip('"')
    if not re.fullmatch(NUMBER, raw):
        return None
    number = float(raw)'''),
    ("row times: fractions of numbers are rounded", "milliseconds = int(number)", "milliseconds = round(number)"),
    ("row times: fractions of numbers are cut off towards the past", "milliseconds = int(number)", "milliseconds = int(number // 1)"),
    ("row times: only integers are times", "    number = float(raw)\n", '    if not re.fullmatch("-?[0-9]+", raw):\n        return None\n    number = float(raw)\n'),
    ("row times: numbers are seconds", "milliseconds = int(number)", "milliseconds = int(number * 1000)"),
    ("row times: numbers have no limits", "return milliseconds if FIRST_MS <= milliseconds < END_MS else None\n\ndef timestamp", "return milliseconds\n\ndef timestamp"),
    ("row times: negative numbers are not times", "return milliseconds if FIRST_MS <= milliseconds < END_MS else None\n\ndef timestamp", "return milliseconds if 0 <= milliseconds < END_MS else None\n\ndef timestamp"),
    ("row times: limits before the fraction is cut off", "    milliseconds = int(number)\n", "    if not FIRST_MS <= number < END_MS:\n        return None\n    milliseconds = int(number)\n"),
    ("row times: `timestamp` without replacing its escapes", "return rfc3339(json.loads(raw)) if", "return rfc3339(raw[1:-1]) if"),
    ("row times: the first of equal keys counts", "last = dict(members(entry)) ", "last = dict(reversed(members(entry))) "),
    ("row times: the last of equal keys that gives a time counts", "    last = dict(members(entry)) ", '''    last = {key: raw for key, raw in members(entry) if raw[0] in '-0123456789"' and raw != '""'} '''),
    ("row times: keys are compared with their escapes", "    last = dict(members(entry)) ", "    last = dict(pair for pair in members(entry) if '\"%s\"' % pair[0] in entry) "),
    ("row times: `createdAt` at any depth", '''    last = dict(members(entry)) ''', '''    last = {**{key: raw for key, raw in re.findall(r'"(createdAt|timestamp)":([0-9]+|"[^"]*")', entry)}, **dict(members(entry))} '''),
    ("row times: activity has `createdAt`", '''    "activity": ("timestamp",),''', '''    "activity": ("timestamp", "createdAt"),'''),
    ("row times: runs have `timestamp`", '''    "runs": ("createdAt",),''', '''    "runs": ("createdAt", "timestamp"),'''),
    ("row times: decision_traces have `timestamp`", '''    "decision_traces": ("createdAt",),''', '''    "decision_traces": ("createdAt", "timestamp"),'''),
    ("row times: commit_issue_links have `timestamp`", '''    "commit_issue_links": ("createdAt",),''', '''    "commit_issue_links": ("createdAt", "timestamp"),'''),
    ("row times: commit_issue_links are unknown", '''    "commit_issue_links": ("createdAt",),
''', ""),
    ("row times: decision_traces are unknown", '''    "decision_traces": ("createdAt",),
''', ""),
    ("row times: other sources have `createdAt` only", '''KNOWN_SOURCES.get(source, ("createdAt", "timestamp"))''', '''KNOWN_SOURCES.get(source, ("createdAt",))'''),
    ("row times: other sources have `timestamp` first", '''KNOWN_SOURCES.get(source, ("createdAt", "timestamp"))''', '''KNOWN_SOURCES.get(source, ("timestamp", "createdAt"))'''),
    ("row times: other sources take the first key, a time or not", '''            if milliseconds is not None:
                return milliseconds
    return None''', '''            return milliseconds
    return None'''),
    ("R-55: `firstTime` is not checked", '''    if "firstTime" in what and''', '''    if False and'''),
    ("R-55: `lastTime` is not checked", '''    if "lastTime" in what and''', '''    if False and'''),
    ("R-55: `firstTime` may be earlier", '''what["firstTime"] != min(times, default=None)''', '''what["firstTime"] > min(times, default=END_MS)'''),
    ("R-55: `lastTime` may be later", '''what["lastTime"] != max(times, default=None)''', '''what["lastTime"] < max(times, default=FIRST_MS)'''),
    ("R-55: `firstTime` is the first row's", '''what["firstTime"] != min(times, default=None)''', '''what["firstTime"] != (times or [None])[0]'''),
    ("R-55: `lastTime` is the last row's", '''what["lastTime"] != max(times, default=None)''', '''what["lastTime"] != (times or [None])[-1]'''),
    ("R-55: times of rows without any", '''    times = [milliseconds for milliseconds in times if milliseconds is not None]
    if "firstTime"''', '''    times = [milliseconds for milliseconds in times if milliseconds is not None]
    if not times:
        return
    if "firstTime"'''),
    ("R-55: a missing `firstTime` is a fault", '''    if "firstTime" in what and what["firstTime"] !=''', '''    if what.get("firstTime") !='''),
    ("R-55: a missing `lastTime` is a fault", '''    if "lastTime" in what and what["lastTime"] !=''', '''    if what.get("lastTime") !='''),
    ("R-56: times of files with other forms are checked", "        if not any(unsure):", "        if True:"),
    ("R-56: times of chunks with other forms are checked", "            if not any(unsure[at:end]):", "            if True:"),
    ("R-55: times of chunks are not checked", "                check_times(reader, chunk, times[at:end])", "                pass"),
    ("R-55: times of files are not checked", '''        check_times(reader, file, times)
''', ""),
    ("R-55: chunks have the times of the file", "check_times(reader, chunk, times[at:end])", "check_times(reader, chunk, times)"),
    ("R-55: times of chunks that count for nothing", '''file.get("chunks", []) if chunks_of(manifest) else []:''', '''file.get("chunks", []):'''),
    ("R-56: times of unknown sources are checked", '''if file["source"] not in KNOWN_SOURCES or reader.newer:''', '''if reader.newer:'''),
    ("R-56: times of higher minor versions are checked", '''if file["source"] not in KNOWN_SOURCES or reader.newer:''', '''if file["source"] not in KNOWN_SOURCES:'''),
    ("R-56: entries of unknown sources are not checked", '''        check_entries(reader, file)
        if''', '''        if file["source"] in KNOWN_SOURCES:
            check_entries(reader, file)
        if'''),
    ("R-56: entries of higher minor versions are not checked", '''        check_entries(reader, file)
        if''', '''        if not reader.newer:
            check_entries(reader, file)
        if'''),
    ("R-56: the rows of unknown sources' timelines are not summed", '''    if "timeline" in file and sum(''', '''    if "timeline" in file and file["source"] in KNOWN_SOURCES and sum('''),
    ("R-57: any step", '''    fault_if(step not in STEPS, "R-57", "not a step of a timeline: %d" % step)
''', "    fault_if(step == 0, \"R-57\", \"step 0\")\n"),
    ("R-57: a step is missing", "(1, 2, 4, 8, 16, 32, 64,", "(1, 2, 4, 8, 16, 64,"),
    ("R-57: the longest step is missing", "16384, 65536, 262144)]", "16384, 65536)]"),
    ("R-57: the step of 2048 days", "1024, 4096,", "1024, 2048, 4096,"),
    ("R-57: the steps of 5 seconds", "(1, 2, 10, 30,", "(1, 2, 5, 10, 30,"),
    ("R-57: bins in any order", '''any(one[0] >= two[0] for''', '''False and any(one[0] >= two[0] for'''),
    ("R-57: a bin twice", '''any(one[0] >= two[0] for''', '''any(one[0] > two[0] for'''),
    ("R-57: the finest step is needed", '''        if bins != bins_of([one''', '''        if STEPS.index(file["timeline"]["stepMs"]) and timeline_of([one for one in times if one is not None])["stepMs"] != file["timeline"]["stepMs"] or bins != bins_of([one''', CRASHES),
    ("R-57: 65 bins", "array_of(pair_of(integer, count), MAX_TIMELINE_BINS)", "array_of(pair_of(integer, count))"),
    ("R-57: 64 bins are refused", "array_of(pair_of(integer, count), MAX_TIMELINE_BINS)", "array_of(pair_of(integer, count), MAX_TIMELINE_BINS - 1)"),
    ("R-57: timelines of 65 bins", "if len(bins) <= MAX_TIMELINE_BINS:", "if len(bins) <= MAX_TIMELINE_BINS + 1:"),
    ("R-57: timelines of 63 bins", "if len(bins) <= MAX_TIMELINE_BINS:", "if len(bins) < MAX_TIMELINE_BINS:"),
    ("R-57: bins of negative times are cut off towards zero", "bins[milliseconds // step] = bins.get(milliseconds // step, 0) + 1", "bins[int(milliseconds / step)] = bins.get(int(milliseconds / step), 0) + 1"),
    ("R-57: a bin includes its end", "bins[milliseconds // step] = bins.get(milliseconds // step, 0) + 1", "bins[(milliseconds - 1) // step] = bins.get((milliseconds - 1) // step, 0) + 1"),
    ("R-58: beyond 64 bits", '''        fault_if(not -2 ** 63 <= number * step < 2 ** 63, "R-58", "a bin beyond 64 bits")
''', ""),
    ("R-58: rows before the year 1", '''rows > 0 and (number + 1) * step <= FIRST_MS''', '''False'''),
    ("R-58: rows after the year 9998", '''rows > 0 and number * step >= END_MS''', '''False'''),
    ("R-58: a bin across the year 1 is refused", '''rows > 0 and (number + 1) * step <= FIRST_MS''', '''rows > 0 and number * step < FIRST_MS'''),
    ("R-58: a bin across the year 9999 is refused", '''rows > 0 and number * step >= END_MS''', '''rows > 0 and (number + 1) * step > END_MS'''),
    ("R-58: empty bins before the year 1 are refused", '''rows > 0 and (number + 1) * step <= FIRST_MS''', '''(number + 1) * step <= FIRST_MS'''),
    ("R-58: empty bins after the year 9998 are refused", '''rows > 0 and number * step >= END_MS''', '''number * step >= END_MS'''),
    ("R-58: bins of 0 rows are refused", '''for number, rows in file["timeline"]["bins"] if rows]''', '''for number, rows in file["timeline"]["bins"]]'''),
    ("R-58: an empty timeline is refused", '''    step, bins = timeline["stepMs"], timeline["bins"]
''', '''    step, bins = timeline["stepMs"], timeline["bins"]
    fault_if(not bins, "R-58", "an empty timeline")
'''),
    ("R-59: bins are not checked", '''        check_bins(reader, file, times)
''', ""),
    ("R-59: only the sum of bins is checked", '''        if bins != bins_of([one for one in times if one is not None], file["timeline"]["stepMs"]):''', '''        if sum(rows for _, rows in bins) != sum(one is not None for one in times):'''),
    ("R-59: only the bins' numbers are checked", '''        if bins != bins_of([one for one in times if one is not None], file["timeline"]["stepMs"]):''', '''        if [one for one, _ in bins] != [one for one, _ in bins_of([one for one in times if one is not None], file["timeline"]["stepMs"])]:'''),
]

# Chunks
BUGS += [
    ("R-61: a file with rows and without chunks", '''any(file["count"] > 0 and "chunks" not in file for''', '''all(file["count"] > 0 and "chunks" not in file for'''),
    ("R-61: chunks never count for nothing", '''return any(file["count"] > 0 and "chunks" not in file for''', '''return not any("chunks" in file for'''),
    ("R-61: a file without rows needs chunks", '''any(file["count"] > 0 and "chunks" not in file for''', '''any("chunks" not in file for'''),
    ("R-61: sums of chunks that count for nothing are not checked", '''        check_chunk_numbers(reader, file)
''', '''        if not without_chunks(manifest):
            check_chunk_numbers(reader, file)
'''),
    ("R-62: the index counts from the start", '''places = [len(data) - 10 - sum(chunk["compressed"] for chunk in chunks)]''', '''places = [10 + sum(chunk["compressed"] for chunk in chunks)]'''),
    ("R-62: the index counts from 8 bytes before the end", '''places = [len(data) - 10 - sum(''', '''places = [len(data) - 8 - sum('''),
    ("R-62.1: the manifest's part is not inflated", '''    if inflate_part(data[10:begin]) != line:                         # 1
        return False
''', ""),
    ("R-62.2: the last block is not compared", '''    if data[-10:-8] != END:                                             # 2
        return False
''', ""),
    ("R-62.3: the length is not compared", '''    if int.from_bytes(data[-4:], "little") != length & 0xffffffff:      # 3
        return False
''', ""),
    ("R-62.4: the CRC-32 is not compared", '''return int.from_bytes(data[-8:-4], "little") == crc                 # 4''', '''return True'''),
    ("R-62: a chunk may end inside a block", '''return text if inflater.eof and not after and not inflater.unused_data else None''', '''return text'''),
    ("R-62: crc32_combine with the length in bits", '''    power = 1 << 23                             # x^8''', '''    power = 1 << 30'''),
    ("R-63: an index that does not fit is damage", '''        if not chunks or not index_fits(data, line + b"\\n", chunks):
            return None''', '''        if not chunks:
            return None
        if not index_fits(data, line + b"\\n", chunks):
            reader.fault("R-62", "the index does not fit")'''),
    ("R-64: `bytes` of chunks", '''reader.fault_if(len(lines) != chunk["bytes"], "R-64"''', '''reader.fault_if(False, "R-64"'''),
    ("R-64: `rows` of chunks", '''reader.fault_if(lines.count(b"\\n") != chunk["rows"], "R-64"''', '''reader.fault_if(False, "R-64"'''),
    ("R-64: `crc32` of chunks", '''reader.fault_if(zlib.crc32(lines) != chunk["crc32"], "R-64"''', '''reader.fault_if(False, "R-64"'''),
    ("R-64: nothing of chunks is checked", '''    check_chunks(reader, chunks, rest)
    lines''', '''    lines'''),
    ("R-64: chunks that count for nothing are checked", '''    check_chunks(reader, chunks, rest)
    lines''', '''    check_chunks(reader, [chunk for file in manifest["files"] for chunk in file.get("chunks", [])], rest)
    lines'''),
    ("R-64: `compressed` binds", '''    if other or not''', '''    reader.fault_if(packed and chunks and chunk_places(data, chunks)[0] < 10, "R-64", "`compressed` is wrong")
    if reader.faults:
        return Result("damaged", reader, "", manifest, logs)
    if other or not'''),
]

# Minor version 2, limits
BUGS += [
    ("1.2: a label of 256 bytes", "1 <= len(value.encode()) <= 255", "1 <= len(value.encode())"),
    ("1.2: labels are counted in characters", "1 <= len(value.encode()) <= 255", "1 <= len(value) <= 255"),
    ("1.2: a label of 255 bytes is refused", "1 <= len(value.encode()) <= 255", "1 <= len(value.encode()) < 255"),
    ("1.2: an empty label", "1 <= len(value.encode()) <= 255", "len(value.encode()) <= 255"),
    ("1.2: control characters in a label", r'''"[\x00-\x1f\x7f-\x9f]", value), "R-6"''', r'''"[\x00]", value), "R-6"'''),
    ("1.2: C1 control characters in a label", r'''"[\x00-\x1f\x7f-\x9f]", value), "R-6"''', r'''"[\x00-\x1f\x7f]", value), "R-6"'''),
    ("1.2: a slash in a label is refused", r'''"[\x00-\x1f\x7f-\x9f]", value), "R-6"''', r'''"[/\x00-\x1f\x7f-\x9f]", value), "R-6"'''),
    ("1.2: another `how`", '''pattern("R-6", "merged|filtered|redacted")''', '''string'''),
    ("1.2: `redacted` is refused", '''merged|filtered|redacted''', '''merged|filtered'''),
    ("1.2: `merged` is refused", '''merged|filtered|redacted''', '''filtered|redacted'''),
    ("1.2: `filtered` is refused", '''merged|filtered|redacted''', '''merged|redacted'''),
    ("1.2: derived of no bundles", "array_of(digest, MAX_FILES, 1)", "array_of(digest, MAX_FILES)"),
    ("1.2: derived of anything", "array_of(digest, MAX_FILES, 1)", "array_of(anything, MAX_FILES, 1)"),
    ("1.2: an `id` in upper case", '''"[0-9a-f]{32}"''', '''"[0-9a-fA-F]{32}"'''),
    ("1.2: an `id` of any length", '''"[0-9a-f]{32}"''', '''"[0-9a-f]+"'''),
    ("1.2: `segment` may be missing", '''    ("segment", 2, True, count),''', '''    ("segment", 2, False, count),''', CRASHES),
    ("R-67: `previous` is missing", '''("previous" in history) != (history["segment"] != 0)''', '''"previous" in history and history["segment"] == 0'''),
    ("R-67: `previous` in segment 0", '''("previous" in history) != (history["segment"] != 0)''', '''"previous" not in history and history["segment"] != 0'''),
    ("R-68: `follows` is missing", '''("follows" in file) != ("history" in manifest)''', '''"follows" in file and "history" not in manifest'''),
    ("R-68: `follows` without `history`", '''("follows" in file) != ("history" in manifest)''', '''"follows" not in file and "history" in manifest'''),
    ("R-69: `log` is missing", '''("log" in follows) != (state != "absent")''', '''"log" in follows and state == "absent"'''),
    ("R-69: `log` with `absent`", '''("log" in follows) != (state != "absent")''', '''"log" not in follows and state != "absent"'''),
    ("R-69: `log.rows` is not checked", '''follows["log"]["rows"] > follows["overlap"] + file["count"]''', '''False'''),
    ("R-69: `log.rows` must be the sum", '''follows["log"]["rows"] > follows["overlap"] + file["count"]''', '''follows["log"]["rows"] != follows["overlap"] + file["count"]'''),
    ("R-69: `log.rows` is `rowsBefore` plus `count`", '''follows["log"]["rows"] > follows["overlap"] + file["count"]''', '''follows["log"]["rows"] > follows["rowsBefore"] + file["count"]'''),
    ("R-69: `log.bytes` may be missing", '''LOG = object_of([("bytes", 2, True, count)''', '''LOG = object_of([("bytes", 2, False, count)'''),
    ("R-69: `log.sha256` may be missing", '''("sha256", 2, True, digest)])''', '''("sha256", 2, False, digest)])'''),
    ("R-70: `gap` is missing", '''("gap" in follows) != (state == "gap")''', '''"gap" in follows and state != "gap"'''),
    ("R-70: `gap` in another state", '''("gap" in follows) != (state == "gap")''', '''"gap" not in follows and state == "gap"'''),
    ("R-70: `afterRow` is not checked", '''follows["gap"]["afterRow"] > known''', '''False'''),
    ("R-70: `afterRow` is above `rowsBefore`", '''follows["gap"]["afterRow"] > known''', '''follows["gap"]["afterRow"] > before'''),
    ("R-70: `afterRow` is below the sum", '''follows["gap"]["afterRow"] > known''', '''follows["gap"]["afterRow"] >= known'''),
    ("R-70: `gap` times of any form", '''    ("afterTime", 2, False, time),''', '''    ("afterTime", 2, False, string),'''),
    ("R-70: `beforeTime` of any form", '''    ("beforeTime", 2, False, time),''', '''    ("beforeTime", 2, False, string),'''),
    ("R-70: `gap` times are needed", '''    ("afterTime", 2, False, time),''', '''    ("afterTime", 2, True, time),'''),
    ("R-71: `overlap` is not checked", '''    fault_if(follows["overlap"] > before, "R-71"''', '''    fault_if(False, "R-71"'''),
    ("R-71: `trimmed` is not checked", '''    fault_if(follows["trimmed"] > before, "R-71"''', '''    fault_if(False, "R-71"'''),
    ("R-71: `overlap` is below `rowsBefore`", '''    fault_if(follows["overlap"] > before, "R-71"''', '''    fault_if(follows["overlap"] >= before > 0, "R-71"'''),
    ("R-71: `trimmed` is below `rowsBefore`", '''    fault_if(follows["trimmed"] > before, "R-71"''', '''    fault_if(follows["trimmed"] >= before > 0, "R-71"'''),
    ("R-71: `trimmed` and `overlap` are not above `rowsBefore` together", '''    fault_if(follows["trimmed"] > before, "R-71"''', '''    fault_if(follows["trimmed"] + follows["overlap"] > before, "R-71"'''),
    ("R-71: `rowsBefore` with `first`", '''state == "first" and before != 0''', '''False'''),
    ("R-71: rows with `unchanged`", '''state in ("unchanged", "absent") and file["count"]''', '''state == "absent" and file["count"]'''),
    ("R-71: bytes with `absent`", '''state == "absent" and file["bytes"] != 0''', '''False'''),
    ("R-71: bytes with `unchanged` are refused", '''state == "absent" and file["bytes"] != 0''', '''state in ("unchanged", "absent") and file["bytes"] != 0'''),
    ("R-71: overlap with `absent`", '''state == "absent" and follows["overlap"] != 0''', '''False'''),
    ("1.2: another `state`", '''pattern("R-6", "first|continues|unchanged|gap|altered|absent")''', '''string'''),
    ("1.2: `missingIds` overlap", '''last >= first for last, first''', '''last > first for last, first'''),
    ("1.2: `missingIds` are in any order", '''any(last >= first for last, first''', '''any(False for last, first'''),
    ("1.2: a pair of `missingIds` in any order", '''any(first > last for first, last''', '''any(False for first, last'''),
    ("1.2: one missing id is refused", '''any(first > last for first, last''', '''any(first >= last for first, last'''),
    ("1.2: 65 pairs of `missingIds`", '''array_of(pair_of(count, count), 64)''', '''array_of(pair_of(count, count))'''),
    ("1.2: 64 pairs of `missingIds` are refused", '''array_of(pair_of(count, count), 64)''', '''array_of(pair_of(count, count), 63)'''),
]
BUGS += [("1.2: the state `%s` is refused" % state, '"first|continues|unchanged|gap|altered|absent"',
          '"%s"' % "|".join(other for other in ("first", "continues", "unchanged", "gap", "altered", "absent") if other != state))
         for state in ("first", "continues", "unchanged", "gap", "altered", "absent")]
BUGS += [("type: `%s` may be missing" % key, '    ("%s", %d, True, %s),\n%s' % (key, since, form, after),
          '    ("%s", %d, False, %s),\n%s' % (key, since, form, after), CRASHES) for key, since, form, after in (
    ("generator", 1, "string", ""), ("exportedAt", 0, "time", ""), ("sources", 0, "array_of(name)", ""),
    ("totalCount", 0, "count", ""), ("version", 0, "count", ""), ("base", 1, 'pattern("R-6", "patchwork|activity")', ""),
    ("sha256", 1, "digest", ""), ("lineEnding", 1, 'pattern("R-6", "lf|crlf")', ""), ("finalNewline", 1, "boolean", ""),
    ("line", 1, "count", ""), ("compressed", 1, "count", ""), ("crc32", 1, "checksum", ""), ("stepMs", 1, "count", ""),
    ("entry", 0, "anything", ""), ("rowsBefore", 2, "count", ""), ("overlap", 2, "count", ""),
    ("trimmed", 2, "count", ""), ("afterRow", 2, "count", ""))]
BUGS += [
    ("type: `generator` is anything", '("generator", 1, True, string)', '("generator", 1, True, anything)'),
    ("type: another `base`", '''pattern("R-6", "patchwork|activity")''', '''string'''),
    ("type: another `lineEnding`", '''pattern("R-6", "lf|crlf")''', '''string'''),
    ("type: a `generator` of no bytes is refused", '("generator", 1, True, string)', '("generator", 1, True, name)'),
]


@functools.cache
def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def run(source, tests):
    """Runs the suite with this reader. Returns how it ends: "survived", "crash: …" or what catches the bug."""
    module = types.ModuleType("mutant")
    module.__file__ = "second.py"
    try:
        exec(compile(source, "second.py", "exec"), module.__dict__)
        module.read_file = read_file
        for directory, knows, order in tests:
            cases = dict(module.cases(directory, knows))
            for name in order:
                if cases[name]():
                    return name
    except Exception as problem:
        return "crash: %s: %s" % (type(problem).__name__, problem)
    return "survived"


def start(source, tests):
    """Starts `run` in a process of its own. Returns its number, where it writes its result, and its end."""
    output = tempfile.TemporaryFile()
    process = os.fork()
    if process == 0:
        try:
            result = run(source, tests)
        except BaseException as problem:
            result = "crash: %s" % type(problem).__name__
        os.write(output.fileno(), result.encode("utf-8", "replace"))
        os._exit(0)
    return process, output, time.monotonic() + TIMEOUT


def wait(process, output, end):
    """Returns the result of a process that has ended, or None while it runs."""
    if os.waitpid(process, os.WNOHANG)[0] == 0:
        if time.monotonic() < end:
            return None
        os.kill(process, 9)
        os.waitpid(process, 0)
        return "crash: timeout"
    output.seek(0)
    return output.read().decode() or "crash: no result"


def timed_cases(source, directory, knows):
    """Runs the suite with the reader as it is. Returns (directory, knows, names of the cases, the fastest first)."""
    module = types.ModuleType("reader")
    exec(compile(source, "second.py", "exec"), module.__dict__)
    module.read_file = read_file
    times = []
    for name, case in module.cases(directory, knows):
        begin = time.monotonic()
        failures = case()
        if failures:
            sys.exit("%s, without any bug: %s" % (name, failures))
        times.append((time.monotonic() - begin, name))
    if not times:
        sys.exit("no bundles in %s" % directory)
    return directory, knows, [name for _, name in sorted(times)]


def main(directory, *names):
    with open(os.path.join(HERE, "second.py"), encoding="utf-8") as file:
        source = file.read()
    bugs = [bug for bug in BUGS if not names or any(name in bug[0] for name in names)]
    wrong = ["%s: the old text occurs %d times" % (bug[0], source.count(bug[1])) for bug in bugs if source.count(bug[1]) != 1]
    wrong += ["%s: changes nothing" % bug[0] for bug in bugs if bug[1] == bug[2]]
    wrong += ["%s: twice" % name for name in {bug[0] for bug in bugs if sum(bug[0] == other[0] for other in bugs) > 1}]
    if wrong:
        sys.exit("\n".join(wrong))
    tests = [timed_cases(source, directory, 2), timed_cases(source, directory, 1)]
    tests[1] = directory, 1, [name for name in tests[1][2] if name.startswith(("history_", "minor_", "sound_minor_"))]
    waiting, running, survivors = list(bugs), [], 0
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            bug = waiting.pop(0)
            running.append((bug, start(source.replace(bug[1], bug[2]), tests)))
        for item in list(running):
            bug, result = item[0], wait(*item[1])
            if result is None:
                continue
            running.remove(item)
            if result == "survived" or (result.startswith("crash") and CRASHES not in bug[3:]):
                survivors += 1
                print("%s: %s" % (bug[0], result), flush=True)
            elif names:
                print("%s: caught by %s" % (bug[0], result), flush=True)
        time.sleep(0.005)
    print("%d bugs, %d not caught" % (len(bugs), survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    sys.exit(main(*sys.argv[1:]))
