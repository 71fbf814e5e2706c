#!/usr/bin/env python3
"""What INFO counts: after each command of a random run kevy and redis-server have counted the same.

    counts.py [--seconds N] [--rounds N] [--shards 1,4] [--seed N] [FILE...]

Compared are the hits and misses of lookups, keys that were found expired, and changes since the last save. The commands are those of
run.py, one at a time; their replies are not looked at, which run.py does. What draws lots is left out, because the servers would differ
afterwards. A failure is shrunk to few commands that still fail, and printed as a script; written to a file, that runs by itself.
"""
import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import commands  # noqa: E402
import families  # noqa: E402
import resp  # noqa: E402
from kevy import Client, encode, find_redis, program, run_seed  # noqa: E402
from pair import ServerPair  # noqa: E402

FIELDS = (b"keyspace_hits", b"keyspace_misses", b"expired_keys", b"rdb_changes_since_last_save")
# Other counts, or other keys to look up, whatever the server: lots, cursors, saving, another clock, connections that close.
LEFT_OUT = {b"SPOP", b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER", b"RANDOMKEY", b"SCAN", b"HSCAN", b"SSCAN", b"ZSCAN", b"SAVE", b"BGSAVE",
            b"QUIT", b"RESET", b"HELLO", b"MONITOR", b"SHUTDOWN", b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"CLIENT", b"AUTH", b"MULTI",
            b"DEBUG", b"CONFIG", b"ZREMRANGEBYLEX"}  # where scores differ, the last one's range is chance in redis-server


class Difference(Exception):
    def __init__(self, index, arguments, kevy, redis):
        names = [name.decode() for name, a, b in zip(FIELDS, kevy, redis) if a != b]
        super().__init__("%s counts %s otherwise: kevy %s, redis %s"
                         % (" ".join(map(repr, arguments)), ", ".join(names), list(kevy), list(redis)))
        self.index = index


class Side:
    """A server and its counts since it was opened. `lies` (for the canary): each GET counts one hit too many."""

    def __init__(self, server, lies=False):
        self.lies, self.lied = lies, 0
        self.client, self.watcher = Client(server), Client(server)
        self.client.call("FLUSHALL", "SYNC")
        self.client.pipeline([("CONFIG", "SET", name, value) for name, value in families.THRESHOLDS.items()])
        self.first = self.now()

    def now(self):
        fields = dict(line.split(b":", 1) for text in (self.watcher.call("INFO", "stats"), self.watcher.call("INFO", "persistence"))
                      for line in bytes(text).split(b"\r\n") if b":" in line)
        return [int(fields[name]) for name in FIELDS]

    def ask(self, arguments):
        self.client.send(encode(*arguments))
        self.client.read_raw("a reply")
        self.lied += self.lies and arguments[0].upper() == b"GET"
        counts = [now - first for now, first in zip(self.now(), self.first)]
        counts[0] += self.lied
        return counts

    def close(self):
        self.client.close(), self.watcher.close()


class Pair(ServerPair):
    Difference, STEPS = Difference, "commands"

    def play(self, script):
        sides = [Side(self.kevy, lies=self.planted), Side(self.redis)]
        try:
            for index, arguments in enumerate(script):
                kevy, redis = (side.ask(arguments) for side in sides)
                if kevy != redis:
                    raise Difference(index, arguments, kevy, redis)
        finally:
            for side in sides:
                side.close()

    def script_of(self, steps):
        return "".join(" ".join('"%s"' % "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\x%02x" % c for c in word)
                                for word in arguments) + "\n" for arguments in steps)


def suits(arguments):
    words = [word.upper() for word in arguments]
    waits = words[0].startswith((b"BL", b"BR", b"BZ", b"WAIT")) or b"BLOCK" in words
    by_lot = words[0] == b"ZRANGESTORE" and b"BYLEX" in words
    return not (words[0] in LEFT_OUT or by_lot or waits or b"@DUMP" in arguments or commands.extra_writes(arguments) or commands.leaves_expired(arguments))


def sequence(rng, length, others):
    generator = commands.Generator(rng, past_expiry=False, others=others)
    drawn = []
    while len(drawn) < length:
        arguments = generator.command()
        if suits(arguments):
            drawn.append(arguments)
    return drawn


def read_script(path):
    with open(path, encoding="utf-8") as file:
        return [resp.split_arguments(line) for line in map(str.strip, file) if line and not line.startswith("#")]


def main():
    parser = argparse.ArgumentParser(description="Compares what kevy and redis-server count.")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
    parser.add_argument("--commands", type=int, default=150, help="in a round")
    parser.add_argument("--shards", type=lambda s: [int(n) for n in s.split(",")], default=[1, 4])
    parser.add_argument("--seed", default=run_seed())
    parser.add_argument("--keep-going", action="store_true", help="report every difference, not only the first")
    parser.add_argument("--plant", action="store_true", help="plant a wrong count: this run must fail")
    options = parser.parse_args()
    if not find_redis():
        sys.exit("no redis-server is installed: apt-get install redis-server")
    print("%s against %s, seed %s" % (program(), find_redis(), options.seed), flush=True)
    failed = 0
    for shards in options.shards:
        asked, number, started = 0, 0, time.monotonic()
        with Pair(shards, "", planted=options.plant) as servers:
            for path in options.files:
                failed += not servers.passes(path, read_script(path))
            while not options.files and number < options.rounds and time.monotonic() - started < options.seconds / len(options.shards):
                name = "%s.%d.%d" % (options.seed, shards, number)
                drawn = sequence(random.Random(name), options.commands, list(families.TEMPLATES))
                failed += not servers.passes("round %s" % name, drawn)
                asked, number = asked + len(drawn), number + 1
                if failed and not options.keep_going:
                    break
        print("%d shards: %d commands in %d rounds" % (shards, asked, number), flush=True)
    if failed:
        sys.exit("%d differences" % failed)


if __name__ == "__main__":
    main()
