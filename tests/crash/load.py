"""The load under which the server is killed, and what must be there afterwards.

Writers each have two databases of their own, in which they run commands of every family that writes: their n-th step is the same whenever
and wherever it is made. So what a writer's databases hold after its first n steps, a second server tells that keeps nothing.
Some steps are transactions, which also count and log themselves in database 0, and tell of themselves there (PUBLISH): their order is
one for all writers.

    what was acknowledged, and what was shown to a reader or a subscriber, is there;
    each writer's databases are as they were after one of its steps, from the last that had to be there to the last that was sent;
    the log has exactly the transactions among these, each once, where its counter said that it stands;
    what was pushed to the queue stands in it, was moved, or was popped, once; what a client was given is not there any more.

Under `everysec` that is asked of what was acknowledged or shown more than LOSES_S before the kill.
"""
import functools
import random
import threading
import time

from kevy import Closed, encode

WRITERS = 4
LOSES_S = 1.0
LARGE = 20000  # bytes that have memory of their own
BROKEN = (Closed, OSError)

# By letters: k a text, c a counter, l a list, h a hash, f a field, s a set, z a sorted set, y a HyperLogLog, g places, t a stream, b bits;
# v a value, n a number, V a large value; B the writer's other database, i the number of the step.
FORMS = """
SET k v|SET k v|SET k V|SET k v PXAT 4000000000000|SET k v KEEPTTL|SETNX k v|SETEX x 1 v|PSETEX x 30 v|GETSET k v|GETDEL k
GETEX k PXAT 4000000000001|GETEX k PERSIST|APPEND k v|SETRANGE k 30 v|MSET k v k v k v|MSETNX k v k v|MSETEX 2 k v k v|DELIFEQ k v
SET x v PX 30
INCR c|DECR c|INCRBY c n|DECRBY c n|INCRBYFLOAT c n|SETBIT b n 1|BITOP XOR b b b|BITFIELD b SET u8 9 n
DEL k k|UNLINK l z|RENAME k k|RENAMENX k k|COPY k k REPLACE|COPY l l DB B REPLACE|MOVE k B|MOVE l B|SWAPDB A B
EXPIREAT k 4000000000|PEXPIREAT l 4000000000002|EXPIRE h -1|PERSIST k|PERSIST l|TOUCH k|SORT l ALPHA STORE l
RPUSH l v n v|RPUSH l n|LPUSH l v|LPUSHX l v|RPUSHX l v|RPUSH l V|LPOP l|RPOP l 2|LMPOP 2 l l LEFT COUNT 2|LSET l 0 v|LINSERT l BEFORE n v
LREM l 0 n|LTRIM l 0 8|LMOVE l l LEFT RIGHT|RPOPLPUSH l l|BLPOP l 0.001|BLMOVE l l LEFT LEFT 0.001
HSET h f v f v|HSET h f V|HSETNX h f v|HMSET h f v|HDEL h f|HINCRBY h f n|HINCRBYFLOAT h f n|HPEXPIREAT h 4000000000003 FIELDS 1 f|HPERSIST h FIELDS 1 f
HGETDEL h FIELDS 1 f|HGETEX h PXAT 4000000000004 FIELDS 1 f|HSETEX h PXAT 4000000000005 FIELDS 1 f v
SADD s n v n|SREM s n n|SMOVE s s n|SPOP s 1000|SINTERSTORE s s s|SUNIONSTORE s s s|SDIFFSTORE s s s
ZADD z n v n n|ZADD z n n|ZINCRBY z n n|ZREM z n|ZPOPMIN z|ZPOPMAX z 2|ZMPOP 2 z z MIN|ZREMRANGEBYRANK z 0 0|ZREMRANGEBYSCORE z n n
ZREMRANGEBYLEX z [1 [2|ZRANGESTORE z z 0 3|ZUNIONSTORE z 2 z z|ZINTERSTORE z 2 z z|ZDIFFSTORE z 2 z z|BZPOPMIN z 0.001
PFADD y v v|PFMERGE y y y|GEOADD g 1.5 2.5 v|GEOADD g n 3 v|GEOSEARCHSTORE g g FROMLONLAT 1 1 BYRADIUS 9000 km
XADD t i-1 f v|XADD t MAXLEN 5 i-2 f v|XDEL t 1-1|XTRIM t MAXLEN 4|XGROUP CREATE t G 0 MKSTREAM|XGROUP DESTROY t G|XSETID t 999999999-1
XREADGROUP GROUP G C COUNT 2 STREAMS t >|XACK t G 1-1|FLUSHDB
""".replace("\n", "|").strip("|").split("|")


def wrong(text):
    raise SystemExit("WRONG: " + text)


def word(letter, dice, writer, step):
    if letter in "kclhszygtb":
        return "%s%d" % ({"k": "text", "c": "count", "l": "list", "h": "hash", "s": "set", "z": "zset", "y": "hll", "g": "geo",
                          "t": "stream", "b": "bits"}[letter], dice.randrange(3))
    if letter == "x":
        return "expires"
    if letter == "f":
        return "field%d" % dice.randrange(4)
    if letter == "n":
        return str(dice.randrange(-3, 9))
    if letter == "v":
        return "%d:%s" % (step, "v" * dice.choice((1, 5, 60)))
    if letter == "V":
        return "%d:%s" % (step, "V" * (LARGE + dice.randrange(100)))
    if letter in "AB":
        return str(2 * writer + (2 if letter == "B" else 1))
    return None


@functools.lru_cache(maxsize=None)
def commands_of(seed, writer, step):
    """(is it a transaction, the commands) of a writer's step."""
    dice = random.Random((seed * 97 + writer) * 1000003 + step)
    whole = dice.randrange(3) == 0
    commands = []
    for _ in range(dice.randrange(1, 5) if whole else 1):
        form = dice.choice(FORMS).split(" ")
        while form[0] in ("FLUSHDB", "SWAPDB") and dice.randrange(4):
            form = dice.choice(FORMS).split(" ")
        commands.append([form[0]] + [w.replace("i-", "%d-" % (step + 1)) if w.startswith("i-") else
                                     (len(w) == 1 and word(w, dice, writer, step)) or w for w in form[1:]])
    return whole, commands


def state_of(client, writer):
    """What the writer's databases hold: by database and key its digest and when it expires. What expires soon is left out."""
    found = {}
    for db in (2 * writer + 1, 2 * writer + 2):
        client.call("SELECT", db)
        keys = sorted(key for key in client.call("KEYS", "*") if key != b"expires")
        if keys:
            digests = client.call("DEBUG", "DIGEST-VALUE", *keys)
            times = client.pipeline([("PEXPIRETIME", key) for key in keys])
            found.update({(db, key): (digest, at) for key, digest, at in zip(keys, digests, times)})
    return found


class Part:
    """A client, in a thread of its own. `alive`: when it sent what it was last answered: then the server lived, however late this process
    took notice of what it said."""

    alive = 0.0


class Writer(Part):
    """Makes its steps until the server is gone."""

    def __init__(self, load, number):
        self.load, self.number = load, number
        self.first = self.sent = 0  # numbers of steps: the first of this generation is first + 1
        self.acks = []              # (when, step)
        self.places = {}            # of its transactions: what the counter said

    def encoded(self, step):
        whole, commands = commands_of(self.load.seed, self.number, step)
        own = 2 * self.number + 1
        if not whole:
            return encode(*commands[0]), 1
        name = "%d:%d" % (self.number, step)
        all_of_it = [("MULTI",), ("SELECT", 0), ("INCR", "count"), ("RPUSH", "log", name), ("PUBLISH", "news", name), ("SELECT", own)]
        all_of_it += commands + [("EXEC",)]
        return b"".join(encode(*command) for command in all_of_it), len(all_of_it)

    def run(self, client):
        dice = random.Random("%d %d %d" % (self.load.seed, self.number, self.sent))
        client.call("SELECT", 2 * self.number + 1)
        while True:
            steps = [(step,) + self.encoded(step) for step in range(self.sent + 1, self.sent + 1 + dice.choice((1, 1, 2, 16)))]
            self.sent, sent_at = steps[-1][0], time.monotonic()
            client.send(b"".join(data for _, data, _ in steps))
            for step, _, replies in steps:
                replied = [client.read() for _ in range(replies)]
                self.alive = sent_at
                reply = replied[-1]
                if replies > 1:
                    if not isinstance(reply, list):
                        wrong("EXEC of %d:%d says %s" % (self.number, step, replied))
                    self.places[step] = reply[1]
                self.acks.append((time.monotonic(), step))


class Reader(Part):
    """Sees how far the counter is."""

    def __init__(self):
        self.seen = []  # (when, count)

    def run(self, client):
        while True:
            sent_at = time.monotonic()
            count = int(client.call("GET", "count") or 0)
            self.alive = sent_at
            self.seen.append((time.monotonic(), count))


class Subscriber(Part):
    def __init__(self):
        self.seen = []  # (when, name)

    def run(self, client):
        client.call("SUBSCRIBE", "news")
        while True:
            message = client.read("a message", 60)
            self.seen.append((time.monotonic(), message[2].decode()))


class Producer(Part):
    def __init__(self, number):
        self.number, self.sent, self.acks = number, 0, []

    def run(self, client):
        while True:
            self.sent += 1
            client.call("RPUSH", "queue", "%d:%d" % (self.number, self.sent))
            self.acks.append((time.monotonic(), "%d:%d" % (self.number, self.sent)))


class Consumer(Part):
    """Takes elements away, or moves them."""

    def __init__(self, moves):
        self.moves, self.given, self.asked = moves, [], 0

    def run(self, client):
        while True:
            self.asked += 1
            reply = client.call("BLMOVE", "queue", "done", "LEFT", "RIGHT", 1) if self.moves else client.call("BLPOP", "queue", 1)
            if reply is not None:
                self.given.append((time.monotonic(), (reply if self.moves else reply[1]).decode()))


class Operator(Part):
    """Saves and rewrites now and then; what is refused is refused."""

    def __init__(self, seed, commands):
        self.seed, self.commands = seed, commands

    def run(self, client):
        dice = random.Random(self.seed)
        while True:
            time.sleep(dice.uniform(0, 0.1))
            client.call(*dice.choice(self.commands))


class Load:
    def __init__(self, seed, loses_s, operations=()):
        self.seed, self.loses_s = seed, loses_s
        self.writers = [Writer(self, number) for number in range(WRITERS)]
        self.operations = operations
        self.producers = [Producer(0), Producer(1)]
        self.consumers, self.readers, self.subscribers = [], [], []
        self.taken = {}  # elements that must not be there any more
        self.lost_at_most = 0  # elements that were popped, and the reply was not seen
        self.clients = 0

    def run(self, server, kill):
        """Runs all of it until kill() has killed the server. A moment at which that still lived, and after which nobody was answered for long."""
        self.consumers = [Consumer(False), Consumer(False), Consumer(True)]
        self.readers, self.subscribers = [Reader(), Reader()], [Subscriber()]
        parts = self.writers + self.producers + self.consumers + self.readers + self.subscribers
        parts += [Operator(self.seed, self.operations)] if self.operations else []
        for part in self.writers + self.producers:
            part.acks, part.alive = [], 0.0
        failures = []
        threads = [threading.Thread(target=self.part, args=(server, part, failures)) for part in parts]
        for thread in threads:
            thread.start()
        kill()
        for thread in threads:
            thread.join()
        if failures:
            wrong("; ".join(failures))
        return max(part.alive for part in parts)

    @staticmethod
    def part(server, part, failures):
        try:
            with server.client() as client:
                part.run(client)
        except BROKEN:
            pass
        except BaseException as failure:  # noqa: B036
            failures.append("%s: %s" % (type(part).__name__, failure))

    # ---- What must be there ----

    def check(self, client, oracle, killed_at):
        before = killed_at - self.loses_s if self.loses_s else float("inf")
        client.call("SELECT", 0)
        log = [name.decode() for name in client.call("LRANGE", "log", 0, -1)]
        count = int(client.call("GET", "count") or 0)
        if count != len(log):
            wrong("the counter is at %d, the log has %d transactions: one is there by half" % (count, len(log)))
        if len(set(log)) != len(log):
            wrong("a transaction is there twice")
        for reader in self.readers:
            shown = max([seen for when, seen in reader.seen if when < before], default=0)
            if shown > count:
                wrong("%d transactions were shown, %d are there" % (shown, count))
        missing = [name for subscriber in self.subscribers for when, name in subscriber.seen if when < before and name not in set(log)]
        if missing:
            wrong("subscribers were told of %s, which are not there" % missing[:5])
        for writer in self.writers:
            self.check_writer(client, oracle, writer, log, before)
        self.check_queue(client, before)

    def check_writer(self, client, oracle, writer, log, before):
        number = writer.number
        logged = [int(name.split(":")[1]) for name in log if name.startswith("%d:" % number)]
        if logged != sorted(logged):
            wrong("the log has transactions of writer %d in another order" % number)
        acked = max([step for when, step in writer.acks if when < before], default=writer.first)
        for step, place in writer.places.items():
            if step <= acked and log[place - 1:place] != ["%d:%d" % (number, step)]:
                wrong("transaction %d:%d was number %d, where the log has %s" % (number, step, place, log[place - 1:place]))
        last = max([acked] + logged)
        state, step = state_of(client, number), max(last, writer.first)
        must_be = [commands_of(self.seed, number, n)[1] for n in range(writer.first + 1, last + 1)]
        oracle.call("SELECT", 2 * number + 1)
        oracle.pipeline([command for commands in must_be for command in commands])
        while state_of(oracle, number) != state:
            step += 1
            if step > writer.sent:
                wrong("the databases of writer %d are as they never were after steps %d to %d: %s"
                      % (number, last, writer.sent, self.differences(client, oracle, number, last)))
            whole, commands = commands_of(self.seed, number, step)
            if whole and step > last:
                wrong("the databases of writer %d are as they never were after steps %d to %d, and %d is a transaction that is not there: %s"
                      % (number, last, step - 1, step, self.differences(client, oracle, number, last)))
            oracle.call("SELECT", 2 * number + 1)
            oracle.pipeline(commands)
        transactions = [n for n in range(1, step + 1) if commands_of(self.seed, number, n)[0]]
        if logged != transactions:
            wrong("of writer %d's transactions up to step %d these are not in the log: %s" % (number, step, set(transactions) - set(logged)))
        writer.first = writer.sent = step
        writer.places = {n: place for n, place in writer.places.items() if n <= step}

    def differences(self, client, oracle, number, last):
        """For whoever looks for what went wrong: the keys in which the databases differ from those after the least of the steps."""
        oracle.call("FLUSHALL")
        for step in range(1, last + 1):
            oracle.call("SELECT", 2 * number + 1)
            oracle.pipeline(commands_of(self.seed, number, step)[1])
        found, expected = state_of(client, number), state_of(oracle, number)
        keys = [key for key in set(found) | set(expected) if found.get(key) != expected.get(key)]
        steps = [(step, commands_of(self.seed, number, step)) for step in range(last + 1, self.writers[number].sent + 1)]
        return "%r differ; the steps behind it: %s" % (keys, str(steps)[:2000])

    def check_queue(self, client, before):
        client.call("SELECT", 0)
        queue = [name.decode() for name in client.call("LRANGE", "queue", 0, -1)]
        done = [name.decode() for name in client.call("LRANGE", "done", 0, -1)]
        there = queue + done
        if len(set(there)) != len(there):
            wrong("an element is there twice")
        for consumer in self.consumers:
            self.lost_at_most += 0 if consumer.moves else 1
            for when, name in consumer.given:
                if when < before and not consumer.moves:
                    self.taken[name] = True
                if when < before and consumer.moves and name not in done:
                    wrong("%s was moved, and is not there" % name)
        back = set(self.taken) & set(there)
        if back:
            wrong("these were given away, and are there again: %s" % sorted(back)[:5])
        given = set(self.taken) | {name for consumer in self.consumers for _, name in consumer.given if not consumer.moves}
        pushed = {name for producer in self.producers for when, name in producer.acks if when < before}
        missing = pushed - set(there) - given
        self.lost_at_most -= len(missing)
        if self.lost_at_most < 0:
            wrong("these were pushed, and neither are there nor were given away: %s" % sorted(missing)[:5])
        for name in given - set(there):
            self.taken[name] = True
