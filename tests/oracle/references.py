#!/usr/bin/env python3
"""XDELEX, XACKDEL, and KEEPREF, DELREF and ACKED of XADD and XTRIM, beside redis-server 7.0, which has none of these.

    references.py [--shards 1,4] [--seconds N] [--seed N] [--plant]

What they shall do is worked out from what redis-server tells of its stream and its groups, and done there by XDEL, XACK and XTRIM. Then
replies, entries, groups and what is pending must be equal. --plant changes replies of kevy's, which must be found.
"""
import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Client, Error, Server, find_redis, program, run_seed  # noqa: E402

GROUPS, CONSUMERS, STEPS, MANY = ("g", "h"), ("alice", "bob"), 300, "1000000"
RULES = ("KEEPREF", "DELREF", "ACKED")


def number(text):
    ms, _, sequence = (text.decode() if isinstance(text, bytes) else text).partition("-")
    return int(ms), int(sequence or 0)


class Model:
    """The stream as redis-server has it."""

    def __init__(self, redis):
        self.redis = redis

    def ids(self, key="s"):
        return [entry[0] for entry in self.redis.call("XRANGE", key, "-", "+")]

    def groups(self):
        """{name: (the last number that it has read, what is pending)}."""
        infos = self.redis.call("XINFO", "GROUPS", "s")
        if isinstance(infos, Error):
            return {}
        found = {}
        for info in infos:
            info = dict(zip(info[::2], info[1::2]))
            pending = [each[0] for each in self.redis.call("XPENDING", "s", info[b"name"], "-", "+", MANY)]
            found[info[b"name"].decode()] = (number(info[b"last-delivered-id"]), pending)
        return found

    def needed(self, entry):
        return any(number(entry) > last or entry in pending for last, pending in self.groups().values())

    def forget(self, entries):
        for name in self.groups():
            for entry in entries:
                self.redis.call("XACK", "s", name, entry)

    def delete(self, rule, entries):
        """XDELEX: its answers."""
        answers = []
        for entry in entries:
            if entry not in self.ids():
                answers.append(-1)
            elif rule == "ACKED" and self.needed(entry):
                answers.append(2)
            else:
                self.redis.call("XDEL", "s", entry)
                answers.append(1)
        if rule == "DELREF":
            self.forget(entries)
        return answers

    def acknowledge(self, group, rule, entries):
        """XACKDEL: its answers."""
        acknowledged = [self.redis.call("XACK", "s", group, entry) == 1 for entry in entries]
        answers = [-1] * len(entries)
        for at, entry in enumerate(entries):
            if acknowledged[at]:
                answers[at] = 2 if rule == "ACKED" and self.needed(entry) else 1
                if answers[at] == 1:
                    self.redis.call("XDEL", "s", entry)
        if rule == "DELREF":
            self.forget([entry for at, entry in enumerate(entries) if acknowledged[at]])
        return answers

    def trim(self, rule, how):
        """XTRIM of a stream that is there: how many entries are gone."""
        ids, exact = self.ids(), how[1] not in ("~", "=") or how[1] == "="
        if rule == "KEEPREF" or not self.groups():
            return self.redis.call("XTRIM", "s", *how)
        if rule == "DELREF":
            gone = self.redis.call("XTRIM", "s", *how)
            if isinstance(gone, int) and gone:
                last = number(ids[gone - 1])
                self.forget([entry for _, pending in self.groups().values() for entry in pending if number(entry) <= last])
            return gone
        candidates = ids
        if not (exact and how[0] == "MAXLEN"):
            self.redis.call("COPY", "s", "copied", "REPLACE")
            candidates = ids[:self.redis.call("XTRIM", "copied", *how)]
            self.redis.call("DEL", "copied")
        most = len(ids) - int(how[-1]) if how[0] == "MAXLEN" else len(ids)
        gone = [entry for entry in candidates if not self.needed(entry)][:max(most, 0)]
        for entry in gone:
            self.redis.call("XDEL", "s", entry)
        return len(gone)


class Maker:
    def __init__(self, seed):
        self.random, self.last = random.Random(seed), 0

    def pick(self, *some):
        return self.random.choice(some)

    def entry(self):
        return b"%d-0" % self.random.randint(max(1, self.last - self.pick(3, 12)), self.last + 1)

    def entries(self):
        return [self.entry() for _ in range(self.pick(1, 1, 2, 3, 6, 40))]

    def how(self):
        sign = self.pick([], ["="], ["~"])
        return ["MAXLEN"] + sign + [str(self.pick(0, 1, 3, 8, 20))] if self.random.random() < 0.6 else ["MINID"] + sign + [self.entry().decode()]

    def change(self):
        """What both know."""
        group, consumer = self.pick(*GROUPS), self.pick(*CONSUMERS)
        return self.pick(["XGROUP", "CREATE", "s", group, self.pick("0", "$", self.entry()), "MKSTREAM"],
                         ["XREADGROUP", "GROUP", group, consumer, "COUNT", str(self.pick(1, 3, 9)), "STREAMS", "s", ">"],
                         ["XREADGROUP", "GROUP", group, consumer, "COUNT", str(self.pick(1, 3, 9)), "STREAMS", "s", ">"],
                         ["XACK", "s", group] + self.entries(), ["XACK", "s", group] + self.entries(), ["XDEL", "s", self.entry()],
                         ["XCLAIM", "s", group, consumer, "0", self.entry(), "FORCE", "JUSTID"],
                         ["XGROUP", "DESTROY", "s", group] if self.random.random() < 0.1 else ["XLEN", "s"],
                         ["DEL", "s"] if self.random.random() < 0.05 else ["COPY", "s", "other", "REPLACE"])


def ordered(rule, how, maker):
    """The rule before what is trimmed, or behind it; KEEPREF may be left out."""
    said = [] if rule == "KEEPREF" and maker.random.random() < 0.5 else [maker.pick(rule, rule.lower())]
    return said + how if maker.random.random() < 0.5 else how + said


def step(kevy, model, maker):
    """One command: its words, and what kevy and the model answer."""
    dice, rule = maker.random.random(), maker.pick(*RULES)
    if dice < 0.35:
        maker.last += maker.pick(1, 1, 2)
        words, new = ["XADD", "s"], "%d-0" % maker.last
        if dice < 0.25:
            expected = model.redis.call(*words, new, "f", "v")
            return words + [new, "f", "v"], kevy.call(*words, new, "f", "v"), expected
        how = maker.how()
        expected = model.redis.call(*words, new, "f", "v")
        model.trim(rule, how)
        words += ordered(rule, how, maker) + [new, "f", "v"]
        return words, kevy.call(*words), expected
    if dice < 0.6:
        words = maker.change()
        return words, kevy.call(*words), model.redis.call(*words)
    entries = maker.entries()
    listed = ordered(rule, ["IDS", str(len(entries))] + entries, maker)
    if dice < 0.72:
        return ["XDELEX", "s"] + listed, kevy.call("XDELEX", "s", *listed), model.delete(rule, entries)
    if dice < 0.86:
        group = maker.pick(*GROUPS)
        return ["XACKDEL", "s", group] + listed, kevy.call("XACKDEL", "s", group, *listed), model.acknowledge(group, rule, entries)
    how = maker.how()
    words = ["XTRIM", "s"] + ordered(rule, how, maker)
    return words, kevy.call(*words), model.trim(rule, how)


def state(side):
    """All that can be asked without the clock."""
    seen = [side.call("XRANGE", "s", "-", "+"), side.call("XINFO", "GROUPS", "s"), side.call("XLEN", "other")]
    info = side.call("XINFO", "STREAM", "s")
    if not isinstance(info, Error):
        info = dict(zip(info[::2], info[1::2]))
        seen.append([info[name] for name in (b"last-generated-id", b"max-deleted-entry-id", b"entries-added")])
    for group in GROUPS:
        for consumer in CONSUMERS:
            pending = side.call("XPENDING", "s", group, "-", "+", MANY, consumer)
            seen.append(pending if isinstance(pending, Error) else [(each[0], each[1], each[3]) for each in pending])
    return seen


def round_of(kevy, redis, maker, plant):
    for side in (kevy, redis):
        side.call("FLUSHALL")
        side.call("CONFIG", "SET", "stream-node-max-entries", "4")
    model = Model(redis)
    for _ in range(STEPS):
        words, mine, expected = step(kevy, model, maker)
        if plant and isinstance(mine, list) and mine and mine[0] == 2:
            mine = [1] + mine[1:]
        if (mine, state(kevy)) != (expected, state(redis)):
            sys.exit("DIFFERENT: %s\n    kevy  %r %r\n    shall %r %r" % (words, mine, state(kevy), expected, state(redis)))
    return STEPS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", default="1,4")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
    parser.add_argument("--seed", type=int, default=run_seed())
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    print("seed %d" % options.seed)
    count, ways = 0, options.shards.split(",")
    for at, shards in enumerate(ways):
        with Server(shards=int(shards), path=program()) as mine, Server(path=find_redis()) as his:
            kevy, redis = Client(mine, 2), Client(his, 2)
            until, rounds = time.monotonic() + options.seconds / len(ways), 0
            while rounds == 0 or (rounds < options.rounds and time.monotonic() < until):
                count += round_of(kevy, redis, Maker(options.seed * 1000 + at * 100 + rounds), options.plant)
                rounds += 1
    print("%d commands, the expected replies and streams" % count)


if __name__ == "__main__":
    main()
