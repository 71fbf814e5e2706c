#!/usr/bin/env python3
"""The fuzzer's dictionary of commands: every name and every option's word that the server's COMMAND DOCS has.

    dictionary.py            compares command.dict with the server; what is missing there or is no more fails
    dictionary.py --write    brings command.dict up to date
    dictionary.py --plant    overlooks one word of command.dict, which must be found
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Server  # noqa: E402
from grammar import words_of  # noqa: E402

PATH = os.path.join(HERE, "command.dict")
# What stands in arguments beside words: numbers at their edges, bounds of ranges, places, encodings of fields, shapes of requests.
OTHERS = ["0", "1", "-1", "2", "16", "100", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "0.5", "1e300", "-0",
          "inf", "-inf", "+inf", "(1", "(inf", "[a", "(a", "-", "+", "*", "?*", "[a-c]", "h*->f", "#", "u8", "i64", "#1", "km", "u63",
          "__key*", "3", "0-1", "1-1", "5-*", "\\x1c", "\\x1d", "\\x1dk\\x1d", "\\x1e", "\\x1f", "\\x1f\\x1d", "\\x1e\\x1d", "\\x0d\\x0a",
          "*1\\x0d\\x0a$4\\x0d\\x0a", "$-1\\x0d\\x0a"]


def text_of(words):
    lines = ["# Words for fuzz_command (libFuzzer: -dict=); dictionary.py --write makes this file, and a test compares it with the server."]
    return "\n".join(lines + ['"%s"' % word.decode() for word in sorted(words)] + ['"%s"' % word for word in OTHERS]) + "\n"


def main():
    with Server() as server, server.client(protocol=3) as client:
        words = words_of(client.call("COMMAND", "DOCS"))
    wanted = text_of(words)
    if sys.argv[1:] == ["--write"]:
        with open(PATH, "w", encoding="ascii") as file:
            file.write(wanted)
        return 0
    with open(PATH, encoding="ascii") as file:
        found = file.read()
    if sys.argv[1:] == ["--plant"]:
        found = found.replace('"APPEND"\n', "")
    if found == wanted:
        print("command.dict has all %d words" % len(words))
        return 0
    missing = sorted(set(wanted.splitlines()) - set(found.splitlines()))
    more = sorted(set(found.splitlines()) - set(wanted.splitlines()))
    print("command.dict lacks %s; has %s that are no more: run dictionary.py --write" % (" ".join(missing) or "nothing", " ".join(more) or "none"))
    return 1


sys.exit(main())
