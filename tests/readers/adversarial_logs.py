"""Writes the nastiest logs that a bundle may have to carry.

Usage: adversarial_logs.py PATCHWORK_DIR ACTIVITY_DIR EXPECTED

EXPECTED gets what every reader of the bundle must find, one log a line and sorted: source, file, rows, and the sum of
the rows' "id". Which lines are rows is said here by hand, so the program under test has no part in it.
"""

import os
import sys


def nested(levels):
    """A row that nests this deep, its own object included."""
    return b'{"id":%d,"deep":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


# Lines that are rows. "%d" is where the row's id goes; rows without one count 0.
ROWS = [
    b'{"id":%d}',
    b'\xef\xbb\xbf{"id":%d,"bom":true}',
    b' \t\x0b\x0c\xc2\xa0\xe3\x80\x80{"id":%d}\xe2\x80\xa8 \t',
    b'{"id":%d,"big":12345678901234567890,"float":1.0,"huge":1e400,"minus":-0,"tiny":1e-400}',
    b'{"id":%d,"a":1,"a":2,"a":{"b":1,"b":2}}',
    b'{"id":%d,"10":1,"2":2,"":3}',
    b'{"id":%d,"__proto__":{"id":7},"constructor":1}',
    b'{"__proto__":{"x":1},"id":%d}',
    b'{"id":%d,"high":"\\ud800","low":"\\udc00","swapped":"\\udc00\\ud800","pair":"\\ud83d\\ude00"}',
    b'{"id":%d,"\\ud800":"key","cut":"\\ud83d\\u0041","escaped":"\\\\ud800"}',
    b'{"id":%d,"invalid":"\xff\xfe","cut":"\xf0\x9f\x98","overlong":"\xc0\x80","surrogate":"\xed\xa0\x80"}',
    b'{"id":%d,"\xff":1}',
    b'{\r"id":%d\r,\r\r"a":\r[1,\r2]}',
    b'\r{"id":%d}\r',
    b'{"id":%d,"separators":"\xe2\x80\xa8 \xe2\x80\xa9 \xc2\x85"}',
    b'{"id":%d,"\xe2\x80\xa8":"\xff\xe2\x80\xa9"}',
    b'{"id":%d,"controls":"\\u0000\\u0001\\u001f\x7f\xc2\x80","noncharacter":"\xef\xbf\xbf","emoji":"\xf0\x9f\x98\x80"}',
    b'{"id":%d,"source":"activity","file":"x","entry":{"id":5},"original":{"text":"x"},"type":"manifest"}',
    nested(127),
    nested(128),
    b"null",
    b"1",
    b"-0",
    b"false",
    b'""',
    b'"text"',
    b"[]",
    b"{}",
    b"[" * 128 + b"]" * 128,
]

# Lines that are none.
OTHERS = [
    b"",
    b" ",
    b"\r",
    b"\xef\xbb\xbf",
    b'{"id":1',
    b'1,"status":"done"}',
    b'{"id":1}{"id":2}',
    b"\0" * 300,
    b'{"id":1,"nul":"a\0b"}',
    b'{"id":1,"tab":"a\tb"}',
    b"{'id':1}",
    b"NaN",
    b"\xff\xfe\x00",
    b"\x1b[31mtext\x1b[0m \xe2\x80\xa8 \xc2\x85",
    b"[" * 129 + b"]" * 129,
    b"[" * 100_000 + b"]" * 100_000,
]


class Log:
    """A log and what it must give."""

    def __init__(self):
        self.text, self.rows, self.ids = [], 0, 0

    def row(self, line, ending=b"\n"):
        if b"%d" in line:
            self.ids += self.rows + 1
            line = line.replace(b"%d", b"%d" % (self.rows + 1), 1)
        self.rows += 1
        self.text.append(line + ending)

    def other(self, line, ending=b"\n"):
        self.text.append(line + ending)


def adversarial_log(ending, last=b""):
    """Rows and other lines in turns. `last` is a row without a line feed."""
    log = Log()
    for index, row in enumerate(ROWS):
        log.row(row, ending)
        log.other(OTHERS[index % len(OTHERS)], ending)
    if last:
        log.row(last, b"")
    return log


def mixed():
    """Both line endings in one log."""
    log = Log()
    for index, row in enumerate(ROWS):
        log.row(row, [b"\n", b"\r\n"][index % 2])
    return log


def large():
    """Rows of some megabytes, of each of which one cannot stand in a bundle as it is."""
    log = Log()
    log.row(b'{"id":%d,"long":"' + b"x" * 3_000_000 + b'"}')
    log.row(b'{"id":%d,"cleaned":"' + b"\xff" * 1_000_000 + b'"}')
    log.other(b"torn " * 200_000)
    log.row(b'{"id":%d}')
    return log


def many():
    """Enough rows for several chunks."""
    log = Log()
    for minute in range(30_000):
        time = b"2026-05-%02dT%02d:%02d:00.000Z" % (minute // 1440 + 1, minute // 60 % 24, minute % 60)
        log.row(b'{"id":%d,"timestamp":"' + time + b'","kind":"tool","tool":"Bash \xe2\x80\x94 ls","status":"ok"}')
    return log


def only_others():
    log = Log()
    for line in OTHERS:
        log.other(line)
    return log


def main():
    patchwork, activity, expected = sys.argv[1:]
    logs = [
        (patchwork, "runs", "runs.jsonl.1", adversarial_log(b"\n")),
        (patchwork, "runs", "runs.jsonl", adversarial_log(b"\r\n", b'{"id":%d,"last":true}\r')),
        (patchwork, "decision_traces", "decision_traces.jsonl", large()),
        (patchwork, "commit_issue_links", "commit_issue_links.jsonl", only_others()),
        (activity, "activity", "activity.jsonl", adversarial_log(b"\n", b'{"id":%d,"last":true}')),
        (activity, "activity", "activity-log.jsonl", Log()),
        (activity, "activity", "activity-3100.jsonl", many()),
        (activity, "activity", "ACTIVITY-3101.JSONL", mixed()),
    ]
    for directory, _, name, log in logs:
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, name), "wb") as file:
            file.write(b"".join(log.text))
    lines = [f"{source}\t{name}\t{log.rows}\t{log.ids}\n" for _, source, name, log in logs if log.rows]
    with open(expected, "w", encoding="ascii", newline="\n") as file:
        file.writelines(sorted(lines))


main()
