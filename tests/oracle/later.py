#!/usr/bin/env python3
"""What came after Redis 7.0 and concerns hashes, sets, sorted sets and strings, beside servers that have it, or beside what Redis 7.0
makes of it.

    later.py [--shards 1,4] [--seconds N] [--seed N] [--plant]

- HSCAN NOVALUES, ZRANK and ZREVRANK WITHSCORE, WAITAOF: a later redis-server (find_later_redis); ZSCAN NOSCORES: a valkey-server (find_valkey).
  Where there is none that is said, and these are left out.
- SUNIONCARD and SDIFFCARD: how many members SUNION and SDIFF reply, LIMIT at most; wrong arguments as SINTERCARD has them.
- ZUNION and ZINTER with AGGREGATE COUNT: the sum of the weights of the sets that have a member.
- DELEX: DEL, if the value is the one that was named, or is not.
- DIGEST: the same for the same strings, and no other.

All servers run the same random changes. --plant changes one answer of kevy's, which must be found.
"""
import argparse
import contextlib
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Client, Error, Server, find_later_redis, find_redis, find_valkey, program, run_seed  # noqa: E402

KEYS = ["a", "b", "c", "d", "e"]
TURNS, CHANGES, QUESTIONS = 20, 12, 40  # a round has so many turns, and each of them so many of these


class Maker:
    """Random commands."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = self.random.choice((4, 20, 300))
        self.digests = {}

    def pick(self, *some):
        return self.random.choice(some)

    def chance(self, share):
        return self.random.random() < share

    def name(self):
        number = self.random.randrange(self.names)
        return self.pick(str(number), "m%d" % number) if self.chance(0.99) else "L" * 1500 + str(number % 3)

    def names_of(self, most):
        return [self.name() for _ in range(self.pick(1, 1, 2, 5, most))]

    def keys(self):
        return [self.pick(*KEYS, "none") for _ in range(self.pick(1, 1, 2, 2, 3, 5, 9))]

    def change(self):
        key, pairs = self.pick(*KEYS), [word for name in self.names_of(60) for word in (str(self.random.randrange(5)), name)]
        return self.pick(["SADD", key] + self.names_of(60), ["SADD", key] + self.names_of(60), ["SREM", key] + self.names_of(9), ["ZADD", key] + pairs,
                         ["ZREM", key] + self.names_of(9), ["HSET", key] + pairs, ["HDEL", key] + self.names_of(9), ["SET", key, self.name()],
                         ["DEL", key] if self.chance(0.3) else ["HDEL", key, self.name()])

    def counted(self):
        """numkeys and keys, now and then wrong ones."""
        keys = self.keys()
        if self.chance(0.9):
            return [str(len(keys))] + keys
        return [str(self.pick(0, -1, len(keys) + 1, len(keys) - 1, "x", 1 << 63, "9" * 30, ""))] + keys

    def limit(self):
        if self.chance(0.5):
            return []
        if self.chance(0.15):
            return self.pick(["LIMIT"], ["LIMIT", "-1"], ["LIMIT", "x"], ["LIMITS", "1"], ["LIMIT", "1", "LIMIT", "2"], ["LIMIT", str(1 << 63)])
        return [self.pick("LIMIT", "limit"), str(self.pick(0, 1, 2, 7, 50, (1 << 63) - 1))]


class Peers:
    def __init__(self, redis, later, valkey):
        self.redis, self.later, self.valkey = redis, later, valkey

    def all(self):
        return [peer for peer in (self.redis, self.later, self.valkey) if peer]


# ---- Questions: what is asked, and what kevy shall reply, or None where nobody can tell ------------------------------------


def ask_card(maker, peers):
    whole = maker.pick("SUNION", "SDIFF")
    counted, limit = maker.counted(), maker.limit()
    told = peers.redis.call("SINTERCARD", *counted, *limit)
    approx = ["APPROX"] if whole == "SUNION" and maker.chance(0.2) else []
    words = [whole + "CARD"] + counted + maker.pick(approx + limit, limit + approx)
    if isinstance(told, Error):
        return words, None if approx else told
    members = peers.redis.call(whole, *counted[1:])
    if isinstance(members, Error):
        return words, members
    most = int(limit[-1]) if limit else 0
    return words, min(len(members), most or len(members))


def ask_scan(maker, peers):
    command, option, peer = maker.pick(("HSCAN", "NOVALUES", peers.later), ("ZSCAN", "NOSCORES", peers.valkey))
    key, options = maker.pick(*KEYS, "none"), [[option], ["COUNT", "100000"]]
    if maker.chance(0.5):
        options.append(["MATCH", maker.pick("*", "m*", "*1*", "", option)])
    if maker.chance(0.1):
        options.append(maker.pick([option], ["COUNT", "0"], ["COUNT", "x"], ["NOSUCH"], ["MATCH"]))
    if command == "HSCAN" and maker.chance(0.1):
        command = maker.pick("SSCAN", "ZSCAN")
    maker.random.shuffle(options)
    words = [command, key, maker.pick("0", "0", "0", "x")] + [word for words in options for word in words]
    return words, peer.call(*words) if peer else None


def ask_waitaof(maker, peers):
    """Neither server appends to a file, nor has replicas."""
    number = lambda *some: str(maker.pick(0, 0, 1, *some, -1, 1 << 63, "x", ""))
    words = ["WAITAOF", number(0, 1, 2), number(2, 1 << 40), str(maker.pick(1, 1, 1, 2, -1, 1 << 62, "x")) if maker.chance(0.9) else "1.5"]
    if words[2] not in ("0", "-1", "x", "") and words[3] == str(1 << 62):
        words[3] = "1"
    return words, peers.later.call(*words) if peers.later else None


def ask_rank(maker, peers):
    words = [maker.pick("ZRANK", "ZREVRANK"), maker.pick(*KEYS, "none"), maker.name(), maker.pick("WITHSCORE", "withscore", "WITHSCORES")]
    return words, peers.later.call(*words) if peers.later else None


def ask_aggregate(maker, peers):
    """Asked with scores; members in the order of these, and of their bytes."""
    command, keys = maker.pick("ZUNION", "ZINTER"), maker.keys()
    weights = [maker.pick(1, 2, 3, -1, 0) for _ in keys] if maker.chance(0.5) else None
    words = [command, str(len(keys))] + keys + (["WEIGHTS"] + [str(weight) for weight in weights] if weights else []) + ["AGGREGATE", "COUNT", "WITHSCORES"]
    sets = []
    for key in keys:
        kind = peers.redis.call("TYPE", key)
        if kind not in ("zset", "set", "none"):
            return words, peers.redis.call(command, "1", key)
        sets.append(set(peers.redis.call("ZRANGE", key, "0", "-1") if kind == "zset" else peers.redis.call("SMEMBERS", key)))
    members = set.union(*sets) if command == "ZUNION" else set.intersection(*sets)
    sums = {member: sum(weight for weight, members in zip(weights or [1] * len(keys), sets) if member in members) for member in members}
    return words, [[member, score] for score, member in sorted((score, member) for member, score in sums.items())]


def ask_delex(maker, peers):
    key, value = maker.pick(*KEYS, "none"), maker.name()
    kind = peers.redis.call("TYPE", key)
    there = peers.redis.call("GET", key) if kind == "string" else None
    if there is not None and maker.chance(0.5):
        value = there.decode()
    condition = maker.pick([], ["IFEQ", value], ["ifne", value])
    words = ["DELEX", key] + condition
    if condition and kind not in ("string", "none"):
        return words, Error("ERR Key should be of string type if conditions are specified")
    equal = there is not None and there.decode() == value
    gone = kind != "none" and (not condition or equal == (condition[0] == "IFEQ"))
    if gone:
        for peer in peers.all():
            peer.call("DEL", key)
    return words, int(gone)


def wrong_digest(maker, peers, kevy):
    """What is wrong with a digest, or None."""
    key = maker.pick(*KEYS, "none")
    there, told = peers.redis.call("GET", key), kevy.call("DIGEST", key)
    if there is None or isinstance(there, Error):
        return None if told == there else "DIGEST %s: %r" % (key, told)
    if maker.digests.setdefault(there, told) != told or len(set(maker.digests.values())) != len(maker.digests):
        return "DIGEST of %r is %r: %r" % (there, told, maker.digests)
    return None


ASKERS = (ask_card, ask_card, ask_card, ask_scan, ask_rank, ask_waitaof, ask_aggregate, ask_delex)


# ---- Comparing -------------------------------------------------------------------------------------------------------------


def comparable(words, reply):
    """Scans in any order; scores of ZUNION and ZINTER as numbers, in pairs."""
    if isinstance(reply, list) and words[0].endswith("SCAN"):
        return [reply[0], sorted(reply[1])]
    if isinstance(reply, list) and words[0] in ("ZUNION", "ZINTER"):
        pairs = reply if reply and isinstance(reply[0], list) else list(zip(reply[::2], reply[1::2]))
        return [[member, float(score)] for member, score in pairs]
    return reply


def different(what, ours, expected):
    sys.exit("DIFFERENT: %s\n    kevy:     %r\n    expected: %r" % (what[:500], ours, expected))


def compare(kevy, peers, maker, plant):
    """A round from empty databases. How many questions were compared."""
    asked = 0
    for side in (kevy, *peers.all()):
        side.call("FLUSHALL")
    for turn in range(TURNS * (CHANGES + QUESTIONS)):
        if turn % (CHANGES + QUESTIONS) < CHANGES:
            words = maker.change()
            replies = [side.call(*words) for side in (kevy, *peers.all())]
            if any(reply != replies[0] for reply in replies):
                different(" ".join(words), replies[0], replies[1:])
            continue
        words, expected = maker.pick(*ASKERS)(maker, peers)
        reply = kevy.call(*words)
        if expected is None and not (words[0].endswith("RANK") and peers.later):
            continue
        if plant and isinstance(reply, int):
            reply += 1
        if comparable(words, reply) != comparable(words, expected):
            different(" ".join(words), reply, expected)
        wrong = wrong_digest(maker, peers, kevy)
        if wrong:
            different(wrong, None, None)
        asked += 1
    return asked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="1,4")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
    parser.add_argument("--seed", type=int, default=run_seed())
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    paths = [find_redis(), find_later_redis(), find_valkey()]
    for path, what in zip(paths[1:], ("redis-server of version 8: HSCAN NOVALUES and WITHSCORE are", "valkey-server of version 9: ZSCAN NOSCORES is")):
        if path is None:
            print("skipped: there is no %s not compared" % what)
    print("seed %d" % options.seed)
    ways = [(int(shards), protocol) for shards in options.shards.split(",") for protocol in (2, 3)]
    count = 0
    for number, (shards, protocol) in enumerate(ways):
        with contextlib.ExitStack() as stack:
            kevy = Client(stack.enter_context(Server(shards=shards, path=program())), protocol)
            peers = Peers(*(Client(stack.enter_context(Server(path=path)), protocol) if path else None for path in paths))
            until, rounds = time.monotonic() + options.seconds / len(ways), 0
            while rounds == 0 or (rounds < options.rounds and time.monotonic() < until):
                count += compare(kevy, peers, Maker(options.seed * 1000 + number * 100 + rounds), options.plant)
                rounds += 1
    print("%d questions, the expected replies" % count)


if __name__ == "__main__":
    main()
