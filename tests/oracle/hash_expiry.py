#!/usr/bin/env python3
"""Fields that expire, beside servers that know them, Redis 8.0 and Valkey 9.1: the same random commands to both, the same replies.

    hash_expiry.py [--shards 1,4] [--seconds N] [--seed N] [--plant]

Redis 7.0, with which all else is compared, has no such fields. The others are found by find_later_redis and find_valkey; where there is
none, that is said, and nothing is compared. Valkey's errors are others, and what it finds wrong: it gets no wrong arguments.

Commands go in pipelines; small hashes and large ones, times that are far or over, and now and then arguments that are wrong. What DUMP
gives of each goes to the other, and must be the same value there. Times that were told relative to the present may differ by what
lies between the two servers' clocks, so no condition compares these.

--plant changes one answer of kevy's, which must be found.
"""
import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Client, Error, Server, find_later_redis, find_valkey, program, run_seed  # noqa: E402

FAR_MS = 4102444800000  # the year 2100
SLACK_MS = 60000  # between the servers' answers about a relative time: far less than what tells two of these times apart
BATCH = 24
KEYS = ["h", "g", "k"]
TELLING = ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME")


class Maker:
    """Random commands; `faults`: some are wrong."""

    def __init__(self, seed, faults):
        self.random, self.faults = random.Random(seed), faults
        self.names = self.random.choice((6, 14, 400))

    def pick(self, *some):
        return self.random.choice(some)

    def chance(self, share):
        return self.random.random() < share

    def fault(self, share):
        return self.chance(share) and self.faults

    def field(self):
        return "L" * 600 + self.pick("1", "2") if self.chance(0.01) else "f%d" % self.random.randrange(self.names)

    def value(self):
        return "x" * self.pick(100, 300, 1100, 3000) if self.chance(0.02) else str(self.random.randrange(-50, 1000))

    def fields(self, values=False):
        count = self.pick(1, 1, 1, 2, 3, 5, 20)
        words = [word for _ in range(count) for word in ([self.field(), self.value()] if values else [self.field()])]
        if self.fault(0.03):
            count = self.pick(0, -1, count + 1, count - 1, "x", "", "99999999999999999999", 1 << 31)
        return ["FIELD" if self.fault(0.01) else self.pick("FIELDS", "FIELDS", "fields"), str(count)] + words

    def time(self, form):
        """s, ms: from now; S, MS: at."""
        if self.fault(0.03):
            return str(self.pick(-1, "x", "", 70368744177663, 70368744177664, 70368744177, 70368744178, 1 << 62, 1 << 63, "1.5"))
        if self.chance(0.12):
            return str(0 if form in ("s", "ms") else self.pick(0, 1, 1000))
        if form in ("s", "ms"):
            return str(self.pick(1000000, 2000000, 3000000) * (1000 if form == "ms" else 1))
        at_ms = FAR_MS + self.pick(0, 1000, 2000, 50000, 123, 999999)
        return str(at_ms // 1000 if form == "S" else at_ms)

    def expiration(self, word):
        if self.chance(0.3):
            return []
        if self.chance(0.15):
            return [word]
        token = self.pick("EX", "PX", "EXAT", "PXAT", "ex", "pxat")
        return [token, self.time({"EX": "s", "PX": "ms", "EXAT": "S", "PXAT": "MS"}[token.upper()])]

    def expire(self, name):
        form = {"HEXPIRE": "s", "HPEXPIRE": "ms", "HEXPIREAT": "S", "HPEXPIREAT": "MS"}[name]
        conditions = ["NX", "XX", "nx"] + (["GT", "LT", "gt"] if self.absolute_only else [])
        words = [self.pick(*conditions)] if self.chance(0.4) else []
        words += [self.pick("ZZ", "NX")] if self.fault(0.02) else []
        return [name, self.key(), self.time(form)] + words + self.fields()

    def key(self):
        return "text" if self.chance(0.01) else self.pick(*KEYS)

    def hsetex(self):
        words = [[self.pick("FNX", "FXX", "fxx")] if self.chance(0.3) else [], self.expiration("KEEPTTL")]
        if self.fault(0.03):
            words.append(self.pick(["FXX"], ["KEEPTTL"], ["EX", "10"], ["zz"]))
        self.random.shuffle(words)
        return ["HSETEX", self.key()] + words[0] + words[1] + (words[2] if len(words) > 2 else []) + self.fields(values=True)

    absolute_only = False

    def command(self):
        key, one = self.key(), [self.field()]
        some = [word for _ in range(self.pick(1, 2, 10, min(self.names, 60))) for word in (self.field(), self.value())]
        drawn = self.random.randrange(31)
        expiring = ["HPEXPIREAT", "HEXPIREAT"] if self.absolute_only else ["HPEXPIREAT", "HEXPIREAT", "HEXPIRE", "HPEXPIRE"]
        if drawn < 8:
            words = self.expire(self.pick(*expiring))
        elif drawn < 12:
            words = self.hsetex()
        elif drawn < 15:
            words = ["HGETEX", key] + self.expiration("PERSIST") + self.fields()
        elif drawn < 20:
            words = [self.pick(*TELLING, "HPERSIST", "HGETDEL"), key] + self.fields()
        else:
            words = self.pick(["HSET", key] + some, ["HSET", key] + some, ["HINCRBY", key] + one + [self.value()], ["HSETNX", key] + one + [self.value()],
                              ["HINCRBYFLOAT", key] + one + ["0.5"], ["HDEL", key] + [self.field() for _ in range(self.pick(1, 2, 30))], ["HLEN", key],
                              ["HGET", key] + one, ["HMGET", key] + one + one, ["HEXISTS", key] + one, ["HSTRLEN", key] + one,
                              ["COPY", key, self.pick(*KEYS), "REPLACE"], ["RENAME", key, self.pick(*KEYS)], ["PEXPIREAT", key, str(FAR_MS)],
                              ["PERSIST", key], ["PEXPIRETIME", key], ["TYPE", key], ["DEBUG", "DIGEST-VALUE", key] if self.faults else ["HLEN", key])
        return words[:self.random.randrange(2, len(words) + 1)] if self.fault(0.01) else words


def same(words, ours, theirs):
    if ours == theirs:
        return True
    lists = isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs)
    if words[0] not in TELLING or not lists:
        return False
    return all(a == b or (a > 0 and b > 0 and abs(a - b) <= SLACK_MS) for a, b in zip(ours, theirs))


def give_each_other(kevy, redis, key, before):
    """DUMP of both, RESTORE to both."""
    for giver in (kevy, redis):
        payload = giver.call("DUMP", key)
        if payload is None or isinstance(payload, Error):
            continue
        told = [(side.call("RESTORE", "copy", "0", payload, "REPLACE"), side.call("DEBUG", "DIGEST-VALUE", "copy")) for side in (kevy, redis)]
        if told[0] != told[1]:
            different(["DUMP", key], told[0], told[1], before)


def different(words, ours, theirs, before):
    print("DIFFERENT: %s\n    kevy:  %s\n    redis: %s\nbefore:" % (" ".join(words)[:500], repr(ours)[:500], repr(theirs)[:500]))
    for line in before[-12:]:
        print("    " + " ".join(line)[:200])
    sys.exit(1)


def compare(kevy, redis, maker, until, plant):
    """A round from empty databases."""
    count, before = 0, []
    maker.absolute_only = maker.chance(0.5)
    for side in (kevy, redis):
        side.call("FLUSHALL")
        side.call("SET", "text", "x")
    for _ in range(40):
        if time.monotonic() > until and count:
            break
        batch = [maker.command() for _ in range(BATCH)]
        for side in (kevy, redis):
            side.send(b"".join(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)
                               for words in batch))
        for words in batch:
            ours, theirs = kevy.read(), redis.read()
            if plant and isinstance(ours, list) and ours:
                ours = ours[:-1] + [77]
            if not same(words, ours, theirs):
                different(words, ours, theirs, before)
            before.append(words)
        count += BATCH
        if maker.fault(0.3):
            give_each_other(kevy, redis, maker.pick(*KEYS), before)
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="1,4")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
    parser.add_argument("--seed", type=int, default=run_seed())
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    peers = {"Redis 8": find_later_redis(), "Valkey 9": find_valkey()}
    for name in [name for name, path in peers.items() if path is None]:
        print("skipped: there is no %s; nothing was compared with it%s" % (name, ", nor DIFFERENT" if options.plant else ""))
        del peers[name]
    if not peers:
        sys.exit(1 if options.plant else 0)
    print("seed %d, %s" % (options.seed, ", ".join(peers.values())))
    ways = [(path, int(shards), protocol) for path in peers.values() for shards in options.shards.split(",") for protocol in (2, 3)]
    count = 0
    for number, (path, shards, protocol) in enumerate(ways):
        with Server("--enable-debug-command", "yes", shards=shards, path=program()) as ours, Server(path=path) as theirs:
            kevy, peer = Client(ours, protocol), Client(theirs, protocol)
            until, rounds = time.monotonic() + options.seconds / len(ways), 0
            while rounds == 0 or (rounds < options.rounds and time.monotonic() < until):
                maker = Maker(options.seed * 1000 + number * 100 + rounds, faults=path == peers.get("Redis 8"))
                count += compare(kevy, peer, maker, until, options.plant)
                rounds += 1
    print("%d commands, the same replies" % count)


if __name__ == "__main__":
    main()
