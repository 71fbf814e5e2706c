#!/usr/bin/env python3
"""The oracle of waiting: several clients that block, push and pop; kevy and redis-server must serve the same ones, with the same, in the same order.

    blocking.py [--seconds N] [--shards 1,4] [--seed N] [FILE...]

A script is a list of steps, each a client's command. A step that can be answered is; one that cannot blocks its client. After every
step all clients that have been served are read, until both sides agree on who still waits: the servers' count of blocked clients says
when they have settled. What each client has received, after each step, must be the same on both sides; at the end the
contents of all keys, and who still waits.

A random script has up to eight clients over a few keys of lists and sorted sets, or of streams and their groups: plain and blocking pops and moves, pushes, transactions,
deletions, RENAME, RESTORE, SORT STORE, clients that close, are unblocked or killed. Time-outs are 0 or so long that none passes, but
for those that pass while everybody waits for them. A failure is shrunk and printed; written to a file, that runs by itself.
"""
import argparse
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import resp  # noqa: E402
from kevy import Client, Closed, Timeout, encode, eventually, find_redis, program, run_seed, show  # noqa: E402
import scripts  # noqa: E402
from scripts import Difference, Pair, line_of, read_script  # noqa: E402

CLIENTS = 8
STEPS = 40
ROUNDS_MIN = 5  # in each configuration, however little time there is
WAIT_S = 10
LONG_S = "1000"  # a time-out that does not pass
SHORT_S = "0.02"  # one that does
LONG_MS, SHORT_MS = "1000000", "20"  # the same for readers of streams
BLOCKING = ("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "XREAD", "XREADGROUP")
READ_ALL = {"list": "LRANGE key 0 -1", "zset": "ZRANGE key 0 -1 WITHSCORES", "string": "GET key", "set": "SMEMBERS key", "hash": "HGETALL key",
            "stream": "XRANGE key - +"}
KEYS = ("a", "b", "c", "x")


# ---- One server and its clients -----------------------------------------------------------------------------------------------


class Side:
    def __init__(self, server, protocol, lie=False):
        self.server, self.protocol, self.lie = server, protocol, lie
        self.clients, self.ids, self.owed = {}, {}, {}

    def open(self):
        self.asker = Client(self.server)
        self.asker.call("FLUSHALL")
        eventually("clients of the round before to be gone", lambda: self.blocked() == 0)

    def close(self):
        for client in self.clients.values():
            client.close()
        self.asker.close()

    def client(self, number):
        if number not in self.clients:
            self.clients[number] = Reader(self.server, protocol=self.protocol)
            self.ids[number] = self.clients[number].call("CLIENT", "ID")
            self.owed[number] = []
        return self.clients[number]

    def blocked(self):
        return int(re.search(rb"blocked_clients:(\d+)", self.asker.call("INFO", "clients")).group(1))

    def send(self, number, commands):
        self.client(number).send(b"".join(encode(*command) for command in commands))
        self.owed[number] += [command[0] for command in commands]

    def gather(self, answered=None, expected=None):
        """Reads until nobody has news, and as many clients are still owed a reply as the server says are blocked. {client: [replies]}

        `answered`: who must not be one of them. `expected`: what the other server gave; as much must have come. No client has two
        blocking commands in flight: so who is blocked, and is owed a reply, has been given all those before."""
        got, expected = {}, expected or {}

        def settled():
            waiting, news = 0, False
            count = self.blocked()
            for number, client in self.clients.items():
                while self.owed[number] and client.receive_now():
                    got.setdefault(number, []).append(client.read_raw())
                    self.owed[number].pop(0)
                    news = True
                waiting += self.waits(number)
            if news or any(self.owed[number] and not self.waits(number) for number in self.owed):
                return False
            behind = any(len(got.get(number, ())) < len(replies) for number, replies in expected.items())
            return waiting == count and not behind and not (answered is not None and self.owed[answered])
        try:
            eventually("the clients that are not blocked to be answered", settled, WAIT_S)
        except Timeout as timeout:
            raise Timeout("%s; %s" % (told(got), timeout)) from None
        if self.lie:
            self.alter(got)
        return got

    def waits(self, number):
        """Is the next reply that is owed that of a blocking command?"""
        return self.owed[number][:1] != [] and self.owed[number][0] in BLOCKING

    @staticmethod
    def alter(got):
        """The canary: a value goes to the right client, but is another."""
        for replies in got.values():
            if replies[-1].startswith(b"*2") and replies[-1].count(b"$") == 2:
                replies[-1] = replies[-1][:-3] + bytes([replies[-1][-3] ^ 1]) + b"\r\n"
                return

    def leave(self, number):
        """The client closes; the server has noticed when it is not in its list any more."""
        identity = b"id=%d " % self.ids[number]
        self.clients.pop(number).close()
        self.owed.pop(number)
        eventually("the server to notice that a client has left", lambda: identity not in self.asker.call("CLIENT", "LIST"), WAIT_S)

    def contents(self):
        found = {}
        for key in sorted(self.asker.call("KEYS", "*")):
            kind = self.asker.call("TYPE", key)
            found[key] = kind, self.asker.call(*[key if word == "key" else word for word in READ_ALL[kind].split()])
            if kind == "stream":
                groups = self.asker.call("XINFO", "GROUPS", key)
                found[key] += (groups, [self.asker.call("XPENDING", key, group[1]) for group in groups])
        return found


class Reader(Client):
    """A client that can tell whether a reply is there, without waiting for one."""

    def receive_now(self):
        self.receive()
        return self.framer.end(self.buffer) is not None or self.eof


# ---- A round: the same script on both sides -----------------------------------------------------------------------------------------


class Round(scripts.Round):
    def __init__(self, kevy, redis, protocol, lie=False):
        super().__init__(Side(kevy, protocol, lie), Side(redis, protocol))

    def step(self, index, number, commands):
        if number in self.sides[1].clients and self.sides[1].owed[number] and commands[0][0] != "@close":
            return  # it waits, and can ask for nothing
        answered = number if passes(commands[0]) else None
        kevy, redis = self.sides
        self.act(redis, number, commands)
        theirs = redis.gather(answered)
        try:
            self.act(kevy, number, commands)
            ours = kevy.gather(answered, theirs)
        except (Timeout, Closed, resp.ProtocolError) as error:
            ours = "%s: %s" % (type(error).__name__, error)
        self.told += sum(len(replies) for client, replies in theirs.items() if client != number)
        if ours != theirs:
            raise Difference(index, "%s\n    kevy:  %s\n    redis: %s" % (line_of(number, commands), told(ours), told(theirs)))

    @staticmethod
    def act(side, number, commands):
        word = commands[0][0]
        if word == "@close":
            if number in side.clients:
                side.leave(number)
        elif word in ("@unblock", "@kill"):
            other = int(commands[0][1])
            if other not in side.clients or other == number:
                return
            if word == "@unblock":
                side.send(number, [["CLIENT", "UNBLOCK", str(side.ids[other])] + commands[0][2:]])
            else:
                side.client(number).call("CLIENT", "KILL", "ID", str(side.ids[other]))
                side.leave(other)
        elif word == "@restore":
            side.asker.pipeline([["DEL", "for-restore"], [commands[0][2], "for-restore"] + commands[0][3:]])
            payload = side.asker.call("DUMP", "for-restore")
            side.asker.call("DEL", "for-restore")
            side.send(number, [["RESTORE", commands[0][1], "0", payload, "REPLACE"]])
        else:
            side.send(number, commands)


def passes(command):
    """Is its time-out one that passes?"""
    return command[-1] == SHORT_S or (command[0] in ("XREAD", "XREADGROUP") and SHORT_MS in command)


def told(got):
    if isinstance(got, str):
        return got
    return "; ".join("%d: %s" % (number, ", ".join(map(show, replies))) for number, replies in sorted(got.items())) or "nothing"


# ---- Scripts ----------------------------------------------------------------------------------------------------------------------


class Generator:
    def __init__(self, chance, known=("SORT", "GEOADD"), shards=1):
        self.random, self.value, self.known, self.shards = chance, 0, known, shards
        self.zsets = chance.random() < 0.4  # keys are sorted sets more often than lists
        self.commands = [
            (14, self.blocking_pop), (5, self.blocking_move), (5, self.blocking_many), (12, self.push), (4, self.push_many), (4, self.pop),
            (3, self.move), (6, self.transaction), (12, self.delete), (2, self.rename), (2, self.copy), (2, self.sort_store), (2, self.string),
            (2, self.restore), (2, self.store), (3, self.close), (3, self.unblock), (2, self.kill), (2, self.passing), (3, self.pipeline),
            (1, self.expire), (1, self.swap)]
        if "XREADGROUP" in known and chance.random() < 0.4:
            self.commands = [
                (12, self.stream_read), (16, self.group_read), (16, self.stream_add), (9, self.group_create), (2, self.group_change), (3, self.stream_change),
                (6, self.stream_transaction), (6, self.delete), (2, self.rename_stream), (1, self.restore_stream), (2, self.rename), (2, self.copy), (2, self.string), (3, self.close),
                (3, self.unblock), (2, self.kill), (2, self.stream_passing), (3, self.stream_pipeline), (1, self.expire), (1, self.swap_stream),
                (2, self.blocking_pop), (1, self.push)]

    def script(self, length):
        makers, weights = [maker for _, maker in self.commands], [weight for weight, _ in self.commands]
        return [(self.client_for(commands), commands) for commands in
                (self.random.choices(makers, weights)[0]() for _ in range(length))]

    def client_for(self, commands):
        """Who waits can do nothing else: a quarter of the clients never waits."""
        if commands[0][0] != "MULTI" and any(command[0] in BLOCKING for command in commands):
            return self.random.randrange(CLIENTS * 3 // 4)
        return self.random.randrange(CLIENTS * 3 // 4 if self.random.random() < 0.8 else 0, CLIENTS)

    def pick(self, *choices):
        return self.random.choice(choices)

    def key(self):
        return self.random.choice(KEYS[:3])

    def keys(self):
        return [self.key() for _ in range(self.pick(1, 1, 2, 3))]

    def values(self, count):
        first, self.value = self.value + 1, self.value + count
        return ["%d" % value for value in range(first, self.value + 1)]

    def time(self):
        return self.pick("0", LONG_S)

    def side(self):
        return self.pick("LEFT", "RIGHT")

    def z(self):
        return self.random.random() < (0.7 if self.zsets else 0.2)

    # ---- Each returns the commands that a client sends at once ----

    def blocking_pop(self):
        return [[self.pick("BZPOPMIN", "BZPOPMAX") if self.z() else self.pick("BLPOP", "BRPOP")] + self.keys() + [self.time()]]

    def blocking_move(self):
        if self.random.random() < 0.3:
            return [["BRPOPLPUSH", self.key(), self.key(), self.time()]]
        return [["BLMOVE", self.key(), self.key(), self.side(), self.side(), self.time()]]

    def blocking_many(self):
        keys, count = self.keys(), self.pick([], ["COUNT", "2"], ["COUNT", "10"])
        if self.z():
            return [["BZMPOP", self.time(), str(len(keys))] + keys + [self.pick("MIN", "MAX")] + count]
        return [["BLMPOP", self.time(), str(len(keys))] + keys + [self.side()] + count]

    def push(self):
        if self.z():
            return [["ZADD", self.key()] + [word for value in self.values(self.pick(1, 1, 2, 3)) for word in (self.pick(value, "5"), "m" + value)]]
        return [[self.pick("LPUSH", "RPUSH"), self.key()] + self.values(self.pick(1, 1, 1, 2, 3, 5))]

    def push_many(self):
        return self.push() + self.push()

    def pop(self):
        return [self.pick(["LPOP", self.key()], ["RPOP", self.key(), "2"], ["ZPOPMIN", self.key()], ["LMPOP", "2", "a", "b", "LEFT"],
                          ["LLEN", self.key()], ["LREM", self.key(), "1", str(self.value)], ["LTRIM", self.key(), "1", "-1"])]

    def move(self):
        return [["LMOVE", self.key(), self.key(), self.side(), self.side()]]

    def transaction(self):
        makers = (self.push, self.push, self.delete, self.move, self.pop, self.rename, self.blocking_pop, self.string, self.sort_store)
        inner = [command for _ in range(self.pick(1, 2, 3, 4)) for command in self.random.choice(makers)()]
        return [["MULTI"]] + inner + [["EXEC"]]

    def delete(self):
        """Waiting begins when there is nothing; lists would be there for good otherwise."""
        return [["DEL"] + (list(KEYS) if self.random.random() < 0.7 else self.keys())]

    def rename(self):
        return [["RPUSH", "x"] + self.values(2), ["RENAME", "x", self.key()]] if self.random.random() < 0.7 else [["RENAME", self.key(), self.key()]]

    def copy(self):
        return [["COPY", self.key(), self.key()] + self.pick([], ["REPLACE"])]

    def sort_store(self):
        if "SORT" not in self.known:
            return self.copy()
        return [["SORT", self.key(), "BY", "nosort", "STORE", self.key()]]

    def string(self):
        return [self.pick(["SET", self.key(), "text"], ["SADD", self.key(), "1"], ["DEL", self.key()], ["DEL", self.key()])]

    def restore(self):
        if self.z():
            return [["@restore", self.key(), "ZADD", "1"] + self.values(1)]
        return [["@restore", self.key(), "RPUSH"] + self.values(2)]

    def store(self):
        choices = [["ZUNIONSTORE", self.key(), "1", self.key()], ["ZRANGESTORE", self.key(), self.key(), "0", "-1"],
                   ["GEOADD", self.key(), "1", "1", "g%d" % self.value], ["ZINCRBY", self.key(), "3", "m%d" % self.value]]
        return [self.pick(*[choice for choice in choices if choice[0] != "GEOADD" or "GEOADD" in self.known])]

    def close(self):
        return [["@close"]]

    def unblock(self):
        return [["@unblock", str(self.random.randrange(CLIENTS))] + self.pick([], ["TIMEOUT"], ["ERROR"])]

    def kill(self):
        return [["@kill", str(self.random.randrange(CLIENTS))]]

    def passing(self):
        """A time-out that passes: the step before which nothing else happens."""
        return [[self.pick("BLPOP", "BRPOP", "BZPOPMIN"), "never", SHORT_S]]

    def pipeline(self):
        """Clients of several shards that are served by one command go on at the same time: what they do then concerns nobody else."""
        behind = self.push() if self.shards == 1 else [["RPUSH", "behind%d" % self.value] + self.values(1)]
        return self.push() + self.blocking_pop() + [["PING"]] + behind

    def expire(self):
        return [["PEXPIREAT", self.key(), "1"]]

    def swap(self):
        """One key comes with a database: of several, Redis's hash table says which is looked at first."""
        return [["SELECT", "1"], ["FLUSHDB"], ["RPUSH", self.key()] + self.values(1), ["SELECT", "0"], ["SWAPDB", "0", "1"], ["SWAPDB", "0", "1"]]

    # ---- Streams: numbers of entries rise through the whole script, so that a key that is made anew goes on with them ----

    def entry(self):
        return ["%s-0" % self.values(1)[0], "f", str(self.value)]

    def earlier(self):
        return self.pick("$", "0", "%d-0" % max(0, self.value - self.random.randrange(6)), "%d-0" % (self.value + 2))

    def group(self):
        return self.pick("g", "g", "h")

    def count(self):
        return self.pick([], [], ["COUNT", "1"], ["COUNT", "2"])

    def block(self):
        return ["BLOCK", self.pick("0", LONG_MS)]

    def stream_add(self):
        trim = self.pick([], [], [], ["MAXLEN", "3"], ["NOMKSTREAM"])
        return [["XADD", self.key()] + trim + self.entry() for _ in range(self.pick(1, 1, 1, 2, 3))]

    def stream_read(self):
        keys = self.keys()
        return [["XREAD"] + self.count() + self.block() + ["STREAMS"] + keys + [self.earlier() for _ in keys]]

    def group_read(self):
        keys = [self.key() for _ in range(self.pick(1, 1, 1, 1, 2))]
        number = self.pick(">", ">", ">", ">", ">", "0")
        return [["XREADGROUP", "GROUP", self.group(), self.pick("alice", "bob")] + self.count() + self.block() + self.pick([], [], [], ["NOACK"])
                + ["STREAMS"] + keys + [number for _ in keys]]

    def group_create(self):
        return [["XGROUP", "CREATE", self.key(), self.group(), self.pick("$", "$", "0"), "MKSTREAM"] for _ in range(self.pick(1, 2, 3))]

    def group_change(self):
        return [self.pick(["XGROUP", "DESTROY", self.key(), self.group()], ["XGROUP", "SETID", self.key(), self.group(), self.earlier()],
                          ["XGROUP", "DELCONSUMER", self.key(), self.group(), "alice"])]

    def stream_change(self):
        earlier = "%d-0" % max(0, self.value - self.random.randrange(6))
        return [self.pick(["XDEL", self.key(), earlier], ["XTRIM", self.key(), "MAXLEN", "1"], ["XSETID", self.key(), "%d-0" % self.value],
                          ["XACK", self.key(), self.group(), earlier], ["XLEN", self.key()], ["XCLAIM", self.key(), self.group(), "bob", "0", earlier],
                          ["XAUTOCLAIM", self.key(), self.group(), "alice", "0", "0"])]

    def stream_transaction(self):
        makers = (self.stream_add, self.stream_add, self.stream_change, self.delete, self.group_create, self.group_change, self.group_read, self.string)
        inner = [command for _ in range(self.pick(1, 2, 3, 4)) for command in self.random.choice(makers)()]
        return [["MULTI"]] + inner + [["EXEC"]]

    def rename_stream(self):
        made = [["XADD", "x"] + self.entry()] + self.pick([], [["XGROUP", "CREATE", "x", "g", "0"]])
        return made + [self.pick(["RENAME", "x", self.key()], ["COPY", "x", self.key(), "REPLACE"])]

    def restore_stream(self):
        return [["@restore", self.key(), "XADD"] + self.entry()]

    def stream_passing(self):
        return [["XREAD", "BLOCK", SHORT_MS, "STREAMS", "never", "$"]]

    def stream_pipeline(self):
        behind = self.stream_add() if self.shards == 1 else [["XADD", "behind%d" % self.value] + self.entry()]
        return self.stream_add() + self.stream_read() + [["PING"]] + behind

    def swap_stream(self):
        return [["SELECT", "1"], ["FLUSHDB"], ["XADD", self.key()] + self.entry(), ["SELECT", "0"], ["SWAPDB", "0", "1"], ["SWAPDB", "0", "1"]]


# ---- Rounds, and what to do when one fails ------------------------------------------------------------------------------------------


def run_configuration(shards, protocol, options, seconds):
    where = "%d shards, RESP%d" % (shards, protocol)
    def make_round(kevy, redis):
        return Round(kevy, redis, protocol, options.plant)

    with Pair(make_round, shards, options.plant, " --protocol %d" % protocol) as pair:
        with pair.kevy.client() as client:  # what the server has not yet is left out
            known = [name for name in ("SORT", "GEOADD", "XREADGROUP") if client.call("COMMAND", "INFO", name)[0]]
        for path in options.files:
            pair.check("%s (%s)" % (path, where), read_script(path))
        number, started = 0, time.monotonic()
        while not options.files and number < options.rounds and (time.monotonic() - started < seconds or number < ROUNDS_MIN):
            name = "%s.%d.%d.%d" % (options.seed, shards, protocol, number)
            pair.check("round %s (%s)" % (name, where), Generator(random.Random(name), known, shards).script(options.steps))
            number += 1
        if not pair.told and not options.files:
            raise SystemExit("FAILED %s: nobody who waited was served" % where)
    print("ok %s: %d rounds of %d steps, %d replies to those who waited, seed %s"
          % (where, number, options.steps, pair.told, options.seed), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Compares whom kevy and redis-server serve, and when.")
    parser.add_argument("files", nargs="*", help="scripts to run instead of random ones")
    parser.add_argument("--seconds", type=float, default=20, help="for all configurations together")
    parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
    parser.add_argument("--steps", type=int, default=STEPS, help="in a round")
    parser.add_argument("--shards", type=lambda s: [int(n) for n in s.split(",")], default=[1, 4])
    parser.add_argument("--protocol", type=lambda s: [int(n) for n in s.split(",")], default=[2, 3])
    parser.add_argument("--plant", action="store_true", help="plant a wrong delivery: this run must fail")
    parser.add_argument("--seed", default=run_seed())
    options = parser.parse_args()
    if not find_redis():
        sys.exit("no redis-server is installed: apt-get install redis-server")
    print("%s against %s, seed %s" % (program(), find_redis(), options.seed), flush=True)
    configurations = [(shards, protocol) for shards in options.shards for protocol in options.protocol]
    for shards, protocol in configurations:
        run_configuration(shards, protocol, options, options.seconds / len(configurations))


if __name__ == "__main__":
    main()
