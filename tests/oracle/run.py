#!/usr/bin/env python3
"""The oracle: the same commands to kevy and to Debian's redis-server; the reply bytes must be the same.

    run.py [--seconds N] [--shards 1,4] [--seed N] [FILE...]

Without files, each configuration (shard count x protocol) first gets every integer edge in every numeric place (commands.py,
SYSTEMATIC) and the scripts beside this file (*.txt), then rounds of random commands until its share of N seconds is used.
A round starts from an empty keyspace with two connections, sends --commands commands, and ends with a comparison of
all databases: keys, types, values, encodings, expiry times.

Replies are compared as bytes. Only where Redis itself leaves the answer open (`OPEN_ANSWERS` below) does a looser rule decide,
and times may differ by no more than was measured to lie between the two servers' work on the same command.

A failure is shrunk to few commands that still fail, and printed as a script; written to a file, that runs by itself:
each line is a command in redis-cli's quoting, `2> ` in front makes it the second connection's.
"""
import argparse
import glob
import os
import random
import re
import sys
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import commands  # noqa: E402
import families  # noqa: E402
import resp  # noqa: E402
import streams  # noqa: E402
from kevy import Client, Closed, Timeout, encode, find_redis, parse, program, run_seed, show  # noqa: E402
from pair import ServerPair  # noqa: E402

DATABASES = 16
BATCH = 64  # commands of one connection that are sent at once
CUT_SHARE, CUTS_MAX = 0.05, 4  # how many of the pipelines are sent in pieces, and at how many places one is cut at most
UNIX = 2  # this connection is one over the Unix socket, where the sender knows when a piece has been read
CLOCK_SLACK_S = 0.25  # servers look at the clock now and then, not at every command
ROUNDS_MIN = 10  # in each configuration, however little time there is
EMPTY_CURSOR = b"0"
READ_ALL = {"hash": "HGETALL key", "set": "SMEMBERS key", "zset": "ZRANGE key 0 -1 WITHSCORES", "list": "LRANGE key 0 -1", "stream": "XRANGE key - +"}
SHARED = 2147483647  # the reference count of an integer that Redis keeps once for all


class Difference(Exception):
    def __init__(self, index, arguments, kevy, redis):
        super().__init__("%s\n    kevy:  %s\n    redis: %s" % (brief(arguments), show(kevy), show(redis)))
        self.index = index


# ---- Where Redis leaves the answer open ---------------------------------------------------------------------------------------


class Asked:
    """A command and what a rule may have to know of the moment when it was asked."""

    def __init__(self, arguments, in_exec=False, apart_s=0.0, age_s=0.0, copied=(), shared=True, popped=False, unordered=False):
        self.arguments, self.in_exec = arguments, in_exec
        self.apart_s = apart_s  # seconds by which the servers' answers about time may differ
        self.age_s = age_s  # of the round, which began with empty databases
        self.copied = copied  # names of keys that COPY may have made
        self.shared = shared  # may Redis keep the value once for several keys?
        self.unordered = in_exec or unordered  # is it a set's members that are sorted by nothing?
        self.popped = popped  # have two SPOPs taken different members in this round?

    def has(self, *words):
        """Is one of these words said?"""
        return any(argument.upper() in words for argument in self.arguments[1:])


def both(kind, rule=lambda a, b: True):
    return lambda a, b, asked: isinstance(a, kind) and isinstance(b, kind) and rule(a, b)


def same_elements(a, b, asked):
    return isinstance(a, list) and isinstance(b, list) and sorted(map(repr, a)) == sorted(map(repr, b))


def same_time(unit_s, a, b, asked):
    """Times that run, or that were reckoned from the present; -1 and -2 are exact. A unit more for rounding."""
    return isinstance(a, int) and isinstance(b, int) and a >= 0 and b >= 0 and abs(a - b) * unit_s <= asked.apart_s + unit_s


def same_seconds(a, b, asked):
    return same_time(1, a, b, asked)


def same_milliseconds(a, b, asked):
    return same_time(0.001, a, b, asked)


def same_clock(a, b, asked):
    """Seconds and microseconds."""
    seconds = [int(value[0]) + int(value[1]) / 1e6 for value in (a, b) if isinstance(value, list) and len(value) == 2]
    return len(seconds) == 2 and abs(seconds[0] - seconds[1]) <= asked.apart_s


def same_idle_time(a, b, asked):
    """Redis shares small integers, and so the time of their last access: then only kevy's answer can be judged."""
    if same_seconds(a, b, asked):
        return True
    return asked.shared and isinstance(a, int) and isinstance(b, int) and 0 <= a <= asked.age_s + 1


def same_references(a, b, asked):
    """In a transaction Redis counts the queued arguments too; and the small integer of a copy is not the shared one."""
    if not (isinstance(a, int) and isinstance(b, int)):
        return False
    if asked.in_exec and a == 1 and 1 <= b < SHARED:
        return True
    return a == SHARED and 1 <= b < SHARED and asked.arguments[2] in asked.copied


def same_hello(a, b, asked):
    """The names of the fields and the protocol; server, version and id are each server's own."""
    def fields(value):
        flat = [x for pair in value for x in pair] if isinstance(value, resp.Map) else value
        return flat[::2], flat[5] if len(flat) > 5 else None
    return isinstance(a, list) and isinstance(b, list) and fields(a) == fields(b)


def same_pairs(a, b, asked):
    """A hash whole: a map, or a list of fields and values."""
    return isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and same_elements(pairs_of(a), pairs_of(b), asked)


def same_length(a, b, asked):
    """Chosen at random: of the same kind, and as many."""
    return type(a) is type(b) and (not isinstance(a, list) or len(a) == len(b))


def same_places(a, b, asked):
    if asked.has(b"ANY"):
        return same_length(a, b, asked)
    return not asked.has(b"ASC", b"DESC", b"COUNT") and same_elements(a, b, asked)


def same_order(a, b, asked):
    """SORT: nothing orders a set but ALPHA and numbers; and the locale's order ends at a zero byte."""
    if not (isinstance(a, list) and isinstance(b, list) and len(a) == len(b)):
        return False
    if asked.unordered:
        return asked.has(b"LIMIT") or same_elements(a, b, asked)
    texts = [[None if x is None else bytes(x).partition(b"\0")[0] for x in value] for value in (a, b)]
    return asked.has(b"ALPHA") and texts[0] == texts[1]


def same_positions(a, b, asked):
    """LPOS: Redis takes the least rank for its own negation, and never comes to the end of the count."""
    return asked.has(b"-9223372036854775808") and isinstance(a, list) and isinstance(b, list) and a == b[: len(a)]


def same_encoding(a, b, asked):
    """Redis makes a set anew when SPOP leaves few of its members, in the encoding that suits them; which they are is chance. And a set
    that gets other members back (see `pop`) may pass a threshold that was lowered meanwhile."""
    return asked.popped and {a, b} <= {b"intset", b"hashtable"}


def same_pending(a, b, asked):
    return streams.same_pending(a, b, lambda x, y: same_milliseconds(x, y, asked), -2)


def same_told(a, b, asked):
    return streams.same_told(a, b, lambda x, y: same_milliseconds(x, y, asked))


OPEN_ANSWERS = {
    "HGETALL": same_pairs,
    "HKEYS": same_elements,
    "HVALS": same_elements,
    "SMEMBERS": same_elements,
    "SINTER": same_elements,
    "SUNION": same_elements,
    "SDIFF": same_elements,
    "HRANDFIELD": same_length,
    "SRANDMEMBER": same_length,
    "ZRANDMEMBER": same_length,
    "HSCAN": both(list, lambda a, b: len(a) == len(b) == 2),
    "SSCAN": both(list, lambda a, b: len(a) == len(b) == 2),
    "ZSCAN": both(list, lambda a, b: len(a) == len(b) == 2),
    "GEOSEARCH": same_places,
    "GEORADIUS": same_places,
    "GEORADIUS_RO": same_places,
    "GEORADIUSBYMEMBER": same_places,
    "GEORADIUSBYMEMBER_RO": same_places,
    "LPOS": same_positions,
    "XPENDING": same_pending,
    "XINFO STREAM": same_told,
    "XINFO CONSUMERS": same_told,
    "SORT": same_order,
    "SORT_RO": same_order,
    "OBJECT ENCODING": same_encoding,
    "DUMP": both(bytes),
    "KEYS": same_elements,
    "RANDOMKEY": both(bytes),
    "TIME": same_clock,
    "LASTSAVE": both(int),
    "TTL": same_seconds,
    "PTTL": same_milliseconds,
    "EXPIRETIME": same_seconds,
    "PEXPIRETIME": same_milliseconds,
    "OBJECT IDLETIME": same_idle_time,
    "OBJECT REFCOUNT": same_references,
    "MEMORY USAGE": both(int, lambda a, b: a > 0 and b > 0),
    "CLIENT ID": both(int),
    "COMMAND": both(list),
    "COMMAND COUNT": both(int),
    "SCAN": both(list, lambda a, b: len(a) == len(b) == 2),  # from a cursor that is not the start; others are iterated
    "HELLO": same_hello,
}


TRANSACTION_ENDS = ("EXEC", "DISCARD", "RESET")  # what comes behind is asked as it is outside of one


def name_of(arguments):
    """The command's name, with the subcommand where there are some."""
    name = arguments[0].upper().decode("latin-1")
    if len(arguments) > 1 and name in ("OBJECT", "MEMORY", "CLIENT", "COMMAND", "DEBUG", "XINFO"):
        name += " " + arguments[1].upper().decode("latin-1")
    return name


def same_value(asked, a, b):
    if type(a) is type(b) and a == b:
        return True
    if isinstance(a, resp.Error) or isinstance(b, resp.Error):
        return False
    rule = OPEN_ANSWERS.get(name_of(asked.arguments))
    return bool(rule and rule(a, b, asked))


def cursor_place(arguments):
    """Which argument of a scan is the cursor."""
    return 1 if arguments[0].upper() == b"SCAN" else 2


class Stopwatch:
    """How far apart the two servers may have run the same command: between its sending and its reply both have."""

    def __init__(self):
        self.began = self.lap_began = self.now()
        self.longest_s = 0.0

    @staticmethod
    def now():
        return time.monotonic(), time.time()

    def since(self, then):
        """By the clock that moved further: what the servers see may be set meanwhile."""
        return max(abs(now - before) for now, before in zip(self.now(), then))

    def lap(self):
        """One lap ends, another begins."""
        self.longest_s = max(self.longest_s, self.since(self.lap_began))
        self.lap_began = self.now()

    def forget_lap(self):
        self.lap_began = self.now()

    def apart_s(self):
        """When a time was set and when it is asked for: twice the longest lap, this one included."""
        return CLOCK_SLACK_S + 2 * max(self.longest_s, self.since(self.lap_began))


# ---- One server, two connections --------------------------------------------------------------------------------------------------


class Side:
    """A server in a round. `lie` (for the canary) may alter a reply; in_pieces: pipelines may be cut."""

    def __init__(self, server, protocol, lie=None, in_pieces=False):
        self.server, self.lie, self.in_pieces = server, lie, in_pieces
        self.protocol, self.connections = protocol, {}

    def open(self):
        with self.server.client() as cleaner:
            cleaner.call("FLUSHALL", "SYNC")
            cleaner.pipeline([("CONFIG", "SET", name, value) for name, value in families.THRESHOLDS.items()])
        self.connections = {number: Client(self.server, protocol=self.protocol, unix=number == UNIX) for number in (1, UNIX)}

    def send(self, number, batch):
        """Some pipelines go to kevy in pieces; where they are cut hangs on their bytes, so that a script is cut alike when it runs again."""
        data = b"".join(encode(*arguments) for arguments in batch)
        chance = random.Random(zlib.crc32(data))
        if not self.in_pieces or len(batch) < 2 or chance.random() > CUT_SHARE:
            self.connections[number].send(data)
            return
        cuts = [0] + sorted(chance.sample(range(1, len(data)), chance.randrange(1, CUTS_MAX + 1))) + [len(data)]
        self.connections[number].send_pieces([data[a:b] for a, b in zip(cuts, cuts[1:])])

    def read(self, number, arguments):
        raw = self.connections[number].read_raw("a reply by %s" % self.server.path)
        return self.lie(arguments, raw) if self.lie else raw

    def ask(self, number, arguments):
        self.send(number, [arguments])
        return self.read(number, arguments)

    def forget_errors(self):
        """SORT takes what errno says of a number that another command has read for its own error. To accept a client wipes that out:
        the next one is not there yet."""
        with Client(self.server) as client:
            client.call("PING")

    def changes(self):
        """How many changes the server has counted since it saved last."""
        with Client(self.server) as client:
            return int(re.search(rb"rdb_changes_since_last_save:(\d+)", client.call("INFO", "persistence")).group(1))

    def delete_streams(self):
        with Client(self.server) as client:
            for db in range(DATABASES):
                client.call("SELECT", db)
                for key in client.call("KEYS", "*"):
                    if client.call("TYPE", key) == "stream":
                        client.call("DEL", key)

    def scan(self, number, arguments):
        """A whole iteration as one reply: the sorted elements, or the error."""
        elements, cursor, place = set(), EMPTY_CURSOR, cursor_place(arguments)
        step = 2 if name_of(arguments) in ("HSCAN", "ZSCAN") else 1
        for _ in range(100000):
            raw = self.ask(number, arguments[:place] + [cursor] + arguments[place + 1 :])
            value = parse(raw)
            if not isinstance(value, list) or len(value) != 2:
                return raw
            cursor = value[0]
            elements.update(zip(*(value[1][i::step] for i in range(step))))
            if cursor == EMPTY_CURSOR:
                return b"scan: " + repr(sorted(elements)).encode()
        return b"scan: no end"

    def contents(self):
        """{(db, key): (type, value, encoding, digest, expiry time)} of all databases."""
        found = {}
        with Client(self.server) as client:
            for db in range(DATABASES):
                client.call("SELECT", db)
                for key in client.call("KEYS", "*"):
                    kind = client.call("TYPE", key)
                    value = client.call(*[word if word != "key" else key for word in READ_ALL.get(kind, "GET key").split()])
                    if kind == "set":
                        value.sort()
                    elif kind == "hash":
                        value = sorted(zip(value[::2], value[1::2]))
                    elif kind == "stream":
                        value = self.stream_contents(client, key, value)
                    found[db, key] = [kind, value] + client.pipeline([("OBJECT", "ENCODING", key), ("DEBUG", "DIGEST-VALUE", key),
                                                                      ("PEXPIRETIME", key)])
        return found

    @staticmethod
    def stream_contents(client, key, entries):
        """Beside the entries what is told without a time: of the stream, of its groups, and how much is pending in each."""
        groups = client.call("XINFO", "GROUPS", key)
        groups = groups if isinstance(groups, list) else []  # a server that has no groups yet
        return [entries, client.call("XINFO", "STREAM", key), groups] + [client.call("XPENDING", key, group[1]) for group in groups]

    def drain(self):
        """Waits until the server has run all that was sent, whatever it answers: nothing leaks into the next round."""
        for connection in self.connections.values():
            try:
                connection.half_close()
                connection.read_until_closed()
            except OSError:
                pass  # it is gone

    def close(self):
        for connection in self.connections.values():
            connection.close()


SORTS = ("SORT", "SORT_RO")
SCANS = ("SCAN", "HSCAN", "SSCAN", "ZSCAN")
BY_MEMBER = ("ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT", "ZREMRANGEBYLEX")
# Commands that draw lots, and how all is read that they may draw.
MEMBERS_OF = {"HRANDFIELD": [b"HGETALL", b"key"], "SRANDMEMBER": [b"SMEMBERS", b"key"], "SPOP": [b"SMEMBERS", b"key"],
              "ZRANDMEMBER": [b"ZRANGE", b"key", b"0", b"-1", b"WITHSCORES"]}


def wrong_arity(reply):
    return b"wrong number of arguments" in reply[:60]


def pairs_of(value):
    """The pairs of a reply: RESP3 has made them, RESP2 has a flat list."""
    flat = not value or isinstance(value[0], bytes)
    return list(zip(value[::2], value[1::2])) if flat else [tuple(pair) for pair in value]


class Round:
    """A sequence of (connection number, arguments) sent to both sides."""

    def __init__(self, kevy, redis, protocol, lie=None):
        self.kevy, self.redis = Side(kevy, protocol, lie, in_pieces=True), Side(redis, protocol)
        self.sides = (self.kevy, self.redis)
        self.queued = {1: [], 2: []}
        self.copied, self.watch = set(), None
        self.in_multi, self.popped = {1: False, 2: False}, False
        self.mended = 0  # changes that only redis-server has counted, when it was made to pop what kevy has popped

    def run(self, sequence):
        try:
            for side in self.sides:
                side.open()
            self.watch, changes = Stopwatch(), [side.changes() for side in self.sides]
            self.ask_all(sequence)
            self.compare_contents(len(sequence))
            self.compare_changes(sequence, *(side.changes() - before for side, before in zip(self.sides, changes)))
        except Difference:
            for side in self.sides:
                side.drain()
            raise
        finally:
            for side in self.sides:
                side.close()

    def ask_all(self, sequence):
        index = 0
        while index < len(sequence):
            number, arguments = sequence[index]
            self.watch.lap()
            if self.alone(sequence[index]):
                self.alone(sequence[index])(index, number, arguments)
                index += 1
                continue
            end = index + 1
            while (end < len(sequence) and end - index < BATCH and sequence[end][0] == number
                   and name_of(sequence[end - 1][1]) not in TRANSACTION_ENDS and not self.alone(sequence[end])):
                end += 1
            self.batch(index, number, [arguments for _, arguments in sequence[index:end]])
            index = end

    def alone(self, step):
        """What asks a command that cannot be part of a batch, or None."""
        number, arguments = step
        name = name_of(arguments)
        if name == "SPOP":
            return self.pop
        if b"@DUMP" in arguments:
            return self.restore
        if name == "DEBUG RELOAD":
            return self.reload
        if name in BY_MEMBER or (name in ("ZRANGE", "ZRANGESTORE") and b"BYLEX" in map(bytes.upper, arguments)):
            return self.ask_by_member
        if name == "EXEC" and any(name_of(queued) in SORTS for queued in self.queued[number]):
            return self.run_sorts
        if self.queued[number]:
            return None
        if name in SCANS and arguments[cursor_place(arguments) :][:1] == [EMPTY_CURSOR]:
            return self.iterate
        if name in MEMBERS_OF:
            return self.draw
        if name in SORTS:
            return self.sort
        return {"OBJECT IDLETIME": self.ask_idle_time, "DEBUG SLEEP": self.sleep}.get(name)

    def iterate(self, index, number, arguments):
        """A scan from the start: its cursors are each server's own, so it is iterated."""
        redis = self.redis.scan(number, arguments)
        self.compare(index, arguments, self.kevy.scan(number, arguments), redis)
        self.follow(number, arguments, redis)

    def both(self, index, number, arguments, **known):
        """Asks both, compares, and returns the two replies."""
        for side in self.sides:
            side.send(number, [arguments])
        kevy, redis = (side.read(number, arguments) for side in self.sides)
        self.compare(index, arguments, kevy, redis, **known)
        self.follow(number, arguments, redis)
        return kevy, redis

    def sort(self, index, number, arguments):
        """BY a pattern without a star is no order: a list and a sorted set have one of their own then, a set has none."""
        words = [word.upper() for word in arguments]
        by_nothing = any(word == b"BY" and b"*" not in pattern for word, pattern in zip(words, words[1:]))
        kind = self.redis.ask(number, [b"TYPE"] + arguments[1:2]) if by_nothing and not self.in_multi[number] else b""
        self.redis.forget_errors()
        self.both(index, number, arguments, unordered=kind == b"+set\r\n")

    def run_sorts(self, index, number, arguments):
        self.redis.forget_errors()
        self.batch(index, number, [arguments])

    def ask_by_member(self, index, number, arguments):
        """Where scores differ, what a range of members gives is nowhere said: it is not asked."""
        if self.in_multi[number]:
            return
        key = arguments[2 if name_of(arguments) == "ZRANGESTORE" else 1 :][:1]
        all_of_it = parse(self.redis.ask(number, [b"ZRANGE"] + key + [b"0", b"-1", b"WITHSCORES"]))
        if isinstance(all_of_it, list):
            scores = [score for _, score in pairs_of(all_of_it)]
            if len(set(scores)) > 1:
                return
        self.both(index, number, arguments)

    def members_of(self, number, arguments, with_values):
        """What a random command may choose from, as redis-server has it: a set of elements, or of pairs."""
        words = [word if word != b"key" else arguments[1] for word in MEMBERS_OF[name_of(arguments)]]
        value = parse(self.redis.ask(number, words))
        if not isinstance(value, list):
            return set()
        if words[0] == b"SMEMBERS":
            return set(value)
        pairs = pairs_of(value)
        return set(pairs) if with_values else {member for member, _ in pairs}

    def draw(self, index, number, arguments):
        """Members at random: as many, of those that are there, and each once where the count is not negative."""
        with_values = arguments[3:4] != []
        there = self.members_of(number, arguments, with_values) if len(arguments) > 1 and not self.in_multi[number] else None
        kevy, redis = self.both(index, number, arguments)
        value = parse(kevy)
        if there is None or isinstance(value, (resp.Error, resp.Simple)) or value is None:
            return
        drawn = value if isinstance(value, list) else [value]
        if with_values:
            drawn = pairs_of(drawn)
        repeats = len(arguments) > 2 and arguments[2].startswith(b"-")
        if not set(drawn) <= there or (not repeats and len(set(drawn)) < len(drawn)):
            raise Difference(index, arguments, kevy, b"(of %d elements) " % len(there) + redis)

    def pop(self, index, number, arguments):
        """SPOP: then redis-server is made to have popped what kevy has popped."""
        if self.in_multi[number] or len(arguments) < 2:
            return
        there = self.members_of(number, arguments, False)
        for side in self.sides:
            side.send(number, [arguments])
        kevy, redis = (side.read(number, arguments) for side in self.sides)
        self.follow(number, arguments, redis)
        if kevy == redis:
            return
        a, b = ([value] if isinstance(value, bytes) else value for value in self.values(index, arguments, kevy, redis))
        alike = type(a) is type(b) and isinstance(a, list) and len(a) == len(b) and kevy[:1] == redis[:1]
        if not alike or not set(a) <= there or len(set(a)) < len(a):
            raise Difference(index, arguments, kevy, redis)
        self.popped = True
        for name, members in ((b"SADD", set(b) - set(a)), (b"SREM", set(a) - set(b))):
            if members:
                self.redis.ask(number, [name, arguments[1]] + sorted(members))
                self.mended += len(members)

    def restore(self, index, number, arguments):
        """RESTORE key ttl @DUMP source ...: each server restores what the other has dumped. Not so streams: kevy's dumps do not have the
        entries that were deleted, which Redis counts when it looks whether a node is full (tests/rdb restores streams)."""
        at = arguments.index(b"@DUMP")
        if self.in_multi[number] or at + 1 >= len(arguments):
            return
        if self.redis.ask(number, [b"TYPE", arguments[at + 1]]) == b"+stream\r\n":
            return
        dumps = [side.ask(number, [b"DUMP", arguments[at + 1]]) for side in self.sides]
        self.compare(index, [b"DUMP", arguments[at + 1]], *dumps)
        payloads = [parse(dump) for dump in dumps]
        if not all(isinstance(payload, bytes) for payload in payloads):
            return
        for side, payload in zip(self.sides, reversed(payloads)):
            side.send(number, [arguments[:at] + [payload] + arguments[at + 2 :]])
        self.compare(index, arguments, *(side.read(number, arguments) for side in self.sides))

    def reload(self, index, number, arguments):
        """DEBUG RELOAD, without streams, for what `restore` says of dumps is so of files: after XADD 1-1, 2-1, XDEL 1-1 and this, a node
        of two entries is full in Redis alone. Within MULTI nobody can tell what streams there will be: it is left out."""
        if self.in_multi[number]:
            return
        for side in self.sides:
            side.delete_streams()
        self.both(index, number, arguments)

    def ask_idle_time(self, index, number, arguments):
        kevy, redis = self.kevy.ask(number, arguments), self.redis.ask(number, arguments)
        shared = redis[:1] == b":" and parse(self.redis.ask(number, [b"OBJECT", b"REFCOUNT", arguments[2]])) == SHARED
        self.compare(index, arguments, kevy, redis, shared=shared)
        self.follow(number, arguments, redis)

    def sleep(self, index, number, arguments):
        """Both servers at the same time. Nothing else runs, so this is no time that could lie between them."""
        for side in self.sides:
            side.send(number, [arguments])
        kevy, redis = (side.read(number, arguments) for side in self.sides)
        self.watch.forget_lap()
        self.compare(index, arguments, kevy, redis)
        self.follow(number, arguments, redis)

    def asked(self, arguments, **more):
        return Asked(arguments, apart_s=self.watch.apart_s(), age_s=self.watch.since(self.watch.began),
                     copied=self.copied, popped=self.popped, **more)

    def batch(self, start, number, batch):
        for side in self.sides:
            side.send(number, batch)
        for i, arguments in enumerate(batch):
            redis = self.redis.read(number, arguments)
            try:
                kevy = self.kevy.read(number, arguments)
            except (Closed, Timeout, OSError, resp.ProtocolError) as error:
                raise Difference(start + i, arguments, str(error).encode(), b"(a reply)") from error
            if arguments[0].upper() == b"EXEC":
                self.compare_exec(start + i, number, arguments, kevy, redis)
            else:
                self.compare(start + i, arguments, kevy, redis)
            self.follow(number, arguments, redis)

    def follow(self, number, arguments, redis):
        """Remembers what is queued, so that each element of EXEC's reply meets the rule of its command; and what was copied."""
        name = arguments[0].upper()
        if name == b"MULTI" and redis == b"+OK\r\n":
            self.in_multi[number] = True
        elif name in (b"EXEC", b"DISCARD", b"RESET") and redis[:5] != b"+QUEU" and not wrong_arity(redis):
            self.in_multi[number] = False
        if name in (b"COPY", b"RENAME", b"RENAMENX") and redis in (b"+QUEUED\r\n", b"+OK\r\n", b":1\r\n"):
            if name == b"COPY" or redis[1:2] == b"Q" or arguments[1] in self.copied:
                self.copied.add(arguments[2])
        if redis == b"+QUEUED\r\n":
            self.queued[number].append(arguments)
        elif name in (b"EXEC", b"DISCARD", b"RESET", b"MULTI") and redis[:1] != b"-":
            self.queued[number] = []
        elif name == b"EXEC" and redis.startswith((b"-EXECABORT", b"-ERR EXEC")):
            self.queued[number] = []

    def compare(self, index, arguments, kevy, redis, **known):
        if kevy != redis and not same_value(self.asked(arguments, **known), *self.values(index, arguments, kevy, redis)):
            raise Difference(index, arguments, kevy, redis)

    def values(self, index, arguments, kevy, redis):
        if kevy.startswith(b"scan:") or redis.startswith(b"scan:"):  # whole iterations leave nothing open
            raise Difference(index, arguments, kevy, redis)
        try:
            return parse(kevy), parse(redis)
        except (resp.ProtocolError, ValueError, KeyError) as error:
            raise Difference(index, arguments, b"%s (%s)" % (kevy, str(error).encode()), redis) from error

    def compare_exec(self, index, number, arguments, kevy, redis):
        if kevy == redis:
            return
        a, b = self.values(index, arguments, kevy, redis)
        queued = self.queued[number]
        if not (isinstance(a, list) and isinstance(b, list) and len(a) == len(b) == len(queued)):
            raise Difference(index, arguments, kevy, redis)
        for arguments, x, y in zip(queued, a, b):
            if not same_value(self.asked(arguments, in_exec=True), x, y):
                raise Difference(index, [b"EXEC: "] + arguments, repr(x).encode(), repr(y).encode())

    def compare_contents(self, index):
        try:
            a = self.kevy.contents()
        except (Closed, Timeout, OSError) as error:
            raise Difference(index, [b"contents"], str(error).encode(), b"(all keys)") from error
        b = self.redis.contents()
        for place in sorted(set(a) | set(b)):
            x, y = a.get(place), b.get(place)
            alike = x and y and x[:2] + x[3:4] == y[:2] + y[3:4] and same_value(self.asked([b"OBJECT", b"ENCODING"]), x[2], y[2]) and same_value(self.asked([b"PEXPIRETIME"]), x[4], y[4])
            if not alike:
                raise Difference(index, [b"contents of db %d, key " % place[0], place[1]],
                                 repr(x).encode(), repr(y).encode())

    def compare_changes(self, sequence, kevy, redis):
        """What INFO counts. Redis counts what BITFIELD does one by one, and when flushing also keys whose time has passed."""
        all_arguments = [arguments for _, arguments in sequence]
        if any(map(commands.leaves_expired, all_arguments)) or any(map(commands.saves, all_arguments)):
            return
        if not 0 <= redis - self.mended - kevy <= sum(map(commands.extra_writes, all_arguments)):
            raise Difference(len(sequence), [b"the count of changes"], b"%d" % kevy, b"%d" % redis)


# ---- Scripts ------------------------------------------------------------------------------------------------------------------------


def quote(arguments):
    def word(argument):
        if argument and re.fullmatch(rb"[A-Za-z0-9_.:{}*#@?+/-]+", argument):
            return argument.decode()
        return '"%s"' % "".join(
            chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\x%02x" % c for c in argument)
    return " ".join(word(argument) for argument in arguments)


def brief(arguments, limit=160):
    line = quote(arguments)
    return line if len(line) <= limit else "%s... (%d bytes)" % (line[:limit], len(line))


def write_script(sequence, word=quote):
    return "".join(("2> " if number == 2 else "") + word(arguments) + "\n" for number, arguments in sequence)


def read_script(path):
    sequence = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if line and not line.startswith("# ") and line != "#":
                number = 2 if line.startswith("2> ") else 1
                sequence.append((number, resp.split_arguments(line[3:] if number == 2 else line)))
    return sequence


# ---- Rounds, and what to do when one fails ----------------------------------------------------------------------------------------------


def random_sequence(generator_random, length, others):
    generator = commands.Generator(generator_random, past_expiry=generator_random.random() < 0.3, others=others)
    number, sequence = 1, []
    for _ in range(length):
        if generator_random.random() < 0.05:
            number = 3 - number
        sequence.append((number, generator.command()))
    return sequence


class Pair(ServerPair):
    Difference, STEPS = Difference, "commands"

    def __init__(self, shards, protocol, lie, keep_going):
        super().__init__(shards, " --protocol %d" % protocol, lie is not None)
        self.protocol, self.lie, self.keep_going, self.failures = protocol, lie, keep_going, 0

    def play(self, script):
        Round(self.kevy, self.redis, self.protocol, self.lie).run(script)

    def script_of(self, steps):
        return write_script(steps)

    def shown(self, steps):
        return write_script(steps, brief)

    def check(self, what, script):
        if self.passes(what, script):
            return
        self.failures += 1
        if not self.keep_going:
            raise Failed(what)


class Failed(Exception):
    pass


def lie_about(name):
    """The canary: a server that answers a command wrongly where the reply ends in a letter or digit of a bulk."""
    def lie(arguments, raw):
        if arguments[0].upper() == name and raw[:1] in b"$*~%" and raw.count(b"\r\n") > 1 and raw[-3:-2].isalnum() and raw[-5:-3] != b"$-":
            return raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:]
        return raw
    return lie


def families_of(server):
    """The families of which the server knows all commands."""
    with server.client() as client:
        return [family for family in families.TEMPLATES if None not in client.call("COMMAND", "INFO", *families.names(family))]


def run_configuration(shards, protocol, options, seed, seconds):
    where = "%d shards, RESP%d" % (shards, protocol)
    asked = 0
    with Pair(shards, protocol, lie_about(options.plant.encode()) if options.plant else None,
              options.keep_going) as servers:
        others = families_of(servers.kevy) if options.families is None else options.families
        own = [] if options.random_only else sorted(glob.glob(os.path.join(HERE, "*.txt")))
        for path in options.files or own:
            script = read_script(path)
            servers.check("%s (%s)" % (os.path.relpath(path), where), script)
            asked += len(script)
        if options.files:
            if servers.failures:
                raise Failed("%d differences" % servers.failures)
            print("ok %s: %d commands" % (where, asked))
            return
        if not options.random_only:
            infos = [(1, [b"COMMAND", b"INFO", name.encode()]) for family in others for name in families.names(family)
                     if name not in families.EXTENDED_LATER]
            servers.check("COMMAND INFO (%s)" % where, infos)
            lines = commands.SYSTEMATIC + [line for family in others for line in families.SYSTEMATIC[family]]
            edges = [(1, arguments) for arguments in commands.systematic(lines)]
            for at in range(0, len(edges), 2000):
                servers.check("integer edges (%s)" % where, edges[at : at + 2000])
            asked += len(edges)
        number, started = 0, time.monotonic()
        while number < options.rounds and (time.monotonic() - started < seconds or number < ROUNDS_MIN):
            name = "%s.%d.%d.%d" % (seed, shards, protocol, number)
            servers.check("round %s (%s)" % (name, where), random_sequence(random.Random(name), options.commands, others))
            asked += options.commands
            number += 1
        if servers.failures:
            raise Failed("%d differences" % servers.failures)
    print("ok %s: %d commands, %d random rounds, %s, seed %s"
          % (where, asked, number, "families " + ", ".join(others) if others else "strings and keys alone", seed))


def main():
    parser = argparse.ArgumentParser(description="Compares kevy with redis-server.")
    parser.add_argument("files", nargs="*", help="scripts to run instead of everything else")
    parser.add_argument("--seconds", type=float, default=20, help="of random rounds, for all configurations together")
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
    parser.add_argument("--commands", type=int, default=1000, help="in a round")
    parser.add_argument("--shards", type=lambda s: [int(n) for n in s.split(",")], default=[1, 4])
    parser.add_argument("--protocol", type=lambda s: [int(n) for n in s.split(",")], default=[2, 3])
    parser.add_argument("--random-only", action="store_true", help="no scripts, no integer edges")
    parser.add_argument("--keep-going", action="store_true", help="report every difference, not only the first")
    parser.add_argument("--families", type=lambda s: s.split(",") if s else [], default=None,
                        help="which of %s take part (default: those that kevy knows whole)" % ", ".join(families.TEMPLATES))
    parser.add_argument("--plant", nargs="?", const="GETRANGE", metavar="COMMAND", help="plant a wrong answer: this run must fail")
    parser.add_argument("--seed", default=run_seed())
    options = parser.parse_args()
    if not find_redis():
        sys.exit("no redis-server is installed: apt-get install redis-server")
    configurations = [(shards, protocol) for shards in options.shards for protocol in options.protocol]
    print("%s against %s, seed %s" % (program(), find_redis(), options.seed), flush=True)
    failed = 0
    for shards, protocol in configurations:
        try:
            run_configuration(shards, protocol, options, options.seed, options.seconds / len(configurations))
        except Failed as what:
            print("FAILED %d shards, RESP%d: %s" % (shards, protocol, what))
            failed += 1
    if failed:
        sys.exit("%d of %d configurations failed" % (failed, len(configurations)))


if __name__ == "__main__":
    main()
