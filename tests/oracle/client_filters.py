#!/usr/bin/env python3
"""CLIENT LIST and CLIENT KILL with the filters of Valkey 9, beside a valkey-server that has the same clients.

    client_filters.py [--shards 1,4] [--seconds N] [--seed N] [--plant]

Some clients with names, libraries, databases and flags are connected to both; random filters must list the same ones, by their names, and
kill as many, or have the same error. Where Redis 7.0 has an answer to the same words, kevy has that (client.txt); these are not asked.
--plant overlooks one client in kevy's lists, which must be found.
"""
import argparse
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Client, Error, Server, find_valkey, program, run_seed  # noqa: E402

NAMES = ["one", "two", "three", "four", "five", "six"]
QUESTIONS = 200


def connect(server):
    """{name: its connection}; what they are like is the same everywhere."""
    clients = {}
    for at, name in enumerate(NAMES):
        client = clients[name] = Client(server, 3 if at % 2 else 2)
        client.call("CLIENT", "SETNAME", name)
        if at % 3:
            client.call("CLIENT", "SETINFO", "LIB-NAME", "lib%d" % (at % 3))
            client.call("CLIENT", "SETINFO", "LIB-VER", "1.%d" % (at % 2))
        client.call("SELECT", str(at % 3))
        if at % 2:
            client.call("CLIENT", "NO-EVICT", "ON")
        if at == 2:
            client.call("CLIENT", "CAPA", "redirect")
        if at == 4:
            client.call("MULTI")
    clients["asker"] = Client(server, 2)
    clients["asker"].call("CLIENT", "SETNAME", "asker")
    return clients


def ids_of(asker):
    text = asker.call("CLIENT", "LIST").decode()
    return {re.search(r" name=(\S*)", line)[1]: re.match(r"id=(\d+)", line)[1] for line in text.splitlines() if line}


def random_filters(chance):
    """Words; one that names a client stands as a tuple, for ids are others on each server."""
    def pick(*some):
        return chance.choice(some)

    def some_ids():
        return [(pick(*NAMES, "asker"),) for _ in range(pick(1, 1, 2, 3))] + (["99999999"] if chance.random() < 0.2 else [])

    words = []
    for _ in range(pick(1, 1, 2, 2, 3)):
        no = pick("", "", "NOT-", "not-")
        words += pick(lambda: [no + "NAME", pick(*NAMES, "asker", "none", "")], lambda: [no + "LIB-NAME", pick("lib1", "lib2", "none", "")],
                      lambda: [no + "LIB-VER", pick("1.0", "1.1", "2")], lambda: [no + "DB", pick("0", "1", "2", "15", "16", "-1", "x")],
                      lambda: [no + "FLAGS", pick("N", "e", "x", "ex", "P", "", "z", "U", "Nz")], lambda: [no + "CAPA", pick("r", "r", "", "x", "rx")],
                      lambda: [no + "ID"] + some_ids(), lambda: [no + "TYPE", pick("normal", "pubsub", "replica", "primary", "master", "bad")],
                      lambda: [no + "USER", pick("default", "default", "nobody")], lambda: ["SKIPME", pick("yes", "no", "no", "maybe")],
                      lambda: ["MAXAGE", pick("100000", "0", "-1", "x")], lambda: ["IDLE", pick("100000", "0", "x")],
                      lambda: [no + "IP", pick("127.0.0.1", "1.2.3.4", "x")], lambda: [no + "ADDR", pick("1.2.3.4:5", "x")],
                      lambda: [no + "LADDR", "1.2.3.4:5"])()
    return words


def as_in_redis(words):
    """Numbers alone, which are listed in their own order."""
    return words[0].upper() == "ID"


def ask(clients, command, words):
    """The names that are listed, in their order of age, or how many were killed, or an error."""
    ids = ids_of(clients["asker"])
    words = [ids.get(word[0], "88888888") if isinstance(word, tuple) else word for word in words]
    reply = clients["asker"].call("CLIENT", command, *words)
    if isinstance(reply, (Error, int)):
        return reply
    return sorted(re.findall(r" name=(\S*)", reply.decode()))


def round_of(kevy, valkey, chance, plant):
    sides = [connect(kevy), connect(valkey)]
    for _ in range(QUESTIONS):
        words = random_filters(chance)
        if as_in_redis(words):
            continue
        mine, his = (ask(side, "LIST", words) for side in sides)
        if plant and isinstance(mine, list):
            mine = [name for name in mine if name != "four"]
        if mine != his:
            sys.exit("DIFFERENT: CLIENT LIST %s\n    kevy   %r\n    valkey %r" % (words, mine, his))
    killing = ["NAME", chance.choice(NAMES), "SKIPME", "yes"] + chance.choice(([], ["NOT-DB", "1"], ["FLAGS", "e"]))
    mine, his = (ask(side, "KILL", killing) for side in sides)
    if mine != his:
        sys.exit("DIFFERENT: CLIENT KILL %s\n    kevy   %r\n    valkey %r" % (killing, mine, his))
    for side in sides:
        for client in side.values():
            client.close()
    return QUESTIONS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="1,4")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
    parser.add_argument("--seed", type=int, default=run_seed())
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    valkey_path = find_valkey()
    if not valkey_path:
        print("skipped: there is no valkey-server of version 9")
        sys.exit(0 if not options.plant else "DIFFERENT: nothing was compared")
    print("seed %d" % options.seed)
    count, ways = 0, options.shards.split(",")
    for at, shards in enumerate(ways):
        until, rounds = time.monotonic() + options.seconds / len(ways), 0
        while rounds == 0 or (rounds < options.rounds and time.monotonic() < until):
            with Server(shards=int(shards), path=program()) as kevy, Server(path=valkey_path) as valkey:
                count += round_of(kevy, valkey, random.Random(options.seed * 1000 + at * 100 + rounds), options.plant)
            rounds += 1
    print("%d questions, the same answers" % count)


if __name__ == "__main__":
    main()
