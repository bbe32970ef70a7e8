#!/usr/bin/env python3
"""Runs a command on a terminal of its own and types answers.

Usage: type.py ANSWER... -- COMMAND...

Types the next answer whenever the command has printed something that ends in a colon. What the command prints is shown
only if it fails, or asks more or fewer times than there are answers. The exit code is the command's.
"""

import os
import pty
import select
import sys

PATIENCE_SECONDS = 120


def run(answers, command):
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    printed, since_answer, asked = b"", b"", 0
    while True:
        ready, _, _ = select.select([terminal], [], [], PATIENCE_SECONDS)
        if not ready:
            os.kill(child, 9)
            break
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # The other side is closed.
            break
        if not piece:
            break
        printed, since_answer = printed + piece, since_answer + piece
        if since_answer.rstrip(b" ").endswith(b":"):
            asked, since_answer = asked + 1, b""
            if asked > len(answers):
                os.kill(child, 9)
                break
            os.write(terminal, answers[asked - 1].encode() + b"\n")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0 or asked != len(answers):
        sys.stderr.buffer.write(printed)
        print(f"{asked} questions, {len(answers)} answers", file=sys.stderr)
        return code or 1
    return 0


if __name__ == "__main__":
    border = sys.argv.index("--")
    sys.exit(run(sys.argv[1:border], sys.argv[border + 1 :]))
