#!/usr/bin/env python3
"""The server is killed (SIGKILL) at every step that it does with its files; what it finds when it starts again must be what it may be.

    run.py --killed KEVY_KILLED save        SAVE over an older file: the old or the new one, whole
"""
import argparse
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from kevy import Closed, Server, encode  # noqa: E402
from killer import Killer  # noqa: E402

KEYS = 300


def wrong(text):
    sys.exit("WRONG: " + text)


# ---- SAVE --------------------------------------------------------------------------------------------------------------------


def fill(client, number):
    value = b"%d:" % number + b"x" * 500
    client.pipeline([("SET", "key:%d" % i, value) for i in range(KEYS)] + [("RPUSH", "list", number), ("SET", "number", number)])


def saved_number(client):
    """Which save is there, all of it."""
    number = int(client.call("GET", "number") or 0)
    if number and client.call("DBSIZE") != KEYS + 2:
        wrong("save %d has %s keys" % (number, client.call("DBSIZE")))
    for i in range(KEYS if number else 0):
        if not client.call("GET", "key:%d" % i).startswith(b"%d:x" % number):
            wrong("save %d holds another's values" % number)
    return number


def run_save(arguments):
    seen = []
    with Killer() as killer, Server("--rdbcompression", "no", path=arguments.killed, env=killer.environment, start=False) as server:
        said, number = 0, 0
        while True:
            server.shards = random.choice((1, 3, 8))
            server.start()
            with server.client() as client:
                there = saved_number(client)
                if there not in (said, number):
                    wrong("save %d is there; %d was the last that was said to be done, %d was begun" % (there, said, number))
                if number and killer.fell() is None:
                    break
                said = there
                number += 1
                fill(client, number)
                killer.arm(number)
                client.send(encode("SAVE"))
                try:
                    if client.read() == "OK":
                        said = number
                except (Closed, OSError):
                    seen.append(killer.fell())
                    said = number if arguments.plant else said
            server.kill()
        server.stop()
    if len(seen) < 6:
        wrong("only killed at %s" % ", ".join(seen))
    print("ok: killed where it %s" % ", ".join(seen))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--killed", type=os.path.abspath, required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    save = commands.add_parser("save")
    save.add_argument("--plant", action="store_true")
    arguments = parser.parse_args()
    globals()["run_" + arguments.command](arguments)


if __name__ == "__main__":
    main()
