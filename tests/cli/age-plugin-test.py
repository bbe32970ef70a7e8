#!/usr/bin/env python3
"""A plugin of age for tests, as C2SP age-plugin describes them. It keeps no secret: it flips the bits of file keys.

The environment variable PLUGIN_DOES says what it does: ask (for a PIN, a text and a decision), fail, die, or stammer.
"""

import base64
import os
import sys

STANZA = "flipped"
DOES = os.environ.get("PLUGIN_DOES", "")


def encode(data):
    return base64.b64encode(data).decode().rstrip("=")


def decode(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


def send(*words, body=b""):
    text = encode(body)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    if len(text) % 64 == 0:
        lines.append("")
    sys.stdout.write("-> " + " ".join(words) + "\n" + "".join(line + "\n" for line in lines))
    sys.stdout.flush()


def receive():
    words = sys.stdin.readline().split()[1:]
    body = ""
    while True:
        line = sys.stdin.readline().rstrip("\n")
        body += line
        if len(line) < 64:
            return words, decode(body)


def call(*words, body=b""):
    send(*words, body=body)
    return receive()


def phase_1():
    commands = []
    while True:
        words, body = receive()
        if words[0] == "done":
            return commands
        commands.append((words, body))


def flipped(key):
    return bytes(byte ^ 0xFF for byte in key)


def misbehave():
    if DOES == "die":
        sys.exit(1)
    if DOES == "stammer":
        print("what?", flush=True)
        sys.exit(1)
    if DOES == "fail":
        call("error", "internal", body="the token\x1b[31m is not there".encode())
        send("done")
        sys.exit(0)


def ask():
    if DOES == "ask":
        call("msg", body=b"touch\x07 the token")
        (words, pin) = call("request-secret", body=b"PIN of the token:")
        (_, color) = call("request-public", body=b"Color")
        (_, _) = call("confirm", encode(b"go on"), body=b"Plugged in?")
        (decision, _) = call("confirm", encode(b"use it"), encode(b"skip it"), body=b"Use it?")
        if words != ["ok"] or pin != b"1234" or color != b"blue" or decision != ["ok", "yes"]:
            call("error", "internal", body=b"wrong answers")
            send("done")
            sys.exit(0)


def main():
    commands = phase_1()
    misbehave()
    ask()
    if sys.argv[1] == "--age-plugin=recipient-v1":
        key = next(body for words, body in commands if words[0] == "wrap-file-key")
        for words, _ in commands:
            if words[0] == "add-recipient":
                call("recipient-stanza", "0", STANZA, body=flipped(key))
    else:
        for words, body in commands:
            if words[:3] == ["recipient-stanza", "0", STANZA]:
                call("file-key", "0", body=flipped(body))
                break
    send("done")


main()
