#!/usr/bin/env python3
"""The oracle of client tracking: several clients that read, change and keep what they read; kevy and redis-server must tell the same
ones of the same invalid keys, in the same order.

    tracking.py [--seconds N] [--shards 1,4] [--seed N] [FILE...]

A script is a list of steps, each a client's commands, sent at once. After each step every client asks for its own token (PING): what it
has been sent before that is what the step was worth to it, and must be the same on both sides. Clients with even numbers speak RESP2, the
others RESP3. What BCAST tells at the end of a turn comes in one message or in several, as turns fall; and who changes what another has read
that redirects to him is told among his own replies by Redis, and behind them by kevy. So for who tracks by prefixes, and for
those to whom somebody redirects, the keys of a step are compared as a set. A failure is shrunk and printed; written to a file, that runs by
itself.

Then a storm is compared with itself: clients that cache what they read, while others write, and a reader must never keep an old value: when
all is quiet each copy that was not invalidated is what the server has.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import resp  # noqa: E402
from kevy import Client, encode, eventually  # noqa: E402
from scripts import WAIT_S, Oracle, Tokens  # noqa: E402

CLIENTS = 7
TARGETS = 3  # of these: clients that others redirect to. Redis may tell them in the middle of a reply, so they change nothing
STEPS = 60
STORM_READERS, STORM_WRITERS, STORM_KEYS, STORM_ROUNDS = 4, 3, 40, 150
KEYS = ("x", "y", "z", "xx", "zx")
PREFIXES = ("", "x", "y", "z", "xx", "zx")
FIELDS = (b"tracking_clients", b"tracking_total_keys", b"tracking_total_items", b"tracking_total_prefixes")
ID = re.compile(rb"id=\d+ ")


# ---- One server and its clients -----------------------------------------------------------------------------------------------


class Side(Tokens):
    def __init__(self, server, lie=False):
        super().__init__()
        self.server, self.lie, self.clients, self.ids = server, lie, {}, {}
        self.numbers = {}  # of all ids that there were
        self.loose = set()  # clients that are told by BCAST, or for others

    def open(self):
        self.asker = Client(self.server)
        self.asker.pipeline([["FLUSHALL"], ["DEBUG", "SET-ACTIVE-EXPIRE", "0"]])
        for number in range(CLIENTS):  # all at once, so that both sides' ids are in one order
            self.client(number)

    def close(self):
        for client in self.clients.values():
            client.close()
        self.clients = {}
        eventually("clients of the round before to be gone", lambda: self.figures()[0] == 0 and self.told("clients", b"connected_clients") == 1)
        self.asker.close()

    def told(self, section, name):
        lines = dict(line.split(b":", 1) for line in self.asker.call("INFO", section).splitlines() if b":" in line)
        return int(lines[name])

    def figures(self):
        return [self.told("clients" if name == b"tracking_clients" else "stats", name) for name in FIELDS]

    def client(self, number):
        if number not in self.clients:
            self.clients[number] = Client(self.server, protocol=2 + number % 2)
            self.ids[number] = self.clients[number].call("CLIENT", "ID")
            self.numbers[self.ids[number]] = number
        return self.clients[number]

    def gone(self, number):
        self.clients.pop(number).close()
        eventually("the server to notice that a client has left",
                   lambda: self.told("clients", b"connected_clients") == len(self.clients) + 1, WAIT_S)

    def act(self, number, commands):
        if commands[0][0] == "@close":
            if number in self.clients:
                self.gone(number)
            return {}
        client = self.client(number)
        for command in commands:
            self.loose |= {int(word[1:]) for word in command if word[:1] == "#"} | ({number} if "BCAST" in command else set())
        words = [[str(self.ids.get(int(word[1:]), 0)) if word[:1] == "#" else word for word in command] for command in commands]
        client.send(b"".join(encode(*command) for command in words))
        return self.gather(number)

    def gather(self, first):
        """What each client has been sent. Who has acted is asked first: what it did has happened then, and the turn in which it did is
        over when it has the answer; only then has BCAST told all."""
        got, before = {}, self.until_token(self.clients[first])
        for number in [first] + [n for n in sorted(self.clients) if n != first]:
            replies = (before if number == first else []) + self.until_token(self.clients[number])
            if replies:
                got[number] = replies
        if self.lie:
            self.alter(got)
        return {number: self.in_one_order(replies, number in self.loose) for number, replies in got.items()}

    @staticmethod
    def alter(got):
        """The canary: an invalidation is lost."""
        for replies in got.values():
            for i, raw in enumerate(replies):
                if b"invalidate" in raw:
                    del replies[i]
                    return

    def in_one_order(self, replies, loose):
        """Ids are the clients' numbers. Keys that BCAST tells of are gathered at the end: they have come in any number of messages, and
        stand in any place behind the replies. In which order those hear of a flush who redirect to one client is not promised."""
        told, keys, flushed = [], set(), []
        for raw in replies:
            names = invalid_keys(raw) if loose else None
            if names is not None:
                keys.update(names)
            elif loose and b"invalidate" in raw:
                flushed.append(raw)
            else:
                told.append(self.without_ids(raw))
        return told + sorted(flushed) + ([sorted(keys)] if keys else [])

    def without_ids(self, raw):
        for own, number in self.numbers.items() if b"redir" in raw else ():
            raw = re.sub(rb":%d\r\n" % own, b":client-%d\r\n" % number, raw)
        return raw

    def contents(self):
        lines = self.asker.call("CLIENT", "LIST").splitlines()
        states = sorted((self.number_of(line), re.search(rb"flags=(\w+)", line).group(1),
                         self.without_ids(b"redir:" + re.search(rb"redir=(-?\d+)", line).group(1) + b"\r\n")) for line in lines)
        return states, self.figures()

    def number_of(self, line):
        own = int(re.match(rb"id=(\d+)", line).group(1))
        return self.numbers.get(own, -1)


def invalid_keys(raw):
    """Of an invalidation, unless it is that of all keys."""
    if b"invalidate" not in raw:
        return None
    value = resp.parse(raw)
    if not isinstance(value, list) or not isinstance(value[-1], list):
        return None
    return [bytes(key) for key in value[-1]]


# ---- Scripts ------------------------------------------------------------------------------------------------------------------------


class Generator:
    def __init__(self, chance):
        self.random = chance
        self.makers = [(10, self.track), (20, self.read), (22, self.change), (8, self.transaction), (2, self.leave), (3, self.ask),
                       (5, self.caching), (3, self.subscribe), (2, self.muted), (6, self.mixed), (2, self.speak), (2, self.limit)]

    def script(self, length):
        makers, weights = [maker for _, maker in self.makers], [weight for weight, _ in self.makers]
        return [self.random.choices(makers, weights)[0]() for _ in range(length)]

    def client(self):
        return self.random.randrange(CLIENTS)

    def changer(self):
        return self.random.randrange(TARGETS, CLIENTS)

    def key(self):
        return self.random.choice(KEYS)

    def some(self, make, *counts):
        return [make() for _ in range(self.random.choice(counts))]

    # ---- Commands ----

    def tracking(self):
        if self.random.random() < 0.25:
            return ["CLIENT", "TRACKING", "OFF"]
        words = ["CLIENT", "TRACKING", "ON"]
        for chance, more in ((0.3, lambda: ["REDIRECT", "#%d" % self.random.randrange(TARGETS)]), (0.3, lambda: ["BCAST"]), (0.15, lambda: ["OPTIN"]),
                             (0.15, lambda: ["OPTOUT"]), (0.25, lambda: ["NOLOOP"])):
            if self.random.random() < chance:
                words += more()
        if "BCAST" in words or self.random.random() < 0.05:
            for _ in range(self.random.choice((0, 1, 1, 2))):
                words += ["PREFIX", self.random.choice(PREFIXES)]
        return words

    def reading(self):
        a, b = self.key(), self.key()
        return self.random.choice((["GET", a], ["GET", a], ["GET", a], ["MGET", a, b], ["STRLEN", a], ["EXISTS", a, b], ["TTL", a], ["TYPE", a],
                                   ["LRANGE", a, "0", "-1"], ["SMEMBERS", a], ["HGETALL", a], ["ZRANGE", a, "0", "-1"], ["SINTER", a, b],
                                   ["SORT_RO", a], ["ZUNION", "2", a, b], ["GETRANGE", a, "0", "1"],
                                   ["HGET", a, "1"], ["SINTERCARD", "1", a], ["LCS", a, b], ["BITCOUNT", a]))

    def changing(self):
        a, b = self.key(), self.key()
        return self.random.choice((["SET", a, "1"], ["SET", a, "2"], ["SET", a, "1", "EX", "1000"], ["SET", a, "1", "PXAT", "1"], ["GETDEL", a],
                                   ["APPEND", a, "1"], ["INCR", a], ["MSET", a, "1", b, "2"], ["DEL", a, b], ["RENAME", a, b], ["COPY", a, b],
                                   ["MOVE", a, "1"], ["EXPIRE", a, "1000"], ["PEXPIREAT", a, "1"], ["PERSIST", a], ["LPUSH", a, "1", "2"],
                                   ["RPOPLPUSH", a, b], ["LPOP", a], ["SADD", a, "1"], ["SPOP", a], ["SMOVE", a, b, "1"], ["ZADD", a, "1", "1"],
                                   ["ZPOPMIN", a], ["ZUNIONSTORE", a, "1", b], ["HSET", a, "1", "1"], ["HDEL", a, "1"], ["FLUSHDB"], ["FLUSHALL"],
                                   ["SELECT", self.random.choice("01")], ["SWAPDB", "0", "1"], ["SORT", a, "STORE", b], ["GETEX", a, "EX", "10"],
                                   ["SETRANGE", a, "0", "a"], ["LREM", a, "0", "1"], ["LTRIM", a, "0", "0"], ["ZREM", a, "1"],
                                   ["SETBIT", a, "0", "1"], ["PFADD", a, "1"], ["UNLINK", a], ["HINCRBY", a, "1", "1"]))

    # ---- Each returns a client and the commands that it sends at once ----

    def track(self):
        return self.client(), [self.tracking()]

    def read(self):
        return self.client(), self.some(self.reading, 1, 1, 2, 4)

    def change(self):
        return self.changer(), self.some(self.changing, 1, 1, 2, 4)

    def transaction(self):
        inner = [self.random.choice((self.reading, self.changing))() for _ in range(self.random.choice((1, 2, 4)))]
        before = [self.random.choice((["CLIENT", "CACHING", "YES"], ["CLIENT", "CACHING", "NO"]))] if self.random.random() < 0.3 else []
        return self.changer(), before + [["MULTI"]] + inner + [self.random.choice((["EXEC"], ["EXEC"], ["EXEC"], ["DISCARD"]))]

    def leave(self):
        return self.client(), [self.random.choice((["@close"], ["RESET"]))]

    def ask(self):
        return self.client(), [["CLIENT", "TRACKINGINFO"]]

    def caching(self):
        words = self.random.choice(("YES", "NO"))
        between = self.random.choice(([], [], [["CLIENT", "TRACKINGINFO"]], [["PING"]]))
        return self.client(), [["CLIENT", "CACHING", words]] + between + [self.reading(), self.reading()]

    def subscribe(self):
        return self.client(), [self.random.choice((["SUBSCRIBE", "__redis__:invalidate"], ["UNSUBSCRIBE", "__redis__:invalidate"]))]

    def muted(self):
        return self.changer(), [["CLIENT", "REPLY", "SKIP"], self.random.choice((self.reading, self.changing))()]

    def mixed(self):
        """What has changed in the same turn before BCAST got another mode is told by the one or by the other: so that comes first."""
        return self.changer(), [self.tracking()] + [self.random.choice((self.reading, self.changing))() for _ in range(4)]

    def speak(self):
        return self.client(), [["CLIENT", "REPLY", "SKIP"], ["HELLO", self.random.choice("23")]]

    def limit(self):
        return self.client(), [["CLIENT", "TRACKING", "ON"], ["CLIENT", "TRACKING", "OFF"]]


# ---- The storm ----------------------------------------------------------------------------------------------------------------------


class Cache:
    """A client that keeps what it reads until it is told that it is invalid."""

    def __init__(self, server, bcast):
        self.client, self.kept, self.asked = Client(server, protocol=3), {}, []
        self.client.call(*(["CLIENT", "TRACKING", "ON"] + (["BCAST"] if bcast else [])))

    def ask(self, keys):
        self.asked += keys
        self.client.send(b"".join(encode("GET", key) for key in keys))

    def hear(self):
        """All replies that are owed, and what comes between."""
        self.client.send(encode("PING", "end"))
        while True:
            raw = self.client.read_raw("a reply of the storm", WAIT_S)
            value = resp.parse(raw)
            if raw.startswith(b">"):
                for key in value[1] or list(self.kept):
                    self.kept.pop(bytes(key).decode() if not isinstance(key, str) else key, None)
            elif bytes(value or b"") == b"end" and not self.asked:
                return
            else:
                self.kept[self.asked.pop(0)] = value


def storm(server, chance):
    """Readers cache, writers write, all at the same time. In the end each copy is what is there."""
    readers = [Cache(server, i % 2) for i in range(STORM_READERS)]
    writers = [Client(server) for _ in range(STORM_WRITERS)]
    names = ["storm%d" % i for i in range(STORM_KEYS)]
    for round_ in range(STORM_ROUNDS):
        for number, writer in enumerate(writers):
            writer.send(b"".join(encode("SET", chance.choice(names), "%d.%d" % (number, round_)) for _ in range(8)))
        for reader in readers:
            reader.ask(chance.sample(names, 8))
        if round_ % 10 == 0:
            for reader in readers:
                reader.hear()
    for writer in writers:
        for _ in range(8 * STORM_ROUNDS):
            writer.read("a reply of a writer")
    for reader in readers:
        reader.hear()
    there = dict(zip(names, writers[0].call("MGET", *names)))
    kept = 0
    for number, reader in enumerate(readers):
        for key, value in reader.kept.items():
            kept += 1
            if value != there[key]:
                raise SystemExit("FAILED storm: reader %d keeps %r of %s, which is %r" % (number, value, key, there[key]))
    for client in writers + [reader.client for reader in readers]:
        client.close()
    return "after which %d copies were right" % kept


ORACLE = Oracle("Compares of which invalid keys kevy and redis-server tell whom.", "lose an invalidation", Side, Generator, storm)


if __name__ == "__main__":
    ORACLE.main(STEPS)
