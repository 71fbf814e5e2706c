#!/usr/bin/env python3
"""The oracle of publish and subscribe: several clients that subscribe, publish and leave; kevy and redis-server must tell the same
to the same ones, in the same order; also of what happens to keys.

    pubsub.py [--seconds N] [--shards 1,4] [--seed N] [FILE...]

A script is a list of steps, each a client's commands, sent at once. After each step every client asks for its own token (PING): what it
has been sent before that is what the step was worth to it, and must be the same on both sides. Clients with even numbers speak RESP2, the
others RESP3. Where Redis promises no order none is compared: of patterns that match the same message, and of the confirmations when
all subscriptions end.

After the scripts of each configuration a storm is compared with itself: clients that publish at the same time, to channels that all
subscribe to; all must hear all messages in one order, in which those of each publisher are in theirs. A failure of a script is
shrunk and printed; written to a file, that runs by itself.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import resp  # noqa: E402
from kevy import Client, encode, eventually  # noqa: E402
from scripts import WAIT_S, Oracle, Tokens  # noqa: E402

CLIENTS = 8
PUBLISHERS = 2  # of these: clients that subscribe to nothing, and so may publish within transactions
STEPS = 60
STORM_PUBLISHERS, STORM_SUBSCRIBERS, STORM_MESSAGES = 4, 6, 2000
CHANNELS = ("a", "b", "ab", "")
PATTERNS = ("*", "a*", "[ab]", "?", "b", "__keyspace*", "__keyevent@0__:[a-m]*")
CLASSES = ("KEA", "KEAmn", "Kg$", "Elx", "A", "")
KEYS = ("x", "y", "z")
FIELDS = (b"pubsub_channels", b"pubsub_patterns", b"pubsubshard_channels")


# ---- One server and its clients -----------------------------------------------------------------------------------------------


class Side(Tokens):
    def __init__(self, server, lie=False):
        super().__init__()
        self.server, self.lie, self.clients, self.ids = server, lie, {}, {}

    def open(self):
        self.asker = Client(self.server)
        self.asker.pipeline([["FLUSHALL"], ["DEBUG", "SET-ACTIVE-EXPIRE", "0"], ["CONFIG", "SET", "notify-keyspace-events", ""]])
        eventually("subscriptions of the round before to be gone", lambda: self.figures() == [0, 0, 0])

    def close(self):
        for client in self.clients.values():
            client.close()
        self.clients = {}
        self.asker.close()

    def told(self, section):
        return dict(line.split(b":", 1) for line in self.asker.call("INFO", section).splitlines() if b":" in line)

    def figures(self):
        lines = self.told("stats")
        return [int(lines[name]) for name in FIELDS]

    def client(self, number):
        if number not in self.clients:
            self.clients[number] = Client(self.server, protocol=2 + number % 2)
            self.ids[number] = self.clients[number].call("CLIENT", "ID")
        return self.clients[number]

    def gone(self, number):
        """The client has closed or is being closed. It subscribes to nothing once it is counted no more, which may be after it is shown
        no more; who kills it is answered before that."""
        self.clients.pop(number).close()
        eventually("the server to notice that a client has left",
                   lambda: int(self.told("clients")[b"connected_clients"]) == len(self.clients) + 1, WAIT_S)

    def act(self, number, commands):
        word = commands[0][0]
        if word == "@close":
            if number in self.clients:
                self.gone(number)
            return {}
        if word == "@kill":
            victim = int(commands[0][1])
            if victim in self.clients and victim != number:
                self.asker.call("CLIENT", "KILL", "ID", str(self.ids[victim]))
                self.gone(victim)
            return {}
        client = self.client(number)
        client.send(b"".join(encode(*command) for command in commands))
        if word == "QUIT":
            told = client.read_until_closed()
            self.gone(number)
            return {number: [told]}
        return self.gather(number)

    def gather(self, first):
        """What each client has been sent. Who has acted is asked first: what it did has happened then."""
        got = {}
        for number in [first] + [n for n in sorted(self.clients) if n != first]:
            replies = self.until_token(self.clients[number])
            if replies:
                got[number] = replies
        if self.lie:
            self.alter(got)
        return {number: in_one_order(replies) for number, replies in got.items()}

    @staticmethod
    def alter(got):
        """The canary: two messages change places."""
        for replies in got.values():
            for i in range(len(replies) - 1):
                if b"$7\r\nmessage" in replies[i] and b"$7\r\nmessage" in replies[i + 1] and replies[i] != replies[i + 1]:
                    replies[i], replies[i + 1] = replies[i + 1], replies[i]
                    return

    def contents(self):
        """What the register shows."""
        names = self.asker.call("PUBSUB", "NUMSUB", *CHANNELS), self.asker.call("PUBSUB", "SHARDNUMSUB", *CHANNELS)
        lists = sorted(self.asker.call("PUBSUB", "CHANNELS")), sorted(self.asker.call("PUBSUB", "SHARDCHANNELS"))
        subscribed = sorted(field for line in self.asker.call("CLIENT", "LIST", "TYPE", "pubsub").splitlines() for field in [line.split()[9:12]])
        return names, lists, self.asker.call("PUBSUB", "NUMPAT"), self.figures(), subscribed


def in_one_order(replies):
    """Runs of what has no order are sorted: patterns that match one message, confirmations of what ends (their counts stay in place)."""
    told, at = [], 0
    while at < len(replies):
        value, end = resp.parse(replies[at]), at + 1
        word = value[0] if isinstance(value, list) and value and isinstance(value[0], bytes) else b""
        if word == b"pmessage":
            while end < len(replies) and is_like(resp.parse(replies[end]), value, (0, 2, 3)):
                end += 1
            told += sorted(replies[at:end])
        elif word.endswith(b"unsubscribe"):
            while end < len(replies) and is_like(resp.parse(replies[end]), value, (0,)):
                end += 1
            values = [resp.parse(raw) for raw in replies[at:end]]
            told.append((replies[at][:1], word, sorted(str(v[1]) for v in values), [v[2] for v in values]))
        else:
            told.append(replies[at])
        at = end
    return told


def is_like(value, other, places):
    return isinstance(value, list) and len(value) == len(other) and all(value[i] == other[i] for i in places)


# ---- Scripts ------------------------------------------------------------------------------------------------------------------------


class Generator:
    def __init__(self, chance):
        self.random, self.value = chance, 0
        self.makers = [(10, self.subscribe), (6, self.unsubscribe), (22, self.publish), (3, self.transaction), (2, self.subscribe_within),
                       (2, self.leave), (1, self.kill), (3, self.ask), (2, self.muted), (2, self.mixed),
                       (12, self.change), (2, self.listen)]

    def script(self, length):
        makers, weights = [maker for _, maker in self.makers], [weight for weight, _ in self.makers]
        return [self.random.choices(makers, weights)[0]() for _ in range(length)]

    def subscriber(self):
        return self.random.randrange(CLIENTS - PUBLISHERS)

    def publisher(self):
        return self.random.randrange(CLIENTS - PUBLISHERS, CLIENTS)

    def names(self, kind):
        count = self.random.choice((1, 1, 2, 3))
        return [self.random.choice(PATTERNS if kind == "P" else CHANNELS) for _ in range(count)]

    def message(self):
        self.value += 1
        return [self.random.choice(("PUBLISH", "PUBLISH", "PUBLISH", "SPUBLISH")), self.random.choice(CHANNELS), "m%d" % self.value]

    def messages(self):
        return [self.message() for _ in range(self.random.choice((1, 1, 2, 5)))]

    def subscription(self):
        kind = self.random.choice(("", "", "P", "S"))
        return [kind + "SUBSCRIBE"] + self.names(kind)

    def end(self, all_of_them=0.4):
        kind = self.random.choice(("", "", "P", "S"))
        return [kind + "UNSUBSCRIBE"] + (self.names(kind) if self.random.random() >= all_of_them else [])

    # ---- Each returns a client and the commands that it sends at once ----

    def subscribe(self):
        return self.subscriber(), [self.subscription()]

    def unsubscribe(self):
        return self.subscriber(), [self.end()]

    def publish(self):
        """A subscriber may do so too: in RESP2 it is told that it may not."""
        return self.random.choice((self.publisher, self.publisher, self.subscriber))(), self.messages()

    def transaction(self):
        return self.publisher(), [["MULTI"]] + self.messages() + [["SET", "k", "%d" % self.value]] + self.messages() + [["EXEC"]]

    def subscribe_within(self):
        """No end of all: its confirmations have no order, and stand within EXEC's reply."""
        inner = [self.random.choice((self.subscription, lambda: self.end(0)))() for _ in range(self.random.choice((1, 2, 3)))]
        return self.subscriber(), [["MULTI"]] + inner + [["PING"], ["ECHO", "k"], ["EXEC"]]

    def leave(self):
        return self.subscriber(), [self.random.choice((["@close"], ["QUIT"], ["RESET"]))]

    def kill(self):
        return self.publisher(), [["@kill", str(self.subscriber())]]

    def ask(self):
        return self.random.randrange(CLIENTS), [self.random.choice((["PUBSUB", "NUMSUB"] + list(CHANNELS), ["PUBSUB", "NUMPAT"],
                                                                    ["PUBSUB", "SHARDNUMSUB", "a"], ["ECHO", "k"], ["PING"]))]

    def muted(self):
        """RESET ends it in RESP2 too, where a subscriber cannot say CLIENT REPLY ON."""
        something = self.random.choice((self.subscription, self.end, self.message))()
        return self.subscriber(), self.random.choice(([["CLIENT", "REPLY", "SKIP"], something],
                                                      [["CLIENT", "REPLY", "OFF"], something, something, ["RESET"]]))

    def change(self):
        """Who changes keys subscribes to nothing: Redis 7.0 tells who does so before the reply, and within EXEC in the middle of it."""
        commands = [self.random.choice(self.changes()) for _ in range(self.random.choice((1, 2, 4)))]
        return self.publisher(), self.random.choice((commands, commands, [["MULTI"]] + commands + [["EXEC"]]))

    def changes(self):
        a, b = self.random.choice(KEYS), self.random.choice(KEYS)
        return (["SET", a, "1"], ["SET", a, "1", "EX", "1000"], ["SET", a, "1", "PXAT", "1"], ["GETDEL", a], ["APPEND", a, "1"], ["INCR", a],
                ["MSET", a, "1", b, "2"], ["DEL", a, b], ["RENAME", a, b], ["COPY", a, b], ["MOVE", a, "1"], ["EXPIRE", a, "1000"],
                ["PEXPIREAT", a, "1"], ["PERSIST", a], ["GET", a], ["LPUSH", a, "1", "2"], ["RPOPLPUSH", a, b], ["LPOP", a], ["SADD", a, "1"],
                ["SPOP", a], ["SMOVE", a, b, "1"], ["ZADD", a, "1", "1"], ["ZPOPMIN", a], ["ZUNIONSTORE", a, "1", b], ["HSET", a, "1", "1"],
                ["HDEL", a, "1"], ["FLUSHDB"], ["SELECT", self.random.choice("01")], ["SWAPDB", "0", "1"], ["SORT", a, "STORE", b])

    def listen(self):
        return self.publisher(), [["CONFIG", "SET", "notify-keyspace-events", self.random.choice(CLASSES)]]

    def mixed(self):
        """Changes and messages of one client, in one go."""
        return self.subscriber(), [self.random.choice((self.subscription, self.end, self.message))() for _ in range(5)]


# ---- The storm ----------------------------------------------------------------------------------------------------------------------


def storm(server, _):
    """Publishers send all that they have at once; each message names its publisher and its place."""
    subscribers = [Client(server, protocol=2 + i % 2) for i in range(STORM_SUBSCRIBERS)]
    publishers = [Client(server) for _ in range(STORM_PUBLISHERS)]
    for i, subscriber in enumerate(subscribers):
        subscriber.send(encode("PSUBSCRIBE", "storm*") if i % 3 == 0 else encode("SUBSCRIBE", "storm1", "storm2"))
        for _ in range(1 if i % 3 == 0 else 2):
            subscriber.read_raw()
    requests = [b"".join(encode("PUBLISH", "storm%d" % (1 + (p + i) % 2), "%d %d" % (p, i)) for i in range(STORM_MESSAGES))
                for p in range(STORM_PUBLISHERS)]
    for publisher, request in zip(publishers, requests):
        publisher.send(request)
    heard = []
    for subscriber in subscribers:
        messages = [resp.parse(subscriber.read_raw("a message of the storm")) for _ in range(STORM_PUBLISHERS * STORM_MESSAGES)]
        heard.append([(bytes(message[-2]), bytes(message[-1])) for message in messages])
    for publisher in publishers:
        for _ in range(STORM_MESSAGES):
            count = publisher.read("a count of subscribers")
            if count != STORM_SUBSCRIBERS:
                raise SystemExit("FAILED storm: a message reached %r subscribers" % count)
    for other in heard[1:]:
        if other != heard[0]:
            at = next(i for i, (x, y) in enumerate(zip(heard[0], other)) if x != y)
            raise SystemExit("FAILED storm: subscribers hear in different orders, from message %d on: %r and %r" % (at, heard[0][at], other[at]))
    for p in range(STORM_PUBLISHERS):
        own = [int(text.split()[1]) for _, text in heard[0] if text.startswith(b"%d " % p)]
        if own != list(range(STORM_MESSAGES)):
            raise SystemExit("FAILED storm: the messages of publisher %d are not in their order" % p)
    for client in subscribers + publishers:
        client.close()
    return "of %d messages" % (STORM_PUBLISHERS * STORM_MESSAGES)


ORACLE = Oracle("Compares what kevy and redis-server tell to subscribers.", "plant messages in the wrong order", Side, Generator, storm)


if __name__ == "__main__":
    ORACLE.main(STEPS)
