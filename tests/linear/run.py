#!/usr/bin/env python3
"""Linearizability across shards: clients on all shards work on shared keys; checkers look for what no serial order explains.

    run.py [--seconds N] [--shards N] [--clients N] [--seed N] [--plant NAME]

Each scenario is a set of clients, as processes (so that they run at the same time), with an invariant that any torn, lost or
misordered command breaks:

    mset        MSET writes one token to k keys that lie in many stripes; every MGET must see one token in all of them, and no
                token older than one that was acknowledged before the MGET was sent
    incr        INCR never gives a number twice; the numbers that one client gets rise; the end is the count of all
    rename      RENAME and RENAMENX move tokens around a ring of names; whole views (MULTI of GETs) find every token once
    transfer    MULTI/EXEC moves amounts between accounts, with WATCH and without; every whole view has the same sum
    queue       elements that are pushed to lists, moved to another and popped, all by clients that wait for them: each is popped
                once, and in the order in which it was pushed
    stream      entries that are added, read by all (XREAD) and by the consumers of two groups (XREADGROUP), who wait for them, and
                taken over where a consumer does not say that it is done: a group hands each entry out once, in order; a
                reader sees every entry; nothing is lost. Left out where the server has no streams.
    register    reads and writes of one key in real time: a read gives the value of a write that may be the latest (no stale read)

Times are CLOCK_MONOTONIC, common to all processes. --plant makes one client misbehave in that scenario (it writes an MSET as two,
counts without INCR, renames in two steps, transfers without MULTI, pops what it has seen a moment before, reads in a group without one):
then this program must fail; see tests/canary.
"""
import argparse
import multiprocessing
import os
import queue
import random
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kevy import TIME_SCALE, Client, Deadline, Error, Server, run_seed  # noqa: E402

MSET_KEYS = ["m:%d" % i for i in range(12)]
RING = ["ring:%d" % i for i in range(10)]
TOKENS = 5  # names of the ring that hold a token; the others are free
ACCOUNTS = ["account:%d" % i for i in range(8)]
BALANCE = 1000
PIPELINE = 8
STEPS_MIN = 10  # of each client, however little CPU time it is given
PATIENCE_S = 20  # with all the rest
TRIES = 10  # to catch what was planted: somebody must look at the right moment


class Violation(Exception):
    pass


def now():
    return time.monotonic_ns()


# ---- Scenarios: set_up(client); work(me, ...) -> history; check(histories, client) -------------------------------------------------


class Scenario:
    """A client's work is a generator that yields once a step, so that the caller decides how long it goes on."""

    NEEDS = "SET"

    def __init__(self, plant):
        self.plant = plant

    def set_up(self, client):
        pass

    def check(self, histories, client):
        pass


class Mset(Scenario):
    def set_up(self, client):
        client.call("MSET", *[x for key in MSET_KEYS for x in (key, "0.0")])

    def work(self, client, me, dice, history):
        for n in range(1, 1 << 40):
            token = "%d.%d" % (me, n)
            keys = dice.sample(MSET_KEYS, len(MSET_KEYS))
            if me % 2 == 0:
                sent = now()
                self.write(client, keys, token, me)
                history.append(("write", token, sent, now()))
            else:
                sent = now()
                # Pipelined views are as whole as single ones.
                for seen in client.pipeline([["MGET"] + keys] * dice.choice((1, PIPELINE))):
                    if len(set(seen)) != 1:
                        raise Violation("MGET saw a torn MSET: %s" % dict(zip(keys, seen)))
                    history.append(("read", seen[0].decode(), sent, now()))
            yield

    def write(self, client, keys, token, me):
        half = len(keys) // 2 if self.plant and me == 0 else len(keys)
        client.call("MSET", *[x for key in keys[:half] for x in (key, token)])
        if half < len(keys):
            client.call("MSET", *[x for key in keys[half:] for x in (key, token)])

    def check(self, histories, client):
        check_register(histories, "0.0")


class Register(Mset):
    """The same checker on a single key with SET and GET: dense traffic on one stripe, from every shard."""

    def set_up(self, client):
        client.call("SET", "register", "0.0")

    def work(self, client, me, dice, history):
        for n in range(1, 1 << 40):
            token, sent = "%d.%d" % (me, n), now()
            if dice.random() < 0.4:
                client.call("SET", "register", token)
                history.append(("write", token, sent, now()))
            else:
                seen = client.call("GET", "register").decode()
                if self.plant and me == 0 and n % 50 == 0:
                    seen = "0.0"
                history.append(("read", seen, sent, now()))
            yield


def check_register(histories, first):
    """No read gives a value that another one had certainly replaced: written, acknowledged and begun after the value's own
    write was acknowledged, all before the read was sent. And none gives a value whose write began after the read ended."""
    writes = {first: (0, 0)}
    for history in histories:
        for kind, token, sent, done in history:
            if kind == "write":
                writes[token] = (sent, done)
    # For every moment t: the latest start of a write that was done by t. A read sent at t is stale if its value's write
    # was done before that start.
    finished = sorted((done, sent, token) for token, (sent, done) in writes.items())
    reads = sorted((sent, done, token) for history in histories for kind, token, sent, done in history if kind == "read")
    latest, latest_token, at = 0, first, 0
    for sent, done, token in reads:
        while at < len(finished) and finished[at][0] < sent:
            if finished[at][1] > latest:
                latest, latest_token = finished[at][1], finished[at][2]
            at += 1
        if token not in writes:
            continue  # its writer was stopped before the acknowledgement
        if writes[token][0] > done:
            raise Violation("a read gave %s before it was written" % token)
        if writes[token][1] < latest:
            raise Violation("a stale read: %s, although %s was written after it and acknowledged before the read was sent"
                            % (token, latest_token))


class Incr(Scenario):
    def work(self, client, me, dice, history):
        last = 0
        while True:
            if self.plant and me == 0:
                value = int(client.call("GET", "counter") or 0) + 1
                client.call("SET", "counter", value)
                got = [value]
            else:
                got = client.pipeline([["INCR", "counter"]] * dice.choice((1, PIPELINE)))
            for value in got:
                if value <= last and not self.plant:
                    raise Violation("INCR gave %d to a client that had had %d" % (value, last))
                last = value
            history += got
            yield

    def check(self, histories, client):
        given = [value for history in histories for value in history]
        if len(set(given)) != len(given):
            raise Violation("INCR gave a number twice")
        end = int(client.call("GET", "counter"))
        if end != len(given):
            raise Violation("the counter stands at %d after %d increments" % (end, len(given)))


class Rename(Scenario):
    def set_up(self, client):
        client.call("MSET", *[x for i in range(TOKENS) for x in (RING[i], "token%d" % i)])

    def work(self, client, me, dice, history):
        while True:
            if me % 2:
                self.look(client)
            elif self.plant and me == 0:
                self.rename_in_two_steps(client, *dice.sample(RING, 2))
            else:
                source, target = dice.sample(RING, 2)
                moved = client.call("RENAMENX", source, target)
                if isinstance(moved, Error) and moved != "ERR no such key":
                    raise Violation("RENAMENX: " + moved)
            history.append(1)
            yield

    def look(self, client):
        client.pipeline([["MULTI"]] + [["GET", name] for name in RING])
        seen = [value for value in client.call("EXEC") if value is not None]
        if len(seen) != TOKENS or len(set(seen)) != TOKENS:
            raise Violation("a view of the ring shows %d tokens: %s" % (len(seen), seen))

    def rename_in_two_steps(self, client, source, target):
        value = client.call("GET", source)
        if value is not None and client.call("SETNX", target, value):
            client.call("DEL", source)

    def check(self, histories, client):
        self.look(client)


class Transfer(Scenario):
    def set_up(self, client):
        client.call("MSET", *[x for account in ACCOUNTS for x in (account, BALANCE)])

    def work(self, client, me, dice, history):
        while True:
            source, target = dice.sample(ACCOUNTS, 2)
            amount = dice.randrange(1, 10)
            kind = me % 3
            if self.plant and me == 0:
                client.call("DECRBY", source, amount)
                client.call("INCRBY", target, amount)
            elif kind == 0:
                client.pipeline([["MULTI"], ["DECRBY", source, amount], ["INCRBY", target, amount], ["EXEC"]])
            elif kind == 1:
                self.transfer_watched(client, source, target, amount)
            else:
                self.look(client, dice)
            history.append(1)
            yield

    def transfer_watched(self, client, source, target, amount):
        """The client computes; WATCH makes sure that nobody came in between."""
        client.call("WATCH", source, target)
        a, b = (int(value) for value in client.call("MGET", source, target))
        client.pipeline([["MULTI"], ["SET", source, a - amount], ["SET", target, b + amount], ["EXEC"]])

    def look(self, client, dice):
        if dice.random() < 0.5:
            balances = client.call("MGET", *ACCOUNTS)
        else:
            client.pipeline([["MULTI"]] + [["GET", account] for account in ACCOUNTS])
            balances = client.call("EXEC")
        total = sum(int(balance) for balance in balances)
        if total != BALANCE * len(ACCOUNTS):
            raise Violation("the accounts add up to %d instead of %d" % (total, BALANCE * len(ACCOUNTS)))

    def check(self, histories, client):
        self.look(client, random.Random(0))


class Queue(Scenario):
    """Producers fill three lists; movers wait for the first, and hand its elements on; consumers wait for the others, or for what is
    handed on. Both keep the order: so of one producer's elements in one list, a consumer gets each later one later."""

    def work(self, client, me, dice, history):
        role, popped = me % 4, {}
        for n in range(1, 1 << 40):
            if role == 0:
                self.push(client, me, n, dice, history)
            elif role == 1:
                client.call(*dice.choice((["BLMOVE", "queue:0", "handed", "LEFT", "RIGHT", "0.05"], ["BRPOPLPUSH", "nothing", "handed", "0.001"],
                                          ["BLMOVE", "queue:0", "handed", "LEFT", "RIGHT", "0.001"])))
                history.append(("moved",))
            else:
                for token in self.pop(client, role, dice):
                    history.append(("popped", token))
                    producer, key, number = token.split(".")
                    if popped.get((producer, key), 0) >= int(number) and not self.plant:
                        raise Violation("%s was popped behind %d" % (token, popped[producer, key]))
                    popped[producer, key] = int(number)
                if not popped:
                    history.append(("waited",))
            yield

    def push(self, client, me, n, dice, history):
        key, count = dice.randrange(3), dice.choice((1, 1, 2, 3))
        tokens = ["%d.%d.%d" % (me, key, 10 * n + i) for i in range(count)]
        pushes = [["RPUSH", "queue:%d" % key] + tokens]
        if dice.random() < 0.3:
            pushes = [["MULTI"]] + [["RPUSH", "queue:%d" % key, token] for token in tokens] + [["EXEC"]]
        client.pipeline(pushes)
        history.extend(("pushed", token) for token in tokens)

    def pop(self, client, role, dice):
        keys = ["queue:1", "queue:2"] if role == 2 else ["handed"]
        if self.plant and role == 3:
            seen, _ = client.call("LINDEX", "handed", "0"), client.call("LPOP", "handed")
            return [seen.decode()] if seen else []
        if dice.random() < 0.3:
            got = client.call("BLMPOP", dice.choice(("0.05", "0.001")), len(keys), *keys, "LEFT", "COUNT", "3")
            return [token.decode() for token in got[1]] if got else []
        got = client.call("BLPOP", *keys, dice.choice(("0.05", "0.001")))
        return [got[1].decode()] if got else []

    def check(self, histories, client):
        events = [event for history in histories for event in history]
        pushed = {event[1] for event in events if event[0] == "pushed"}
        popped = [event[1] for event in events if event[0] == "popped"]
        left = [token.decode() for key in ("queue:0", "queue:1", "queue:2", "handed") for token in client.call("LRANGE", key, "0", "-1")]
        seen = set()
        for token in popped + left:
            if token in seen:
                raise Violation("%s was popped twice" % token)
            seen.add(token)
        if seen != pushed:
            raise Violation("%d elements are lost, and %d come from nowhere: %s"
                            % (len(pushed - seen), len(seen - pushed), sorted(pushed ^ seen)[:5]))
        if not popped:
            raise Violation("nothing was popped: nothing was tested")


class Stream(Scenario):
    """Producers add to two streams; consumers of two groups wait for what is new, acknowledge most of it and leave the rest to whoever
    claims it; readers without a group wait for what is behind the last entry they have seen. Consumers of the group `taken` say with
    NOACK that they want nothing kept. Some entries are deleted as soon as they are there: those may be missed, and nothing else."""

    KEYS, NEEDS = ("stream:0", "stream:1"), "XREADGROUP"

    def set_up(self, client):
        for key in self.KEYS:
            for group in ("kept", "taken"):
                client.call("XGROUP", "CREATE", key, group, "0", "MKSTREAM")

    def work(self, client, me, dice, history):
        last = dict.fromkeys(self.KEYS, "0-0")
        for n in range(1, 1 << 40):
            role = me % 4
            if role == 0:
                self.add(client, me, n, dice, history)
            elif role == 1:
                self.consume(client, me, "kept", [], dice, history)
            elif role == 2:
                self.consume(client, me, "taken", ["NOACK"], dice, history)
            else:
                self.read(client, last, dice, history)
            yield

    def add(self, client, me, n, dice, history):
        key = dice.choice(self.KEYS)
        tokens = ["%d.%d" % (me, 10 * n + i) for i in range(dice.choice((1, 1, 2, 3)))]
        added = [["XADD", key, "*", "token", token] for token in tokens]
        if dice.random() < 0.3:
            ids = client.pipeline([["MULTI"]] + added + [["EXEC"]])[-1]
        else:
            ids = client.pipeline(added)
        history.extend(("added", key, token, number(i)) for token, i in zip(tokens, ids))
        if dice.random() < 0.05:
            client.call("XDEL", key, ids[0])
            history.append(("deleted", key, tokens[0]))

    def consume(self, client, me, group, options, dice, history):
        key = dice.choice(self.KEYS)
        if self.plant and me == 1:
            found = [[key, client.call("XREVRANGE", key, "+", "-", "COUNT", "1")]]
        else:
            found = client.call("XREADGROUP", "GROUP", group, "c%d" % me, "COUNT", dice.choice(("1", "3", "50")), "BLOCK", dice.choice(("1", "50")), *options,
                                "STREAMS", *self.KEYS, ">", ">")
        for stream, entries in found or ():
            history.extend(("given", group, stream.decode() if isinstance(stream, bytes) else stream, token, i, me) for i, token in told(entries))
            if group == "kept" and dice.random() < 0.9:
                client.call("XACK", stream, group, *[entry[0] for entry in entries])
        if not found:
            history.append(("waited",))
        if group == "kept" and dice.random() < 0.05:
            claimed = client.call("XAUTOCLAIM", key, group, "c%d" % me, "0", "0-0", "COUNT", "10")
            client.call("XACK", key, group, *([entry[0] for entry in claimed[1]] or ["0-0"]))

    def read(self, client, last, dice, history):
        found = client.call("XREAD", "COUNT", dice.choice(("2", "100")), "BLOCK", dice.choice(("1", "50")), "STREAMS", *self.KEYS, *last.values())
        for stream, entries in found or ():
            key = stream.decode()
            for i, token in told(entries):
                if i <= number(last[key].encode()):
                    raise Violation("XREAD gave %s again or out of order" % token)
                last[key] = "%d-%d" % i
                history.append(("read", key, token, i))
        if not found:
            history.append(("waited",))

    def check(self, histories, client):
        events = [event for history in histories for event in history]
        added = {event[1:3]: event[3] for event in events if event[0] == "added"}
        deleted = {event[1:3] for event in events if event[0] == "deleted"}
        if len(set((key, i) for (key, _), i in added.items())) != len(added):
            raise Violation("two entries of a stream have the same number")
        for group in ("kept", "taken"):
            self.check_group(group, histories, client, added, deleted)
        for history in histories:
            self.check_reader([event for event in history if event[0] == "read"], added, deleted)

    def check_group(self, group, histories, client, added, deleted):
        seen, before = set(), {}
        for history in histories:
            for _, _, key, token, i, me in (event for event in history if event[0] == "given" and event[1] == group):
                if (key, token) in seen:
                    raise Violation("%s of %s was given twice to the group %s" % (token, key, group))
                seen.add((key, token))
                if i <= before.get((key, me), (0, 0)):
                    raise Violation("%s of %s came behind a later one" % (token, key))
                before[key, me] = i
        left = {(key, token) for key in self.KEYS for stream, entries in self.rest(client, group, key) for _, token in told(entries)}
        if seen & left:
            raise Violation("%s was given, and is new to its group still" % sorted(seen & left)[:3])
        lost = set(added) - seen - left - deleted
        if lost or seen - set(added):
            raise Violation("group %s: %d entries are lost, %d come from nowhere: %s" % (group, len(lost), len(seen - set(added)), sorted(lost)[:3]))
        if not seen:
            raise Violation("nothing was given to the group %s: nothing was tested" % group)

    @staticmethod
    def rest(client, group, key):
        """What nobody of the group has read yet."""
        found = client.call("XREADGROUP", "GROUP", group, "heir", "STREAMS", key, ">")
        return found or ()

    @staticmethod
    def check_reader(events, added, deleted):
        """A reader that has seen an entry has seen all those before it."""
        for key in {event[1] for event in events}:
            seen = {event[2]: event[3] for event in events if event[1] == key}
            latest = max(seen.values())
            missed = [token for (stream, token), i in added.items()
                      if stream == key and i < latest and token not in seen and (key, token) not in deleted]
            if missed:
                raise Violation("XREAD went past %d entries of %s: %s" % (len(missed), key, missed[:3]))


def number(entry_id):
    """The number of an entry as a pair, to be compared."""
    ms, _, sequence = entry_id.decode().partition("-")
    return int(ms), int(sequence)


def told(entries):
    """Numbers and tokens of entries."""
    return [(number(entry[0]), entry[1][1].decode()) for entry in entries]


SCENARIOS = {"stream": Stream, "mset": Mset, "queue": Queue, "register": Register, "incr": Incr, "rename": Rename, "transfer": Transfer}


# ---- Clients as processes ----------------------------------------------------------------------------------------------------------


class Address:
    """What Client needs to know of a server, without the server."""

    def __init__(self, server):
        self.port, self.socket_path, self.tcp = server.port, server.socket_path, server.tcp


def work(scenario, address, me, seed, seconds, barrier, results):
    history, error = [], None
    try:
        client = Client(address, protocol=2 + me % 2)
        barrier.wait(PATIENCE_S * TIME_SCALE)
        end = time.monotonic() + seconds
        for _ in scenario.work(client, me, random.Random("%s.%d" % (seed, me)), history):
            if time.monotonic() > end and (len(history) >= STEPS_MIN or time.monotonic() > end + PATIENCE_S * TIME_SCALE):
                break
        client.close()
    except Violation as violation:
        error = str(violation)
    except Exception:  # whatever it was, the parent must hear of it
        error = traceback.format_exc()
    results.put((me, history, error))


def run_scenario(name, server, options, seconds):
    scenario = SCENARIOS[name](options.plant == name)
    with server.client() as client:
        if not client.call("COMMAND", "INFO", scenario.NEEDS)[0]:
            print("left out: %s: the server has no %s" % (name, scenario.NEEDS))
            return
        client.call("FLUSHALL")
        scenario.set_up(client)
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(options.clients), context.Queue()
    workers = [context.Process(target=work, daemon=True, args=(
        scenario, Address(server), me, options.seed, seconds, barrier, results)) for me in range(options.clients)]
    for worker in workers:
        worker.start()
    try:
        histories, errors = collect(results, len(workers), Deadline("the clients of %s" % name, seconds + 4 * PATIENCE_S))
        for worker in workers:
            worker.join(PATIENCE_S * TIME_SCALE)
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.kill()
    if errors:
        raise Violation("%s: %s" % (name, errors[0]))
    steps = sum(len(history) for history in histories)
    if steps < STEPS_MIN * len(workers):
        raise Violation("%s: only %d steps: nothing was tested" % (name, steps))
    with server.client() as client:
        try:
            scenario.check(histories, client)
        except Violation as violation:
            raise Violation("%s: %s" % (name, violation)) from None
    print("ok %s: %d clients, %d steps" % (name, len(workers), steps), flush=True)


def collect(results, count, deadline):
    histories, errors = [], []
    for _ in range(count):
        try:
            _, history, error = results.get(timeout=deadline.left())
        except queue.Empty:
            deadline.left()
            raise
        histories.append(history)
        if error:
            errors.append(error)
    return histories, errors


def main():
    parser = argparse.ArgumentParser(description="Looks for torn, lost and stale commands across shards.")
    parser.add_argument("scenarios", nargs="*", default=sorted(SCENARIOS), help="default: all")
    parser.add_argument("--seconds", type=float, default=10, help="for all scenarios together")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--plant", choices=sorted(SCENARIOS), help="plant a bug in this scenario: this run must fail")
    parser.add_argument("--seed", default=run_seed())
    options = parser.parse_args()
    print("seed %s" % options.seed)
    with Server(shards=options.shards) as server:
        for name in options.scenarios:
            try:
                for _ in range(TRIES if options.plant == name else 1):
                    run_scenario(name, server, options, options.seconds / len(options.scenarios))
            except Violation as violation:
                print("VIOLATION in %s" % violation)
                raise


if __name__ == "__main__":
    main()
