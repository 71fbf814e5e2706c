#!/usr/bin/env python3
"""Fills a transcript in with redis-server's replies, for a writer of transcripts to read and judge.

    record.py DRAFT.txt >TRANSCRIPT.txt

A draft is a transcript (see run.py) in which commands may stand without their replies. redis-server runs it in RESP2 and RESP3, one
command after the other; the replies are written behind their commands, those in RESP3 only where they differ. What stands there
already is kept, and must be what redis-server answers. A line `!` behind a command says that it gets no reply at this point.
"""
import os
import re
import sys
import tempfile

import run
from kevy import Server, find_redis
from resp import parse

LONG_BYTES = 40  # from here on a value that a @let names is written by its name


class Recorder(run.Run):
    """A run that reads the reply of each step for which none is expected."""

    def __init__(self, server, transcript, protocol, silent):
        super().__init__(server, transcript, protocol, pipelined=False)
        self.silent, self.replies = silent, {}

    def check(self, step):
        if step.expect[2] or step.line in self.silent:
            super().check(step)
        else:
            raw = self.client.read_raw("the reply to %s" % step.text)
            parse(raw)
            self.replies[step.line] = run.in_one_order(raw, step.unordered) if step.unordered and raw[:1] in b"*~%" else raw


def words(raw, variables):
    """The reply's lines as a transcript has them: each bulk's contents on a line of its own."""
    at = 0
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        line, at = raw[at:end], end + 2
        yield escaped(line, variables)
        if line[:1] in (b"$", b"=") and line[1:].isdigit():
            end = at + int(line[1:])
            yield escaped(raw[at:end], variables)
            at = end + 2


def escaped(data, variables):
    for name, value in variables.items():
        if len(value) >= LONG_BYTES and value in data:
            before, _, behind = data.partition(value)
            return "%s$(%s)%s" % (escaped(before, variables), name, escaped(behind, variables))
    named = {"\r": "\\r", "\n": "\\n", "\\": "\\\\"}
    return "".join(named.get(chr(c)) or (chr(c) if 32 <= c < 127 else "\\x%02x" % c) for c in data)


def written(mark, raw, variables):
    return ["%s%s" % (mark, " " + word if word else "") for word in words(raw, variables)]


def record(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    silent = {number - 1 for number, line in enumerate(lines, 1) if line == "!"}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("".join(("" if line == "!" else line) + "\n" for line in lines) + "> PING\n< +PONG\n")
        file.flush()
        transcript = run.Transcript(file.name)
    recorders = {}
    with Server(*transcript.server_arguments, path=find_redis()) as server:
        for protocol in transcript.protocols:
            recorders[protocol] = Recorder(server, transcript, protocol, silent)
            recorders[protocol].run()
            run.clean(server)
    first = recorders[transcript.protocols[0]]
    for number, line in enumerate(lines, 1):
        if line != "!":
            yield line
        if number in first.replies:
            raw = first.replies[number]
            yield from written("<", raw, first.variables)
            if 3 in recorders and recorders[3] is not first:
                other = recorders[3].replies[number]
                if other != run.nulls_to_resp3(raw):
                    yield from written("3<", other, first.variables)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for line in record(sys.argv[1]):
        print(line)


if __name__ == "__main__":
    main()
